//! Which file is executed: the container's `PATH` in the container's root.
//!
//! The messages are Go's, because docker passes runc's on and people search for them.

use layout::exit;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Finds the program as the process that we have become may execute it.
///
/// # Errors
/// With exit code 127 when it is not there, 126 when it may not be executed.
pub fn find_program(name: &str, env: &[String]) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(Refusal::Missing) => {
                Err(exit::coded(exit::NOT_FOUND, format!("exec: {name:?}: stat {name}: no such file or directory")))
            }
            Err(refusal) => Err(exit::coded(exit::CANNOT_EXECUTE, format!("exec: {name:?}: {refusal}"))),
        };
    }
    let path = env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let folders = path.split(':').filter(|folder| !name.is_empty() && !folder.is_empty());
    let mut candidates = folders.map(|folder| Path::new(folder).join(name));
    candidates
        .find(|candidate| executable(candidate).is_ok())
        .ok_or_else(|| exit::coded(exit::NOT_FOUND, format!("exec: {name:?}: executable file not found in $PATH")))
}

/// What execve(2) made of it.
pub fn exec_error(program: &Path, errno: Errno) -> anyhow::Error {
    let code = if errno == Errno::NOENT { exit::NOT_FOUND } else { exit::CANNOT_EXECUTE };
    let reason = match errno {
        Errno::NOEXEC => "exec format error".to_owned(),
        Errno::NOENT => "no such file or directory (or the interpreter that it names)".to_owned(),
        Errno::ACCESS | Errno::PERM => "permission denied".to_owned(),
        other => std::io::Error::from(other).to_string(),
    };
    exit::coded(code, format!("exec {}: {reason}", program.display()))
}

enum Refusal {
    Missing,
    IsDirectory,
    Denied,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Missing => "no such file or directory",
            Refusal::IsDirectory => "is a directory",
            Refusal::Denied => "permission denied",
        })
    }
}

fn executable(path: &Path) -> Result<(), Refusal> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Refusal::IsDirectory),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(Refusal::Denied),
        Err(_) => return Err(Refusal::Missing),
    }
    // EACCESS: as the effective user, which is whom execve asks.
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|_| Refusal::Denied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn refusal(name: &str, env: &[String]) -> (u8, String) {
        let error = find_program(name, env).unwrap_err();
        (exit::code_of(&error), error.to_string())
    }

    #[test]
    fn programs_are_found_in_the_path_that_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("a"), dir.path().join("b"));
        for (folder, mode) in [(&first, 0o644), (&second, 0o755)] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("tool"), "").unwrap();
            std::fs::set_permissions(folder.join("tool"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let env = vec![format!("PATH={}::{}", first.display(), second.display())];
        assert_eq!(find_program("tool", &env).unwrap(), second.join("tool"));
        let missing = |name: &str| (127, format!("exec: {name:?}: executable file not found in $PATH"));
        assert_eq!(refusal("foo", &env), missing("foo"));
        assert_eq!(refusal("", &env), missing(""));
        assert_eq!(refusal("tool", &[]), missing("tool"));
        let closed = first.join("tool").display().to_string();
        assert_eq!(refusal(&closed, &env), (126, format!("exec: {closed:?}: permission denied")));
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        assert_eq!(refusal("/etc", &[]), (126, "exec: \"/etc\": is a directory".to_owned()));
        let nope = "exec: \"/no/pe\": stat /no/pe: no such file or directory";
        assert_eq!(refusal("/no/pe", &[]), (127, nope.to_owned()));
    }
}
