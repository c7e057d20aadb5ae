//! What a container can do to the engine, and so to other containers, through what both can reach: files in `/etc` that are bound
//! from the container's folder, its volumes, the image's own files.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use layout::lock::Lock;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn files_that_a_container_has_filled_keep_no_neighbour_from_starting() {
    let sandbox = Sandbox::with_base();
    // Sparse: larger than any memory, and no block of the disk.
    let script = "truncate -s 1T /etc/hosts /etc/hostname && exec sleep 900";
    sandbox.ctr(["run", "-d", "--name", "greedy", "base", "sh", "-c", script]).ok();
    let file = sandbox.root().join("names/greedy/hostname");
    poll_until(60, "the file to be filled", || (fs::metadata(&file).unwrap().len() == 1 << 40).then_some(()));
    sandbox.ctr(["run", "--rm", "--name", "good", "base", "grep", "-c", "good", "/etc/hosts"]).ok().prints("1");
    sandbox.ctr(["restart", "-t", "0", "greedy"]).ok();
    sandbox.ctr(["rm", "-f", "greedy"]).ok();
}

#[test]
fn a_lock_on_a_volume_keeps_nobody_from_using_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["volume", "create", "data"]).ok();
    // As a container would that has it mounted: it is the same folder.
    let held = Lock::on_dir(&sandbox.layout().volume_data("data")).unwrap().unwrap();
    // The volume is empty still, so it is filled from the image, which takes a lock.
    sandbox.ctr(["run", "--rm", "-v", "data:/etc", "base", "test", "-e", "/etc/passwd"]).ok();
    drop(held);
}

#[test]
fn nobody_else_looks_into_the_store() {
    let sandbox = Sandbox::with_base();
    // A setuid program in a layer or a container is as good as one of the host to who can reach it, and `container.json` has passwords.
    for dir in [sandbox.root(), sandbox.run_dir()] {
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o007, 0, "{}", dir.display());
    }
}

#[test]
fn an_image_whose_users_cannot_be_is_refused() {
    let sandbox = Sandbox::with_base();
    let script = "echo all:x:4294967295:4294967295::/: >> /etc/passwd; rm /etc/group; mknod /etc/group p";
    sandbox.ctr(["run", "--name", "maker", "base", "sh", "-c", script]).ok();
    sandbox.ctr(["commit", "maker", "hostile"]).ok();
    let range = "uids and gids must be in range 0-2147483647";
    for user in ["all", "-1", "4294967295", "0:4294967295"] {
        sandbox.ctr(["run", "--rm", &format!("--user={user}"), "hostile", "true"]).exits(125).says(range);
    }
    sandbox.ctr(["run", "--rm", "--group-add", "2147483648", "hostile", "true"]).exits(125).says(range);
    // A pipe in the place of the list of groups is no list, and nobody waits for it to be written to.
    sandbox.ctr(["run", "--rm", "--group-add", "tty", "hostile", "true"]).exits(125).says("Unable to find group tty");
    sandbox.ctr(["rm", "maker"]).ok();
}
