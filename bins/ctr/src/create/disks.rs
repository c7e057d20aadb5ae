//! `--blkio-weight-device` and `--device-{read,write}-{bps,iops}`: what is read from and written to single disks.

use crate::cli::ResourceOptions;
use anyhow::{Result, bail};
use layout::container::{HostConfig, ThrottleDevice, WeightDevice};
use layout::units;

/// Fills in what the options say about disks.
pub fn fill(host: &mut HostConfig, options: &ResourceOptions) -> Result<()> {
    host.blkio_weight_device = options.blkio_weight_device.iter().map(|text| weight(text)).collect::<Result<_>>()?;
    host.blkio_device_read_bps = all("device-read-bps", &options.device_read_bps, bytes)?;
    host.blkio_device_write_bps = all("device-write-bps", &options.device_write_bps, bytes)?;
    host.blkio_device_read_iops = all("device-read-iops", &options.device_read_iops, operations)?;
    host.blkio_device_write_iops = all("device-write-iops", &options.device_write_iops, operations)?;
    Ok(())
}

type Read = fn(&str, &str) -> Result<u64>;

fn all(flag: &str, wanted: &[String], rate: Read) -> Result<Option<Vec<ThrottleDevice>>> {
    let one = |text: &String| {
        let (path, number) = split(flag, text)?;
        let rate = match rate(text, number) {
            Ok(rate) => rate,
            Err(error) => bail!("invalid argument \"{text}\" for \"--{flag}\" flag: {error}"),
        };
        Ok(ThrottleDevice { path: path.to_owned(), rate })
    };
    let limits = wanted.iter().map(one).collect::<Result<Vec<_>>>()?;
    Ok(Some(limits).filter(|limits| !limits.is_empty()))
}

fn weight(text: &str) -> Result<WeightDevice> {
    let flag = "blkio-weight-device";
    let (path, weight) = split(flag, text)?;
    match weight.parse() {
        Ok(weight @ (0 | 10..=1000)) => Ok(WeightDevice { path: path.to_owned(), weight }),
        _ => bail!("invalid argument \"{text}\" for \"--{flag}\" flag: invalid weight for device: {text}"),
    }
}

fn split<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once(':') {
        Some((path, rest)) if path.starts_with("/dev/") => Ok((path, rest)),
        Some(_) => bail!("invalid argument \"{text}\" for \"--{flag}\" flag: bad format for device path: {text}"),
        None => bail!("invalid argument \"{text}\" for \"--{flag}\" flag: bad format: {text}"),
    }
}

fn bytes(text: &str, number: &str) -> Result<u64> {
    units::parse_bytes(number).or_else(|_| {
        bail!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a \
             positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })
}

fn operations(text: &str, number: &str) -> Result<u64> {
    number.parse().or_else(|_| {
        bail!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive \
             integer"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_named_by_their_files() {
        let read = |text: &str| all("device-read-bps", &[text.to_owned()], bytes);
        let limit = ThrottleDevice { path: "/dev/vda".to_owned(), rate: 1 << 20 };
        assert_eq!(read("/dev/vda:1mb").unwrap(), Some(vec![limit]));
        for (text, words) in [
            ("/dev/vda", "bad format: /dev/vda"),
            ("vda:1mb", "bad format for device path: vda:1mb"),
            ("/dev/vda:x", "Unit is optional and can be kb, mb, or gb"),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(words), "{text}");
        }
        assert!(all("x", &["/dev/vda:-1".to_owned()], operations).is_err());
        assert_eq!(weight("/dev/vda:500").unwrap().weight, 500);
        assert!(weight("/dev/vda:5").unwrap_err().to_string().ends_with("invalid weight for device: /dev/vda:5"));
    }
}
