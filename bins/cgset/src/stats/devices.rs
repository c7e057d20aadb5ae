//! Devices and pages: what is counted once for each of several things.

use super::parse::{assigned, keyed, number};
use super::{DeviceIo, Hugetlb, Io, Rdma};
use crate::group::{ControllerFolder, read_optional};
use crate::hierarchy::Version;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Lines `8:0 Read 4096`, in one file for bytes and in one for operations.
pub fn io_v1(folder: &Path) -> Result<Io> {
    let mut devices: BTreeMap<String, DeviceIo> = BTreeMap::new();
    for (file, bytes) in
        [("blkio.throttle.io_service_bytes_recursive", true), ("blkio.throttle.io_serviced_recursive", false)]
    {
        let text = read_optional(&folder.join(file))?.unwrap_or_default();
        for line in text.lines() {
            let [device, what, count] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let found = devices.entry(device.to_owned()).or_default();
            let place = match (what, bytes) {
                ("Read", true) => &mut found.read_bytes,
                ("Write", true) => &mut found.write_bytes,
                ("Discard", true) => &mut found.discard_bytes,
                ("Read", false) => &mut found.reads,
                ("Write", false) => &mut found.writes,
                ("Discard", false) => &mut found.discards,
                // Sums of the others.
                _ => continue,
            };
            *place = count.parse().unwrap_or(0);
        }
    }
    Ok(together(devices.into_iter().map(|(device, io)| DeviceIo { device, ..io }).collect()))
}

/// Lines `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
pub fn io_v2(folder: &Path) -> Result<Io> {
    let text = read_optional(&folder.join("io.stat"))?.unwrap_or_default();
    let devices = text.lines().filter_map(|line| {
        let (device, counts) = line.split_once(' ')?;
        let count = |key| assigned(counts, key).unwrap_or(0);
        Some(DeviceIo {
            device: device.to_owned(),
            read_bytes: count("rbytes"),
            write_bytes: count("wbytes"),
            discard_bytes: count("dbytes"),
            reads: count("rios"),
            writes: count("wios"),
            discards: count("dios"),
        })
    });
    Ok(together(devices.collect()))
}

fn together(devices: Vec<DeviceIo>) -> Io {
    let sum = |count: fn(&DeviceIo) -> u64| Some(devices.iter().map(count).sum());
    Io {
        read_bytes: sum(|io| io.read_bytes),
        write_bytes: sum(|io| io.write_bytes),
        reads: sum(|io| io.reads),
        writes: sum(|io| io.writes),
        pressure: None,
        devices,
    }
}

/// Files `hugetlb.SIZE.WHAT`, so the names tell the sizes.
pub fn hugetlb(found: &ControllerFolder) -> Result<BTreeMap<String, Hugetlb>> {
    let folder = &found.path;
    let usage = match found.version {
        Version::V1 => "usage_in_bytes",
        Version::V2 => "current",
    };
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let name = entry.with_context(|| format!("list {}", folder.display()))?.file_name();
        let name = name.to_string_lossy();
        let parts: Vec<&str> = name.split('.').collect();
        let ["hugetlb", size, what] = parts[..] else { continue };
        if what != usage {
            continue;
        }
        let at = |what: &str| number(&folder.join(format!("hugetlb.{size}.{what}")));
        let events = read_optional(&folder.join(format!("hugetlb.{size}.events")))?.unwrap_or_default();
        let counter = match found.version {
            Version::V1 => Hugetlb {
                usage: at(usage)?,
                peak: at("max_usage_in_bytes")?,
                limit: at("limit_in_bytes")?,
                failures: at("failcnt")?,
            },
            Version::V2 => {
                Hugetlb { usage: at(usage)?, peak: None, limit: at("max")?, failures: keyed(&events, "max") }
            }
        };
        pages.insert(size.to_owned(), counter);
    }
    Ok(pages)
}

/// Lines `mlx5_0 hca_handle=2 hca_object=2000`.
pub fn rdma(folder: &Path) -> Result<BTreeMap<String, Rdma>> {
    let text = read_optional(&folder.join("rdma.current"))?.unwrap_or_default();
    let devices = text.lines().filter_map(|line| {
        let (device, counts) = line.split_once(' ')?;
        let counts = Rdma { hca_handles: assigned(counts, "hca_handle"), hca_objects: assigned(counts, "hca_object") };
        Some((device.to_owned(), counts))
    });
    Ok(devices.collect())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::fs;

    /// A folder with these files.
    pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn disks_are_told_one_by_one_and_added_up() {
        let old = folder(&[
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 10\n8:0 Write 1\n8:0 Sync 11\n8:16 Read 5\n8:16 Total 5\nTotal 16\n",
            ),
            ("blkio.throttle.io_serviced_recursive", "8:0 Read 2\n8:0 Write 1\nTotal 3\n"),
        ]);
        let new =
            folder(&[("io.stat", "8:0 rbytes=10 wbytes=1 rios=2 wios=1 dbytes=0 dios=0\n8:16 rbytes=5 wbytes=0\n")]);
        let found = io_v1(old.path()).unwrap();
        assert_eq!((found.read_bytes, found.write_bytes), (Some(15), Some(1)));
        assert_eq!((found.reads, found.writes, found.devices.len()), (Some(2), Some(1), 2));
        assert_eq!((found.devices[1].device.as_str(), found.devices[1].read_bytes), ("8:16", 5));
        assert_eq!(io_v2(new.path()).unwrap(), found);
    }

    #[test]
    fn huge_pages_are_counted_by_size() {
        let old = folder(&[
            ("hugetlb.2MB.usage_in_bytes", "4096\n"),
            ("hugetlb.2MB.limit_in_bytes", "9000\n"),
            ("hugetlb.2MB.failcnt", "3\n"),
            ("hugetlb.2MB.rsvd.usage_in_bytes", "1\n"),
        ]);
        let new = folder(&[
            ("hugetlb.2MB.current", "4096\n"),
            ("hugetlb.2MB.max", "9000\n"),
            ("hugetlb.2MB.events", "max 3\n"),
            ("hugetlb.2MB.rsvd.current", "1\n"),
        ]);
        let expected = Hugetlb { usage: Some(4096), peak: None, limit: Some(9000), failures: Some(3) };
        for (version, dir) in [(Version::V1, old), (Version::V2, new)] {
            let found = hugetlb(&ControllerFolder { version, path: dir.path().to_owned() }).unwrap();
            assert_eq!((found.len(), &found["2MB"]), (1, &expected));
        }
    }

    #[test]
    fn rdma_devices_are_a_line_each() {
        let dir = folder(&[("rdma.current", "mlx5_0 hca_handle=2 hca_object=9\nmlx5_1 hca_handle=0\n")]);
        let found = rdma(dir.path()).unwrap();
        assert_eq!(found["mlx5_0"], Rdma { hca_handles: Some(2), hca_objects: Some(9) });
        assert_eq!(found["mlx5_1"].hca_objects, None);
    }
}
