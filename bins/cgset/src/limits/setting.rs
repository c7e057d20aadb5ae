//! One value for one control file, and writing a number of them.

use crate::group::{Group, errno};
use anyhow::Result;
use std::path::Path;

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name of the file, `pids.max`, and the value. When there are several, the first file that this kernel has
    /// gets its value: the schedulers of disks have each their own.
    pub either: Vec<(String, String)>,
    /// Whether a kernel without that file will do.
    pub optional: bool,
}

impl Setting {
    /// A value that must be written.
    pub fn new(file: impl Into<String>, value: impl ToString) -> Setting {
        Setting { either: vec![(file.into(), value.to_string())], optional: false }
    }

    /// Where the kernel has not the file named so far: another one.
    pub fn or(mut self, file: &str, value: impl ToString) -> Setting {
        self.either.push((file.to_owned(), value.to_string()));
        self
    }

    /// A kernel that has no such file will do.
    pub fn where_there(self) -> Setting {
        Setting { optional: true, ..self }
    }

    fn write(&self, group: &Group, folder: &Path) -> Result<()> {
        let mut result = Ok(());
        for (file, value) in &self.either {
            result = group.write(&folder.join(file), value);
            if !result.as_ref().is_err_and(|error| errno(error) == Some(libc::ENOENT)) {
                return result;
            }
        }
        if self.optional { Ok(()) } else { result }
    }
}

/// Writes values to the control files of a folder.
///
/// At each write the kernel compares the number with others that hold at that moment: memory may not be above memory and
/// swap, nor a quota above what the group above has in the same period. So to raise both numbers the one has
/// to go first, to lower both the other. What is refused with EINVAL is tried again when the others are written.
pub fn write_all(group: &Group, folder: &Path, settings: &[Setting]) -> Result<()> {
    let mut refused = Vec::new();
    for setting in settings {
        match setting.write(group, folder) {
            Err(error) if errno(&error) == Some(libc::EINVAL) => refused.push(setting),
            result => result?,
        }
    }
    refused.into_iter().try_for_each(|setting| setting.write(group, folder))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::hierarchy::Hierarchy;
    use std::fs;

    /// `memory.max=64 memory.low=32`: settings as tests like to read them; alternatives with a bar between.
    pub fn shown(settings: &[Setting]) -> String {
        let one = |(file, value): &(String, String)| format!("{file}={value}");
        let words = settings.iter().map(|s| s.either.iter().map(one).collect::<Vec<_>>().join("|"));
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_first_file_that_is_there_gets_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let group = Group::new("demo".parse().unwrap(), Hierarchy::default(), false);
        fs::write(dir.path().join("io.weight"), "").unwrap();
        let weight = Setting::new("io.bfq.weight", 10).or("io.weight", 1);
        write_all(&group, dir.path(), std::slice::from_ref(&weight)).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("io.weight")).unwrap(), "1");
        fs::remove_file(dir.path().join("io.weight")).unwrap();
        assert!(write_all(&group, dir.path(), std::slice::from_ref(&weight)).is_err());
        write_all(&group, dir.path(), &[weight.where_there()]).unwrap();
    }
}
