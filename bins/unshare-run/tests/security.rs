//! What must hold even against a hostile root filesystem, configuration or program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Bundle, program, write_script};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A bundle whose configuration mounts a tmpfs, and binds a folder, at a path of the root.
fn with_mounts_at(destination: &str, prepare: impl FnOnce(&Path)) -> Bundle {
    let mut bundle = Bundle::new("cat /proc/self/mountinfo");
    fs::create_dir(bundle.path().join("outside")).unwrap();
    fs::write(bundle.path().join("outside/file"), "the host's").unwrap();
    prepare(&bundle.rootfs());
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.push(json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
    bundle
}

#[test]
fn a_mount_at_a_link_that_leads_out_stays_inside() {
    let bundle =
        with_mounts_at("/evil/deep", |root| symlink("../../../../../../../../srv", root.join("evil")).unwrap());
    let table = bundle.prints("x");
    assert!(table.contains(" /srv/deep "), "{table}");
    assert!(!Path::new("/srv/deep").exists());

    let bundle = with_mounts_at("/evil", |root| {
        let outside = root.parent().unwrap().join("outside");
        symlink(outside, root.join("evil")).unwrap();
    });
    let table = bundle.prints("x");
    assert!(table.contains(&format!(" {}/outside ", bundle.path().display())), "{table}");
    assert_eq!(fs::read_dir(bundle.path().join("outside")).unwrap().count(), 1);
}

#[test]
fn a_link_that_leads_nowhere_is_followed_inside() {
    let bundle = with_mounts_at("/a/b", |root| symlink("/not/yet/there", root.join("a")).unwrap());
    assert!(bundle.prints("x").contains(" /not/yet/there/b "));
}

#[test]
fn proc_is_mounted_on_an_ordinary_folder_only() {
    let bundle = Bundle::new("true");
    fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    symlink("/tmp", bundle.rootfs().join("proc")).unwrap();
    let said = bundle.run("x");
    assert!(said.code == 1 && said.err.contains("must be an ordinary folder, not a link"), "{said:?}");
}

#[test]
fn nothing_is_mounted_over_files_of_procfs() {
    for destination in ["/proc/self/attr", "/proc/sys", "/hidden"] {
        let bundle = with_mounts_at(destination, |root| symlink("/proc/sys/net", root.join("hidden")).unwrap());
        let said = bundle.run("x");
        assert!(said.code == 1 && said.err.contains("inside of /proc"), "{destination}: {said:?}");
    }
}

#[test]
fn no_descriptor_of_the_host_reaches_the_program_but_those_that_are_asked_for() {
    let bundle = Bundle::new("exec ls /proc/self/fd");
    bundle.command(&[]);
    let run = |options: &str| {
        let (program, state, place) = (program(), bundle.state_root(), bundle.path());
        let line = format!(
            "exec {} --root {} run {options} --bundle {} x 3</etc/passwd 4</etc/group 9</etc/hosts",
            program.display(),
            state.display(),
            place.display()
        );
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap().replace('\n', " "))
    };
    // The last one is ls's own, of the folder.
    assert_eq!(run(""), (Some(0), "0 1 2 3 ".to_owned()));
    assert_eq!(run("--preserve-fds 2"), (Some(0), "0 1 2 3 4 5 ".to_owned()));
    assert_eq!(run("--preserve-fds 3").0, Some(1), "descriptor 5 is not open");
}

#[test]
fn the_working_folder_cannot_be_one_of_the_hosts() {
    let mut bundle = Bundle::new("pwd; ls");
    for fd in 0..16 {
        bundle.config["process"]["cwd"] = json!(format!("/proc/self/fd/{fd}"));
        let said = bundle.run("x");
        assert!(said.code != 0 && said.out.is_empty(), "{fd}: {said:?}");
    }
}

#[test]
fn the_program_cannot_write_to_the_runtime() {
    let bundle = Bundle::new("sleep 1000");
    bundle.create("x");
    // While it waits for `start`, process 1 is the runtime itself.
    let exe = format!("/proc/{}/exe", bundle.pid("x"));
    let refused = fs::OpenOptions::new().write(true).open(&exe).unwrap_err();
    assert!(matches!(refused.raw_os_error(), Some(libc::EROFS | libc::EPERM | libc::ETXTBSY)), "{refused}");
    // And not only because it is running just now.
    let mount = rustix::fs::statvfs(&exe).unwrap();
    assert!(mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
}

#[test]
fn a_script_that_names_the_runtime_as_its_interpreter_gets_nothing() {
    let bundle = Bundle::new("").args(&["/bin/evil"]);
    let evil = bundle.rootfs().join("bin/evil");
    write_script(&evil, "#!/proc/self/exe\n");
    assert_ne!(bundle.run("x").code, 0);
}

#[test]
fn what_is_not_supported_is_refused_before_anything_is_made() {
    let mut bundle = Bundle::new("true");
    bundle.config["linux"]["intelRdt"] = json!({"closID": "x"});
    let said = bundle.run("x");
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            1,
            "unshare-run: config.json: linux.intelRdt: resctrl is not mounted (mount -t resctrl resctrl /sys/fs/resctrl), or this machine has none"
        )
    );
    assert_eq!(bundle.call(&["list", "-q"]).out, "");
}

#[test]
fn names_of_containers_are_no_paths() {
    let bundle = Bundle::new("true");
    for id in ["../x", "a/b", "..", ""] {
        assert_eq!(bundle.run(id).code, 1, "{id}");
        assert_eq!(bundle.call(&["delete", "--force", id]).code, 1, "{id}");
    }
}

#[test]
fn a_container_has_what_runc_gives_it() {
    if std::env::var_os("CTR_TEST_NO_RUNC").is_some() {
        eprintln!("not compared: CTR_TEST_NO_RUNC says that there is no runc here");
        return;
    }
    let mut bundle = Bundle::new(
        "id; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; env | grep -v SHLVL; umask; pwd; hostname; \
         ls /dev; ls /proc/self/fd; readlink /proc/1/root; mount | sed 's/ on / /' | grep ^/proc; \
         cat /proc/self/oom_score_adj; ulimit -n; mkdir /proc/sys/x 2>&1; ls -l /sys/firmware | wc -l",
    );
    // Said outright: without it, this runc passes on the soft limit that Go raises for itself.
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024}]);
    bundle.command(&[]);
    let mut runc = Command::new("runc");
    runc.arg("--root").arg(bundle.path().join("runc")).args(["run", "--bundle"]).arg(bundle.path());
    let theirs = runc.arg(format!("cmp-{}", std::process::id())).output();
    let theirs = theirs.expect("this test compares with runc: install it, or set CTR_TEST_NO_RUNC");
    assert_eq!(bundle.run("x").out, String::from_utf8(theirs.stdout).unwrap().trim_end());
}
