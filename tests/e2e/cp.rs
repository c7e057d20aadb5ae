//! `ctr cp` and `ctr diff`: a container's files from outside.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

/// Prints what is at paths in a container that runs: kind, owner, mode, link target.
fn listed(sandbox: &Sandbox, container: &str, paths: &str) -> String {
    let script = format!("find {paths} -printf '%p %y %U:%G %m %l\\n' | sed 's/ $//' | sort");
    sandbox.ctr(["exec", container, "sh", "-c", &script]).ok().text().to_owned()
}

/// A sandbox with a container that runs, with a volume, and a folder `dir` to copy.
fn with_container() -> Sandbox {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "-u", "5:6", "-v", "vol:/vol", "base", "sleep", "600"]).ok();
    let dir = sandbox.path().join("dir");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(dir.join("one"), "1\n").unwrap();
    symlink("one", dir.join("link")).unwrap();
    std::os::unix::fs::chown(dir.join("one"), Some(1000), Some(1001)).unwrap();
    sandbox
}

fn path(sandbox: &Sandbox, name: &str) -> String {
    sandbox.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn files_go_in_by_dockers_rules() {
    let sandbox = with_container();
    let dir = path(&sandbox, "dir");
    let cp = |source: &str, target: &str| sandbox.ctr(["cp", source, target]).ok();
    cp(&dir, "box:/new");
    cp(&dir, "box:/opt");
    cp(&format!("{dir}/."), "box:/contents");
    sandbox.ctr(["cp", "-a", &dir, "box:/archive"]).ok();
    let tree = |top: &str, owner: &str, other: &str| {
        format!("{top} d {owner} 755\n{top}/link l {owner} 777 one\n{top}/one f {other} 644\n{top}/sub d {owner} 755")
    };
    assert_eq!(listed(&sandbox, "box", "/new"), tree("/new", "0:0", "1000:1001"));
    assert_eq!(listed(&sandbox, "box", "/opt/dir"), tree("/opt/dir", "0:0", "1000:1001"));
    assert_eq!(listed(&sandbox, "box", "/contents"), tree("/contents", "0:0", "1000:1001"));
    assert_eq!(listed(&sandbox, "box", "/archive"), tree("/archive", "5:6", "5:6"));
    // Into a volume, by a tar, compressed or not, and over a file.
    let tar = sandbox.path().join("dir.tar.gz");
    sandbox.sh(&format!("tar -C {} -czf {} dir", sandbox.path().display(), tar.display())).ok();
    sandbox.ctr_reading(["cp", "-", "box:/vol"], &fs::read(tar).unwrap()).ok();
    assert_eq!(fs::read_to_string(sandbox.root().join("volumes/vol/_data/dir/one")).unwrap(), "1\n");
    fs::write(sandbox.path().join("dir/one"), "2\n").unwrap();
    cp(&format!("{dir}/one"), "box:/new/one");
    sandbox.ctr(["exec", "box", "cat", "/new/one"]).ok().prints("2");
    // A link is copied as a link, or what it leads to.
    cp(&format!("{dir}/link"), "box:/new/as-link");
    sandbox.ctr(["cp", "-L", &format!("{dir}/link"), "box:/new/as-file"]).ok();
    assert_eq!(listed(&sandbox, "box", "/new/as-link"), "/new/as-link l 0:0 777 one");
    sandbox.ctr(["exec", "box", "cat", "/new/as-file"]).ok().prints("2");
    for (source, target, why) in [
        (dir.as_str(), "box:/bin/sh", "cannot copy directory"),
        ("/etc/passwd", "box:/nope/", "no such directory"),
        ("/etc/passwd", "box:/nope/x", "No such container:path: box:/nope"),
        ("/no/such", "box:/", "no such file or directory"),
        ("-", "box:/bin/sh", "destination \"box:/bin/sh\" must be a directory"),
        ("box:/a", "box:/b", "copying between containers is not supported"),
        ("a", "b", "must specify at least one container source"),
        ("nope:/a", "b", "No such container:path: nope:/a"),
    ] {
        sandbox.ctr(["cp", source, target]).exits(1).says(why);
    }
}

#[test]
fn files_come_out_by_dockers_rules() {
    let sandbox = with_container();
    sandbox.ctr(["cp", &path(&sandbox, "dir"), "box:/a"]).ok();
    let out = sandbox.path().join("out");
    let to = |name: &str| out.join(name).to_str().unwrap().to_owned();
    fs::create_dir(&out).unwrap();
    // Running and stopped are the same.
    for state in ["up", "down"] {
        if state == "down" {
            sandbox.ctr(["exec", "-u", "0", "box", "sh", "-c", "echo kept > /vol/kept"]).ok();
            sandbox.ctr(["stop", "-t", "0", "box"]).ok();
        }
        sandbox.ctr(["cp", "box:/a", &to(&format!("{state}-new"))]).ok();
        sandbox.ctr(["cp", "box:a/.", &to("")]).ok();
        let one = fs::metadata(out.join(format!("{state}-new/one"))).unwrap();
        assert_eq!((one.uid(), one.gid(), one.mode() & 0o777), (0, 0, 0o644), "who copies is the owner");
        assert_eq!(fs::read_link(out.join("link")).unwrap().to_str(), Some("one"));
        sandbox.ctr(["cp", "-L", "box:/a/link", &to(&format!("{state}-file"))]).ok();
        assert_eq!(fs::read_to_string(to(&format!("{state}-file"))).unwrap(), "1\n");
        let names = |source: &str| {
            let tar = sandbox.command("sh").args(["-c", &format!("ctr cp {source} - | tar -t")]).output().unwrap();
            String::from_utf8(tar.stdout).unwrap()
        };
        assert_eq!(names("box:/a"), "a/\na/link\na/one\na/sub/\n");
        assert_eq!(names("box:/a/."), "./\n./link\n./one\n./sub/\n");
        assert_eq!(names("box:/a/one"), "one\n");
    }
    sandbox.ctr(["cp", "box:/vol/kept", &to("kept")]).ok();
    assert_eq!(fs::read_to_string(to("kept")).unwrap(), "kept\n");
    sandbox.ctr(["cp", "box:/etc/hosts", &to("hosts")]).ok();
    assert!(fs::read_to_string(to("hosts")).unwrap().contains("localhost"));
    sandbox.ctr(["cp", "box:/a", &to("hosts")]).exits(1).says("cannot copy directory");
    sandbox.ctr(["cp", "box:/a/one", &to("no/such")]).exits(1).says("invalid output path: directory");
    sandbox.ctr(["cp", "box:/nope", &to("x")]).exits(1).says("No such container:path: box:/nope");
    // The script does the same; and nothing stays mounted.
    let script = sandbox.ctr(["--explain", "cp", "box:/a/one", &to("scripted")]).ok();
    sandbox.sh(&script.stdout).ok();
    assert_eq!(fs::read_to_string(to("scripted")).unwrap(), "1\n");
    assert_eq!(sandbox.mounts(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let sandbox = with_container();
    let line = ["create", "--name", "fixed", "--read-only", "-v", "vol:/vol:ro", "-v", "other:/other", "base", "true"];
    sandbox.ctr(line).ok();
    sandbox.ctr(["cp", "/etc/passwd", "fixed:/x"]).exits(1).says("container rootfs is marked read-only");
    sandbox.ctr(["cp", "/etc/passwd", "fixed:/vol/x"]).exits(1).says("mounted volume is marked read-only");
    sandbox.ctr(["cp", "/etc/passwd", "fixed:/other/x"]).ok();
    assert!(sandbox.root().join("volumes/other/_data/x").exists());
}

/// CVE-2018-15664: a container swaps a folder for a link to the host while files are copied through it.
#[test]
fn no_link_leads_out_of_the_container_even_when_it_moves() {
    let sandbox = Sandbox::with_base();
    let outside = sandbox.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret\n").unwrap();
    let out = outside.display();
    // A fixed link first: inside there is no such folder.
    let swap = format!(
        "ln -s {out} /fixed; ln -s {out} /evil; mkdir -p /good{out} /folder; echo harmless > /folder/secret; touch /ready; \
         while :; do mv /folder /aside; mv -T /evil /folder; mv -T /folder /evil; mv /aside /folder; done"
    );
    sandbox.ctr(["run", "-d", "--name", "evil", "base", "sh", "-c", &swap]).ok();
    ctr_tests::poll_until(60, "the swapping", || {
        (sandbox.ctr(["exec", "evil", "ls", "/ready"]).code == 0).then_some(())
    });
    let copy = sandbox.path().join("copy");
    let copy = copy.to_str().unwrap();
    sandbox.ctr(["cp", "evil:/fixed/secret", copy]).exits(1);
    sandbox.ctr(["cp", "/etc/passwd", "evil:/fixed/planted"]).exits(1);
    for _ in 0..8 {
        if sandbox.ctr(["cp", "evil:/folder/secret", copy]).code == 0 {
            assert_eq!(fs::read_to_string(copy).unwrap(), "harmless\n");
        }
        sandbox.ctr(["cp", "/etc/passwd", "evil:/folder/planted"]);
    }
    let left: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"], "nothing was written outside");
    sandbox.ctr(["rm", "-f", "evil"]).ok();
}

#[test]
fn diff_shows_what_was_added_changed_and_deleted() {
    let sandbox = Sandbox::with_base();
    let script = "echo x > /etc/zz; rm /etc/passwd; mkdir -p /opt/a/b; chmod 700 /var; echo y > /vol/y; rm -rf /root; mkdir /root";
    sandbox.ctr(["run", "--name", "box", "-v", "vol:/vol", "base", "sh", "-c", script]).ok();
    let diff = sandbox.ctr(["diff", "box"]).ok();
    for line in ["A /etc/zz", "D /etc/passwd", "C /etc", "A /opt/a/b", "C /var", "A /vol", "C /root"] {
        assert!(diff.stdout.lines().any(|shown| shown == line), "{line}\n{diff}");
    }
    for hidden in ["/proc", "/dev", "/sys", ".dockerenv", "/etc/hosts", "/etc/mtab", "/vol/y"] {
        assert!(!diff.stdout.contains(hidden), "{hidden}\n{diff}");
    }
    sandbox.ctr(["create", "--name", "new", "base", "true"]).ok();
    sandbox.ctr(["diff", "new"]).ok().prints("");
    sandbox.ctr(["ps", "-as", "--filter", "name=new", "--format", "{{.Size}}"]).ok().shows("0B (virtual ");
    sandbox.ctr(["run", "--rm", "base", "readlink", "/etc/mtab"]).ok().prints("/proc/mounts");
    sandbox.ctr(["diff", "nope"]).exits(1).says("No such container: nope");
    // Volumes are no part of a container's own files.
    sandbox.ctr(["commit", "box", "image"]).ok();
    sandbox.ctr(["run", "--rm", "image", "ls", "/vol"]).ok().prints("");
    let exported = sandbox.command("sh").args(["-c", "ctr export box | tar -t | grep vol/y"]).output().unwrap();
    assert_eq!(String::from_utf8(exported.stdout).unwrap(), "");
}
