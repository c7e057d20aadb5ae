//! How much room a folder takes.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The sizes of all files in a folder, in bytes. A file of several names counts once, and what cannot be read not at all.
pub fn used(dir: &Path) -> u64 {
    let (mut sum, mut todo, mut seen) = (0, vec![dir.to_path_buf()], HashSet::new());
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => todo.push(entry.path()),
                Ok(found) if found.nlink() > 1 && !seen.insert((found.dev(), found.ino())) => {}
                Ok(found) => sum += found.len(),
                Err(_) => {}
            }
        }
    }
    sum
}

/// What a container has written, in bytes: its layer without the link that each one is made with.
pub fn written(upper: &Path) -> u64 {
    let link = upper.join("etc/mtab").symlink_metadata().ok().filter(|link| link.is_symlink());
    used(upper).saturating_sub(link.map_or(0, |link| link.len()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_of_two_names_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/file"), "12345").unwrap();
        std::fs::hard_link(dir.path().join("a/file"), dir.path().join("again")).unwrap();
        std::fs::write(dir.path().join("more"), "1").unwrap();
        assert_eq!(super::used(dir.path()), 6);
        assert_eq!(super::used(&dir.path().join("nosuch")), 0);
    }
}
