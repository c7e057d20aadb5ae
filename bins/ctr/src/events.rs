//! What happens to containers, images and volumes, written down as it happens: `$CTR_RUN/events.jsonl`, an event a line in
//! docker's JSON form. `ctr events` reads it. There is no daemon to ask, so whoever does something also notes it.

use layout::Layout;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Write;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// Beyond this the file becomes `events.jsonl.1`, in place of the one before: as with docker, only so much is remembered.
const MAX_BYTES: u64 = 1 << 20;

/// Notes an event: `action` is docker's word for it (`start`, `die`, ...), `id` who it happened to, `attributes` what else
/// docker tells of it. An event that cannot be written down is no reason for what happened to fail.
pub fn note(layout: &Layout, about: About, action: &str, id: &str, attributes: &[(&str, &str)]) {
    let kind = match about {
        About::Container => "container",
        About::Image => "image",
        About::Volume => "volume",
        About::Network => "network",
    };
    let attributes: Map<String, Value> = attributes.iter().map(|(key, value)| ((*key).into(), json!(value))).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut event = json!({
        "Type": kind,
        "Action": action,
        "Actor": {"ID": id, "Attributes": attributes},
        "scope": "local",
        "time": now.as_secs(),
        "timeNano": now.as_nanos() as u64,
    });
    if about == About::Container {
        // Docker's older keys for the same.
        event["status"] = json!(action);
        event["id"] = json!(id);
    }
    let path = layout.events_file();
    if path.metadata().is_ok_and(|file| file.len() > MAX_BYTES) {
        let _ = std::fs::rename(&path, path.with_extension("jsonl.1"));
    }
    // One write: lines of several writers do not mix (write(2), O_APPEND).
    if let Ok(mut file) = File::options().append(true).create(true).open(&path) {
        let _ = file.write_all(format!("{event}\n").as_bytes());
    }
}
