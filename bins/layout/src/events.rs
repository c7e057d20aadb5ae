//! What happens to containers, images and volumes, written down as it happens: `$CTR_RUN/events.jsonl`, an event a line in
//! docker's JSON form. `ctr events` reads it. There is no daemon to ask, so whoever does something also notes it: what happens to
//! images `layerfs`, the rest `ctr`.

use crate::Layout;
use crate::container::Container;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// The file of the events before those in [`Layout::events_file`].
pub fn older_file(layout: &Layout) -> PathBuf {
    layout.events_file().with_extension("jsonl.1")
}

/// Notes an event of a container with what docker tells of each: its image, its name, its labels; and `more`.
pub fn of_container(layout: &Layout, container: &Container, action: &str, more: &[(&str, &str)]) {
    let labels = container.config.run.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let own = [("image", container.config.image.as_str()), ("name", container.name.as_str())];
    let all: Vec<(&str, &str)> = labels.chain(own).chain(more.iter().copied()).collect();
    note(layout, About::Container, action, container.id.as_str(), &all);
}

/// Notes that a container's network and volumes are there for it (`is_up`), or are so no more, as docker does beside `start` and
/// `die`. The network of another container is that one's.
pub fn of_surroundings(layout: &Layout, container: &Container, is_up: bool) {
    let id = container.id.as_str();
    let mode = container.host_config.network_mode.as_str();
    let (name, kind) = match mode {
        "" | "default" | "bridge" => ("bridge", "bridge"),
        "none" => ("none", "null"),
        other => (other, other),
    };
    if !mode.starts_with("container:") {
        let action = if is_up { "connect" } else { "disconnect" };
        let attributes = [("container", id), ("name", name), ("type", kind)];
        note(layout, About::Network, action, &crate::network::id(name), &attributes);
    }
    for mount in container.mounts.iter().filter(|mount| mount.kind == "volume") {
        let (own, writable) = ([("container", id), ("driver", mount.driver.as_str())], mount.writable.to_string());
        let how = [("destination", mount.destination.as_str()), ("propagation", ""), ("read/write", writable.as_str())];
        match is_up {
            true => note(layout, About::Volume, "mount", &mount.name, &[&own[..], &how].concat()),
            false => note(layout, About::Volume, "unmount", &mount.name, &own),
        }
    }
}

/// Notes an event of an image: `id` is what it is known by there, `name` what the event is about; docker tells the image's labels
/// too.
pub fn of_image(layout: &Layout, action: &str, id: &str, name: &str, labels: Option<&BTreeMap<String, String>>) {
    let labels = labels.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let all: Vec<(&str, &str)> = labels.chain([("name", name)]).collect();
    note(layout, About::Image, action, id, &all);
}

/// Notes an event: `action` is docker's word for it (`start`, `die`, ...), `id` who it happened to, `attributes` what else
/// docker tells of it. An event that cannot be written down is no reason for what happened to fail.
pub fn note(layout: &Layout, about: About, action: &str, id: &str, attributes: &[(&str, &str)]) {
    let event = event(about, action, id, attributes);
    // One write: lines of several writers do not mix (write(2), O_APPEND).
    if let Ok(mut file) = current(layout, MAX_BYTES) {
        let _ = file.write_all(format!("{event}\n").as_bytes());
    }
}

fn event(about: About, action: &str, id: &str, attributes: &[(&str, &str)]) -> Value {
    let kind = match about {
        About::Container => "container",
        About::Image => "image",
        About::Volume => "volume",
        About::Network => "network",
    };
    let sorted: BTreeMap<&str, &str> = attributes.iter().copied().collect();
    let mut event = Map::new();
    // Docker's older keys for the same.
    if matches!(about, About::Container | About::Image) {
        event.insert("status".into(), json!(action));
        if !id.is_empty() {
            event.insert("id".into(), json!(id));
        }
    }
    if let (About::Container, Some(image)) = (about, sorted.get("image")) {
        event.insert("from".into(), json!(image));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    event.insert("Type".into(), json!(kind));
    event.insert("Action".into(), json!(action));
    event.insert("Actor".into(), json!({"ID": id, "Attributes": sorted}));
    event.insert("scope".into(), json!("local"));
    event.insert("time".into(), json!(now.as_secs()));
    event.insert("timeNano".into(), json!(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)));
    Value::Object(event)
}

/// The file to write to, open. One that has grown too long is moved aside first, by one writer: who holds its lock and finds it
/// still in its place. (Without that the second of two would move the new file, which is nearly empty, over the old one.) Who
/// has opened it before that writes his line into the file that was moved, where it is read as well.
fn current(layout: &Layout, max: u64) -> std::io::Result<File> {
    let path = layout.events_file();
    let open = |path: &Path| File::options().append(true).create(true).open(path);
    let file = open(&path)?;
    if file.metadata()?.len() <= max || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(file);
    }
    let is_in_place = path.metadata().is_ok_and(|there| file.metadata().is_ok_and(|own| own.ino() == there.ino()));
    if is_in_place {
        std::fs::rename(&path, older_file(layout))?;
    }
    open(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_lost_when_many_write_and_the_file_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::at(&dir.path().join("root"), &dir.path().join("run")).unwrap();
        layout.open().unwrap();
        // Long enough to be moved once on the way, by whoever comes first, and never twice.
        let (writers, each) = (8, 40);
        let line = "x".repeat(1000);
        let max = (writers * each * 1000) as u64 / 3 * 2;
        std::thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(|| {
                    for _ in 0..each {
                        let mut file = current(&layout, max).unwrap();
                        file.write_all(format!("{line}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (old, new) = (read(&older_file(&layout)), read(&layout.events_file()));
        assert_eq!(old.lines().chain(new.lines()).filter(|found| *found == line).count(), writers * each);
        assert!(old.len() as u64 > max, "moved when it was full, and only then: {}", old.len());
    }

    #[test]
    fn an_event_is_as_docker_writes_it() {
        let event = event(About::Container, "die", "abc", &[("name", "web"), ("image", "base"), ("exitCode", "3")]);
        let text = event.to_string();
        assert!(
            text.starts_with(
                r#"{"status":"die","id":"abc","from":"base","Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"exitCode":"3","image":"base","name":"web"}},"scope":"local","time":"#
            ),
            "{text}"
        );
    }
}
