//! Which programs are taken, where they are, and what kind of file each is.

use anyhow::{Context, Result, bail};
use layout::rootfs;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where containers look for programs: docker's default PATH.
pub const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where the host's programs are looked for first: not in `/usr/local`, which may hold somebody's own wrappers.
const HOST: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// What is taken without being asked for, as far as the host has it.
pub const DEFAULT: &str = "
    sh bash
    [ arch b2sum base32 base64 basename basenc cat chgrp chmod chown chroot cksum comm cp csplit cut date dd df dir
    dircolors dirname du echo env expand expr factor false fmt fold groups head hostid id install join link ln
    logname ls md5sum mkdir mkfifo mknod mktemp mv nice nl nohup nproc numfmt od paste pathchk pinky pr printenv
    printf ptx pwd readlink realpath rm rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep
    sort split stat stdbuf stty sum sync tac tail tee test timeout touch tr true truncate tsort tty uname unexpand
    uniq unlink users vdir wc who whoami yes
    grep egrep fgrep sed awk find xargs diff cmp tar gzip gunzip zcat
    ps kill free top uptime pgrep pkill sysctl hostname mount umount mountpoint findmnt ip getent which clear less";

/// The kind of a program: what execve(2) does with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program that names its own loader, or needs none.
    Elf,
    /// Text whose first line, `#!`, names the program that reads it, and perhaps an argument.
    Script { interpreter: PathBuf, argument: Option<String> },
    /// Something else: the kernel would refuse to run it.
    Other,
}

/// What kind of program is at `path`.
pub fn kind(path: &Path) -> Result<Kind> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    kind_of(&file).with_context(|| format!("read {}", path.display()))
}

/// Looks at the first bytes of a file, as the kernel does.
pub fn kind_of(file: &File) -> Result<Kind> {
    let mut start = Vec::new();
    // The kernel reads no more of the first line than this (BINPRM_BUF_SIZE).
    file.take(256).read_to_end(&mut start)?;
    if start.starts_with(b"\x7fELF") {
        return Ok(Kind::Elf);
    }
    let Some(line) = start.strip_prefix(b"#!") else { return Ok(Kind::Other) };
    let line = String::from_utf8_lossy(line.split(|b| *b == b'\n').next().unwrap_or_default()).into_owned();
    let (interpreter, argument) = match line.trim().split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter.to_owned(), Some(argument.trim().to_owned())),
        None => (line.trim().to_owned(), None),
    };
    Ok(if interpreter.is_empty() { Kind::Other } else { Kind::Script { interpreter: interpreter.into(), argument } })
}

/// The program that `env` is to look for, of its argument in a first line: `-S VAR=value python3 -u`.
pub fn asked_of_env(argument: &str) -> Option<&str> {
    argument.split_whitespace().find(|word| !word.starts_with('-') && !word.contains('='))
}

/// Looks for a default program in the system's folders, then in this shell's PATH.
pub fn find_default(name: &str) -> Option<PathBuf> {
    find_in(HOST.iter().map(PathBuf::from), name).or_else(|| find_in_path(name))
}

/// Looks for a program in PATH.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    find_in(std::env::split_paths(&std::env::var_os("PATH")?), name)
}

/// The path of a program that was asked for: a path is taken as it is, a name is sought in PATH.
///
/// # Errors
/// There is no such program.
pub fn find_asked(program: &str) -> Result<PathBuf> {
    if program.contains('/') {
        let path = std::path::absolute(program).with_context(|| format!("resolve {program}"))?;
        if !is_program(&path) {
            bail!("find {program}: it is no file that can be executed");
        }
        return Ok(path);
    }
    find_in_path(program)
        .or_else(|| find_default(program))
        .with_context(|| format!("find {program}: it is not in PATH; install it, or give its path"))
}

/// The path, as seen from inside of `root`, of a program that is given by name or path.
///
/// # Errors
/// There is no such file in `root`.
pub fn locate(root: &Path, program: &str) -> Result<PathBuf> {
    if root == Path::new("/") {
        return match program.contains('/') {
            true => std::path::absolute(program).with_context(|| format!("resolve {program}")),
            false => find_asked(program),
        };
    }
    let is_there = |path: &Path| rootfs::open_in(root, path, OFlags::PATH).is_ok();
    let candidates: Vec<PathBuf> = match program.contains('/') {
        true => vec![Path::new("/").join(program)],
        false => PATH.iter().map(|dir| Path::new(dir).join(program)).collect(),
    };
    let found = candidates.into_iter().find(|path| is_there(path));
    found.with_context(|| format!("find {program}: there is no such program in {}", root.display()))
}

fn find_in(folders: impl Iterator<Item = PathBuf>, name: &str) -> Option<PathBuf> {
    folders.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_with(content: &[u8]) -> Kind {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        kind(file.path()).unwrap()
    }

    #[test]
    fn the_first_line_says_who_reads_a_script() {
        let script = |interpreter: &str, argument: Option<&str>| Kind::Script {
            interpreter: interpreter.into(),
            argument: argument.map(str::to_owned),
        };
        assert_eq!(kind_with(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(kind_with(b"#! /usr/bin/env python3 -u\n"), script("/usr/bin/env", Some("python3 -u")));
        assert_eq!(kind_with(b"#!/bin/sh"), script("/bin/sh", None));
        for other in [&b""[..], b"#!", b"#!\n/bin/sh", b"text"] {
            assert_eq!(kind_with(other), Kind::Other);
        }
        assert_eq!(kind_with(b"\x7fELF\x02"), Kind::Elf);
        assert_eq!(asked_of_env("-S LANG=C python3 -u"), Some("python3"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = find_asked("no-such-program").unwrap_err().to_string();
        assert!(error.contains("find no-such-program"), "{error}");
        assert!(find_asked("/etc").is_err());
    }
}
