//! `mkrootfs host --with`: needs the language on the host.

#![allow(clippy::unwrap_used)]

mod common;

use common::{inside, make, mkrootfs, text};
use std::process::Command;

#[test]
fn python_comes_with_its_library() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    let summary = make(&["host", root.to_str().unwrap(), "--with", "python3", "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert!(summary["bytes"].as_u64().unwrap() < 80_000_000, "{}", summary["bytes"]);
    for python in ["python", "python3", "/usr/bin/python3", "/usr/local/bin/python"] {
        let said = inside(&root, &[python, "-c", "import http.server, json; print('all there')"]);
        assert_eq!(said, "all there\n", "{python}");
    }
    // Compiled modules with libraries of their own: those that work on the host work here.
    for module in ["ssl", "sqlite3", "ctypes", "lzma", "decimal", "zlib", "hashlib"] {
        let import = format!("import {module}");
        if Command::new("python3").args(["-c", &import]).output().unwrap().status.success() {
            inside(&root, &["python3", "-c", &import]);
        }
    }
    assert!(!root.join("usr/local/lib/python3/test").exists());
    make(&["check", root.to_str().unwrap()]);
}

#[test]
fn perl_comes_with_its_modules() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("rootfs");
    let output = mkrootfs(&["host", root.to_str().unwrap(), "--with", "perl"]);
    if Command::new("perl").arg("-v").output().is_err() {
        // A host without perl: then this is what is to be said.
        assert!(text(&output.stderr).contains("find perl"), "{}", text(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    // Perl reads /dev/null for -e; a container has it.
    std::fs::write(root.join("dev/null"), "").unwrap();
    assert_eq!(inside(&root, &["perl", "-MPOSIX", "-MSocket", "-MEncode", "-e", "print floor(2.5)"]), "2");
}
