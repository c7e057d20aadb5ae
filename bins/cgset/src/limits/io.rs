//! Disks: weights, and how much a second (kernel: cgroup-v1/blkio-controller.rst, block/bfq-iosched.rst;
//! cgroup-v2.rst, "IO").
//!
//! Limits are enforced for every disk. Weights need somebody who weighs: on v1 the scheduler CFQ (gone since Linux 5.0)
//! or BFQ, each with files of its own; on v2 BFQ, or the iocost model behind `io.weight`.

use crate::convert::io_weight;
use crate::hierarchy::Version;
use crate::limits::Setting;
use anyhow::Result;
use layout::oci::runtime::{BlockIo, Resources, ThrottleDevice, WeightDevice};

/// What is asked of the blkio controller, which is called io on v2.
pub fn settings(resources: &Resources, version: Version) -> Result<Vec<Setting>> {
    Ok(match (&resources.block_io, version) {
        (None, _) => Vec::new(),
        (Some(io), Version::V1) => v1(io),
        (Some(io), Version::V2) => v2(io),
    })
}

fn asked(weight: Option<u16>) -> Option<u16> {
    weight.filter(|w| *w != 0)
}

fn device(WeightDevice { major, minor, .. }: &WeightDevice, weight: impl std::fmt::Display) -> String {
    format!("{major}:{minor} {weight}")
}

fn v1(io: &BlockIo) -> Vec<Setting> {
    let mut settings = Vec::new();
    settings.extend(asked(io.weight).map(|w| Setting::new("blkio.weight", w).or("blkio.bfq.weight", w)));
    settings.extend(asked(io.leaf_weight).map(|w| Setting::new("blkio.leaf_weight", w)));
    for disk in &io.weight_device {
        if let Some(weight) = asked(disk.weight) {
            let value = device(disk, weight);
            settings.push(Setting::new("blkio.weight_device", &value).or("blkio.bfq.weight_device", &value));
        }
        settings.extend(asked(disk.leaf_weight).map(|w| Setting::new("blkio.leaf_weight_device", device(disk, w))));
    }
    for (file, disks) in [
        ("blkio.throttle.read_bps_device", &io.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &io.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &io.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &io.throttle_write_iops_device),
    ] {
        // 0 is no limit.
        let line = |ThrottleDevice { major, minor, rate }: &ThrottleDevice| format!("{major}:{minor} {rate}");
        settings.extend(disks.iter().map(|disk| Setting::new(file, line(disk))));
    }
    settings
}

fn v2(io: &BlockIo) -> Vec<Setting> {
    let mut settings = Vec::new();
    settings.extend(asked(io.weight).map(|w| Setting::new("io.bfq.weight", w).or("io.weight", io_weight(w))));
    for disk in &io.weight_device {
        if let Some(weight) = asked(disk.weight) {
            let converted = device(disk, io_weight(weight));
            settings.push(Setting::new("io.bfq.weight", device(disk, weight)).or("io.weight", converted));
        }
    }
    for (key, disks) in [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ] {
        let line = |ThrottleDevice { major, minor, rate }: &ThrottleDevice| match rate {
            0 => format!("{major}:{minor} {key}=max"),
            rate => format!("{major}:{minor} {key}={rate}"),
        };
        settings.extend(disks.iter().map(|disk| Setting::new("io.max", line(disk))));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::setting::tests::shown;
    use serde_json::{Value, json};

    fn on(version: Version, io: Value) -> String {
        let resources = serde_json::from_value(json!({ "blockIO": io })).unwrap();
        shown(&settings(&resources, version).unwrap())
    }

    #[test]
    fn limits_of_a_disk_are_a_file_each_on_v1_and_one_on_v2() {
        let asked = json!({
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}],
            "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 0}],
            "throttleReadIOPSDevice": [{"major": 8, "minor": 16, "rate": 7}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 9}]
        });
        let v1 = "blkio.throttle.read_bps_device=8:0 1000, blkio.throttle.write_bps_device=8:0 0, \
                  blkio.throttle.read_iops_device=8:16 7, blkio.throttle.write_iops_device=8:16 9";
        assert_eq!(on(Version::V1, asked.clone()), v1);
        let v2 = "io.max=8:0 rbps=1000, io.max=8:0 wbps=max, io.max=8:16 riops=7, io.max=8:16 wiops=9";
        assert_eq!(on(Version::V2, asked), v2);
    }

    #[test]
    fn weights_go_to_whoever_weighs() {
        let asked = json!({"weight": 500, "leafWeight": 20, "weightDevice": [
            {"major": 8, "minor": 0, "weight": 10, "leafWeight": 30}, {"major": 8, "minor": 16, "weight": 0}
        ]});
        let v1 = "blkio.weight=500|blkio.bfq.weight=500, blkio.leaf_weight=20, \
                  blkio.weight_device=8:0 10|blkio.bfq.weight_device=8:0 10, blkio.leaf_weight_device=8:0 30";
        assert_eq!(on(Version::V1, asked.clone()), v1);
        let v2 = "io.bfq.weight=500|io.weight=4950, io.bfq.weight=8:0 10|io.weight=8:0 1";
        assert_eq!(on(Version::V2, asked), v2);
        assert_eq!(on(Version::V2, json!({"weight": 0})), "");
    }
}
