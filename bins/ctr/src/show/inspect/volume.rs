//! A volume's document: its `volume.json`.

use anyhow::Result;
use layout::{Layout, volume};
use serde_json::Value;

/// Docker's keys; nothing if there is no such volume.
pub fn document(layout: &Layout, name: &str) -> Result<Option<Value>> {
    if !volume::is_name(name) || !layout.volume(name).is_dir() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_value(layout.read_volume(name)?)?))
}
