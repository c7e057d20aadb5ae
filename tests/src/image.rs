//! The base image, made of the host's own programs by `mkrootfs host`: no network, no registry.

use crate::{bin_dir, output};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root filesystem as a tar: a shell, coreutils, `ps`, and `python3` if `python` says so.
///
/// Made once for all test programs of a `make test` (which sets `CTR_TEST_CACHE`), else once for this one.
pub fn base_tar(python: bool) -> PathBuf {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    let cache = CACHE.get_or_init(|| match std::env::var_os("CTR_TEST_CACHE") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-cache"),
    });
    std::fs::create_dir_all(cache).expect("make the folder of base images");
    let file = cache.join(if python { "python.tar" } else { "base.tar" });
    // Two tests may want it at the same time; the second waits for the first's.
    let _making = layout::lock::Lock::exclusive(&cache.join("lock")).expect("lock the base images");
    if !file.exists() {
        make(&file, python);
    }
    file
}

fn make(file: &Path, python: bool) {
    let dir = tempfile::tempdir().expect("make a temporary folder");
    let root = dir.path().join("rootfs");
    let mut mkrootfs = Command::new(bin_dir().join("mkrootfs"));
    mkrootfs.arg("host").arg(&root);
    if python {
        mkrootfs.args(["--with", "python3"]);
    }
    output::run(&mut mkrootfs, b"").ok();
    let half = file.with_extension("half");
    output::run(Command::new("tar").arg("-cf").arg(&half).arg("-C").arg(&root).arg("."), b"").ok();
    std::fs::rename(half, file).expect("publish the base image");
}
