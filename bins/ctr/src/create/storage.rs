//! What is mounted into it.

use super::mounts::{bind, option, tmpfs};
use super::wrong::OfOption;
use crate::cli::StorageOptions;
use anyhow::{Result, anyhow, bail};
use layout::container::HostConfig;
use layout::oci::defaults;
use layout::units;

/// Fills in what the options say about its files.
pub fn fill(host: &mut HostConfig, options: &StorageOptions) -> Result<()> {
    host.readonly_rootfs = options.read_only;
    let mut binds: Vec<String> = Vec::new();
    for text in options.volume.iter().filter(|text| !bind::is_anonymous(text)) {
        // Said twice it is said once.
        if !binds.contains(text) {
            binds.push(text.clone());
        }
    }
    host.binds = Some(binds).filter(|binds| !binds.is_empty());
    host.mounts = options.mount.iter().map(|text| option::parse(text)).collect::<Result<_>>().of_option()?;
    host.tmpfs = tmpfs::parse(&options.tmpfs)?;
    host.volumes_from = Some(options.volumes_from.clone()).filter(|from| !from.is_empty());
    host.volume_driver = options.volume_driver.clone().unwrap_or_default();
    host.shm_size = shm_size(options.shm_size.as_deref()).of_option()?;
    match options.storage_opt.first() {
        None => Ok(()),
        Some(text) if !text.contains('=') => bail!("invalid storage option"),
        // The size of a folder can be limited by a filesystem that counts by project, and by none of its own.
        Some(_) => bail!("--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
    }
}

fn shm_size(text: Option<&str>) -> Result<i64> {
    let Some(text) = text else { return Ok(defaults::SHM_SIZE as i64) };
    let size = units::parse_bytes(text);
    let size =
        size.map_err(|_| anyhow!("invalid argument {text:?} for \"--shm-size\" flag: invalid size: '{text}'"))?;
    Ok(if size == 0 { defaults::SHM_SIZE } else { size } as i64)
}
