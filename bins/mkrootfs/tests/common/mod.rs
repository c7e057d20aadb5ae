//! What the tests of the built program share.

#![allow(clippy::unwrap_used)]
#![allow(dead_code)] // Each test file uses a part of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test: in `$CTR_BIN_DIR` if that is set, else the one that cargo has just built.
pub fn program() -> PathBuf {
    match std::env::var_os("CTR_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("mkrootfs"),
        None => env!("CARGO_BIN_EXE_mkrootfs").into(),
    }
}

/// Runs it.
pub fn mkrootfs(args: &[&str]) -> Output {
    Command::new(program()).args(args).output().unwrap()
}

/// Makes a root filesystem, which must succeed, and gives what was printed.
pub fn make(args: &[&str]) -> String {
    let output = mkrootfs(args);
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {}: {said}{error}", output.status);
    said
}

/// Runs a command with `root` as `/`, which must succeed, and gives what it printed. Needs root.
pub fn inside(root: &Path, command: &[&str]) -> String {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let output = Command::new("chroot").arg(root).args(command).env_clear().env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{command:?} in the root (these tests need root): {}", text(&output.stderr));
    text(&output.stdout)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
