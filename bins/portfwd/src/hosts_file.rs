//! Names without a name server: each container's `/etc/hosts` (hosts(5)), rewritten when a neighbour comes or goes.
//!
//! The file is bound over `/etc/hosts` in the container. A mount is of a file (an inode), not of a name, so the rename that
//! publishes every other file would leave the container with the old one: this file alone is rewritten in place. The
//! lines that are portfwd's bear the network's name as a comment; all others, the container's own included, are kept.

use crate::cleanup::Cleanup;
use anyhow::{Context, Result};
use layout::network::{Endpoint, LOCALHOST, Network};
use layout::{ContainerId, Layout};
use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The container may write to its file as well; more than this is no list of hosts.
const LARGEST: u64 = 1 << 20;

/// Brings the files of all attached containers up to date: all are tried, whatever becomes of one.
pub fn update_all(layout: &Layout, network: &Network) -> Result<()> {
    let mut cleanup = Cleanup::default();
    for (id, endpoint) in &network.endpoints {
        cleanup.attempt(update(layout, network, id, endpoint));
    }
    cleanup.finish()
}

/// Brings the file of a container that is no longer attached up to date: it has no neighbours.
pub fn clear(layout: &Layout, network: &Network, id: &str, endpoint: &Endpoint) -> Result<()> {
    match find(layout, id, endpoint)? {
        Some(file) if file.is_file() => rewrite(&file, &network.name, &[]),
        _ => Ok(()),
    }
}

fn update(layout: &Layout, network: &Network, id: &str, endpoint: &Endpoint) -> Result<()> {
    // A container that was removed, or that has a hosts file of its own, has none here.
    let Some(file) = find(layout, id, endpoint)? else { return Ok(()) };
    let mut lines = vec![(endpoint.ipv4.to_string(), own_names(layout, id, endpoint))];
    let mut neighbours: Vec<_> = network.endpoints.iter().filter(|(other, _)| *other != id).collect();
    neighbours.sort_by_key(|(_, neighbour)| neighbour.ipv4);
    for (other, neighbour) in neighbours {
        lines.push((neighbour.ipv4.to_string(), join(&neighbour.name, short(other))));
    }
    rewrite(&file, &network.name, &lines)
}

/// Where a container's hosts file is: where `attach --hosts` said, else in its folder if it is there.
fn find(layout: &Layout, id: &str, endpoint: &Endpoint) -> Result<Option<PathBuf>> {
    if let Some(file) = &endpoint.hosts {
        return Ok(file.parent().is_some_and(Path::is_dir).then(|| file.clone()));
    }
    let id: ContainerId = id.parse()?;
    Ok(Some(layout.container_dir(&id).hosts()).filter(|file| file.is_file()))
}

/// The names by which a container knows itself: its host name, then its container's name.
fn own_names(layout: &Layout, id: &str, endpoint: &Endpoint) -> String {
    let hostname = id.parse().ok().and_then(|id: ContainerId| {
        let text = read_some(&open_file(&layout.container_dir(&id).hostname(), OFlags::RDONLY).ok()?).ok()?;
        let name = String::from_utf8(text?).ok()?.trim().to_owned();
        Some(name).filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))
    });
    let domain = id.parse().ok().and_then(|id| Some(layout.read_container(&id).ok()?.config.domainname));
    join(&with_domain(hostname.as_deref().unwrap_or(short(id)), &domain.unwrap_or_default()), &endpoint.name)
}

/// The whole name, and its first part, of a host that has a domain.
fn with_domain(hostname: &str, domain: &str) -> String {
    let whole = if domain.is_empty() { hostname.to_owned() } else { format!("{hostname}.{domain}") };
    match whole.split_once('.') {
        Some((first, _)) => format!("{whole} {first}"),
        None => whole,
    }
}

fn join(first: &str, second: &str) -> String {
    if first == second { first.to_owned() } else { format!("{first} {second}") }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Opens a file that a container may write to.
fn open_file(path: &Path, flags: OFlags) -> rustix::io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(path, flags, Mode::from_raw_mode(0o644)).map(File::from)
}

/// All of it; none of one that is too large.
fn read_some(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= LARGEST))
}

fn rewrite(path: &Path, network: &str, lines: &[(String, String)]) -> Result<()> {
    let failed = || format!("rewrite {}", path.display());
    let file = open_file(path, OFlags::RDWR | OFlags::CREATE).with_context(failed)?;
    // A container that has filled its file does without its neighbours' names; they do not suffer for it.
    let Some(old) = read_some(&file).with_context(failed)? else { return Ok(()) };
    let new = render(&String::from_utf8_lossy(&old), network, lines);
    if new.as_bytes() == old {
        return Ok(());
    }
    // One write of the whole, then the end is cut off: a reader never finds the file empty.
    file.write_all_at(new.as_bytes(), 0).with_context(failed)?;
    file.set_len(new.len() as u64).with_context(failed)
}

/// The new content: what is not this network's is kept, what is this network's is replaced.
fn render(old: &str, network: &str, lines: &[(String, String)]) -> String {
    let tag = format!("# {network}");
    let is_ours = |line: &&str| line.strip_suffix(tag.as_str()).is_some_and(|rest| rest.ends_with('\t'));
    let old = if old.trim().is_empty() { LOCALHOST } else { old };
    let mut new = String::new();
    for line in old.lines().filter(|line| !is_ours(line)) {
        new.push_str(line);
        new.push('\n');
    }
    for (address, names) in lines {
        new.push_str(&format!("{address}\t{names}\t{tag}\n"));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn line(address: &str, names: &str) -> (String, String) {
        (address.to_owned(), names.to_owned())
    }

    #[test]
    fn an_empty_file_becomes_dockers() {
        let text = render("", "bridge", &[line("172.18.0.2", "0123456789ab web")]);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"), "{text}");
        assert!(text.ends_with("ff02::2\tip6-allrouters\n172.18.0.2\t0123456789ab web\t# bridge\n"), "{text}");
    }

    #[test]
    fn only_the_lines_of_the_network_are_replaced() {
        let old = "127.0.0.1\tlocalhost\n172.18.0.2\tweb\t# bridge\n10.0.0.9\tmine # bridge\n172.19.0.2\tdb\t# back\n";
        let new = render(old, "bridge", &[line("172.18.0.5", "web")]);
        let kept = "127.0.0.1\tlocalhost\n10.0.0.9\tmine # bridge\n172.19.0.2\tdb\t# back\n";
        assert_eq!(new, format!("{kept}172.18.0.5\tweb\t# bridge\n"));
        assert_eq!(render(&new, "bridge", &[]), kept);
    }

    #[test]
    fn the_file_stays_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        rewrite(&path, "bridge", &[line("172.18.0.2", "a"), line("172.18.0.3", "b")]).unwrap();
        let inode = path.metadata().unwrap().ino();
        rewrite(&path, "bridge", &[line("172.18.0.2", "a")]).unwrap();
        assert_eq!(path.metadata().unwrap().ino(), inode);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{LOCALHOST}172.18.0.2\ta\t# bridge\n"));
    }

    #[test]
    fn a_file_that_a_container_has_filled_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        rewrite(&path, "bridge", &[line("172.18.0.2", "a")]).unwrap();
        assert_eq!(path.metadata().unwrap().len(), 1 << 40);
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("hosts")).unwrap();
        rewrite(&dir.path().join("hosts"), "bridge", &[]).unwrap_err();
        assert!(!dir.path().join("elsewhere").exists());
    }
}
