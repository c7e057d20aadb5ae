//! The commands about images, in docker's words: what they print, what they refuse, what is in what they make.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, image};
use serde_json::json;

/// The names in the highest layer of an image.
fn top_layer(sandbox: &Sandbox, image: &str) -> Vec<String> {
    let layout = sandbox.layout();
    let found = layout::images::find(&layout, image).unwrap();
    let blob = layout.blob(&found.manifest.layers.last().unwrap().digest);
    let listed = sandbox.sh(&format!("tar -tzf {}", blob.display())).ok();
    listed.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_commit_holds_what_the_container_changed_and_how_it_was_run() {
    let sandbox = Sandbox::new();
    // An image without the places that the engine mounts something on.
    let base = image::base_tar(false);
    let bare = "mkdir r; tar -xf BASE -C r; rm -rf r/dev r/proc r/sys r/etc/hosts r/etc/hostname r/etc/resolv.conf";
    sandbox.sh(&format!("{}; tar -C r -c . | ctr import - bare", bare.replace("BASE", base.to_str().unwrap()))).ok();
    let script = "echo new > /new; rm /etc/passwd; touch /etc/hosts.allow";
    let run = ["run", "--name", "box", "-e", "A=b", "-p", "80", "-w", "/tmp", "bare", "sh", "-c", script];
    sandbox.ctr(run).ok();
    let commit =
        ["commit", "-a", "Ada <ada@example.com>", "-m", "a note", "-c", "CMD [\"cat\", \"/new\"]", "box", "made:1"];
    let id = sandbox.ctr(commit).ok().text().to_owned();
    let mut names = top_layer(&sandbox, "made:1");
    names.sort();
    assert_eq!(names, ["etc/", "etc/.wh.passwd", "etc/hosts.allow", "new"], "nothing of the engine's own");

    let inspected = sandbox.ctr(["image", "inspect", "made:1"]).ok().json();
    let made = &inspected[0];
    let config = json!({"Env": ["A=b"], "Cmd": ["cat", "/new"], "WorkingDir": "/tmp", "ExposedPorts": {"80/tcp": {}}});
    let mut said = made["Config"].clone();
    // What the image says nothing about is shown, as by docker.
    said.as_object_mut().unwrap().retain(|_, value| !value.is_null() && *value != json!("") && *value != json!(false));
    assert_eq!((&made["Id"], &said), (&json!(id), &config));
    assert_eq!((&made["Author"], &made["Comment"]), (&json!("Ada <ada@example.com>"), &json!("a note")));
    let parent = sandbox.ctr(["image", "inspect", "-f", "{{.Id}}", "bare"]).ok();
    assert_eq!(made["Parent"], json!(parent.text()));
    let history = sandbox.ctr(["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "made:1"]).ok();
    assert_eq!(history.text(), format!("sh -c {script}|a note\n|Imported from -"));
    sandbox.ctr(["run", "--rm", "made:1"]).ok().prints("new");

    sandbox.ctr(["commit", "-c", "RUN x", "box"]).exits(1).says("run is not a valid change command");
    sandbox.ctr(["commit", "box", "UPPER"]).exits(1).says("repository name must be lowercase");
    sandbox.ctr(["commit", "nosuch"]).exits(1).says("No such container: nosuch");
    assert_eq!(std::fs::read_dir(sandbox.layout().tmp()).unwrap().count(), 0);
}

#[test]
fn a_container_that_runs_is_committed_and_exported_and_goes_on() {
    let sandbox = Sandbox::with_base();
    let script = "echo here > /here; echo ready; exec sleep 600";
    let id = sandbox.ctr(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    ctr_tests::poll_until(60, "its file", || (sandbox.ctr(["logs", "box"]).text() == "ready").then_some(()));
    for pause in ["--pause=true", "--pause=false"] {
        let made = sandbox.ctr(["commit", pause, "box"]).ok();
        assert_eq!(top_layer(&sandbox, made.text()), ["here"]);
        sandbox.ctr(["exec", "box", "cat", "/here"]).ok().prints("here");
    }
    let explained = sandbox.ctr(["--explain", "commit", "box", "scripted"]).ok();
    assert!(explained.stdout.contains(&format!("pause {}", id.text())), "{explained}");
    sandbox.sh(&explained.stdout).ok();
    assert_eq!(top_layer(&sandbox, "scripted"), ["here"]);
    sandbox.ctr(["exec", "box", "true"]).ok();

    sandbox.sh("ctr export box > up.tar").ok();
    sandbox.ctr(["kill", "box"]).ok();
    sandbox.ctr(["wait", "box"]).ok();
    sandbox.ctr(["export", "-o", "down.tar", "box"]).ok();
    sandbox.sh(&sandbox.ctr(["--explain", "export", "-o", "script.tar", "box"]).ok().stdout).ok();
    assert_eq!(sandbox.mounts(), Vec::<std::path::PathBuf>::new());
    sandbox.sh("for a in up down script; do tar -tf $a.tar | sort > $a; done; cmp up down; cmp up script").ok();
    sandbox.sh("grep -x here up && ! grep -F .wh. up && ctr import up.tar again").ok();
    sandbox.ctr(["run", "--rm", "again", "cat", "/here"]).ok().prints("here");
    sandbox.ctr(["export", "nosuch"]).exits(1).says("No such container: nosuch");
}

#[test]
fn images_are_listed_by_filters_and_in_forms() {
    let sandbox = Sandbox::with_base();
    let base = image::base_tar(false);
    let base = base.to_str().unwrap();
    sandbox.ctr(["import", "-c", "LABEL kind=web", base, "localhost:5000/team/web:2"]).ok();
    sandbox.ctr(["tag", "base", "base:old"]).ok();
    sandbox.ctr(["import", base, "base"]).ok();
    sandbox.ctr(["import", base]).ok();
    let listed = |args: &[&str]| {
        let args = [&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat();
        let mut lines: Vec<String> = sandbox.ctr(args).ok().stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let web = "localhost:5000/team/web:2";
    assert_eq!(listed(&[]), ["<none>:<none>", "base:latest", "base:old", web]);
    assert_eq!(listed(&["base"]), ["base:latest", "base:old"]);
    assert_eq!(listed(&["b*:o*"]), ["base:old"]);
    assert_eq!(listed(&["-f", "reference=*/*/web", "-f", "reference=nosuch"]), [web]);
    assert_eq!(listed(&["-f", "label=kind=web"]), [web]);
    assert_eq!(listed(&["-f", "label=nosuch"]), Vec::<String>::new());
    assert_eq!(listed(&["-f", "dangling=true"]), ["<none>:<none>"]);
    assert_eq!(listed(&["-f", "dangling=false", "-f", "since=base:old"]), ["base:latest", web]);
    assert_eq!(listed(&["--filter", "before=base"]), ["base:old", web]);
    sandbox.ctr(["images", "-f", "nosuch=1"]).exits(1).says("Invalid filter 'nosuch'");
    sandbox.ctr(["images", "-f", "label"]).exits(1).says("bad format of filter (expected name=value)");
    sandbox.ctr(["images", "-f", "before=nosuch"]).exits(1).says("No such image: nosuch:latest");
    sandbox.ctr(["images", "--format", "{{.Nosuch}}"]).exits(1).says("can't evaluate field Nosuch");

    let table = sandbox.ctr(["images", "--digests", "base:old"]).ok();
    assert!(table.stdout.starts_with("REPOSITORY   TAG       DIGEST    IMAGE ID       CREATED"), "{table}");
    let line = sandbox.ctr(["images", "--format", "json", "base:old"]).ok().json();
    assert_eq!((&line["Repository"], &line["Tag"], &line["Digest"]), (&json!("base"), &json!("old"), &json!("<none>")));
    let whole = sandbox.ctr(["image", "ls", "-q", "--no-trunc", "base:old"]).ok();
    let inspected = sandbox.ctr(["image", "inspect", "-f", "{{.Id}} {{json .RepoTags}}", "base:old"]).ok();
    assert_eq!(inspected.text(), format!("{} [\"base:old\"]", whole.text()));
    let head = sandbox.ctr(["images", "--format", "table {{.Tag}}\\t{{.ID}}", "base:old"]).ok();
    assert!(head.stdout.starts_with("TAG       IMAGE ID\nold       "), "{head}");
}

#[test]
fn what_is_in_use_is_not_removed_and_docker_says_why() {
    let sandbox = Sandbox::with_base();
    let id = sandbox.ctr(["images", "-q", "base"]).ok().text().to_owned();
    let runs = sandbox.ctr(["run", "-d", "base", "sleep", "600"]).ok().text()[..12].to_owned();
    let conflict = |how: &str| format!("conflict: unable to delete {id} ({how}) - image ");
    let used = format!("must force) - container {runs} is using its referenced image {id}");
    sandbox.ctr(["rmi", "base"]).exits(1).says(&used);
    let running = format!("{}is being used by running container {runs}", conflict("cannot be forced"));
    sandbox.ctr(["rmi", &id]).exits(1).says(&running);
    sandbox.ctr(["rmi", "-f", &id]).exits(1).says(&running);
    sandbox.ctr(["commit", &runs, "child"]).ok();
    sandbox.ctr(["rmi", "-f", &id]).exits(1).says(&format!("{}has dependent child", conflict("cannot be forced")));
    sandbox.ctr(["rmi", "child"]).ok().shows("Untagged: child:latest\nDeleted: sha256:");
    sandbox.ctr(["kill", &runs]).ok();
    sandbox.ctr(["wait", &runs]).ok();
    let stopped = format!("{}is being used by stopped container {runs}", conflict("must be forced"));
    sandbox.ctr(["rmi", &id]).exits(1).says(&stopped);
    sandbox.ctr(["tag", "base", "other"]).ok();
    let several = format!("{}is referenced in multiple repositories", conflict("must be forced"));
    sandbox.ctr(["rmi", &id]).exits(1).says(&several);
    sandbox.ctr(["rmi", "-f", &id, "nosuch"]).ok().shows("Untagged: base:latest\nUntagged: other:latest\nDeleted: ");
    sandbox.ctr(["rmi", "nosuch"]).exits(1).says("No such image: nosuch:latest");
    // What the container needs is there until it goes.
    sandbox.ctr(["start", &runs]).ok();
    sandbox.ctr(["exec", &runs, "true"]).ok();
}

#[test]
fn images_that_nobody_needs_are_pruned() {
    let sandbox = Sandbox::with_base();
    let base = image::base_tar(false);
    sandbox.ctr(["import", "-c", "LABEL keep=me", base.to_str().unwrap(), "base"]).ok();
    let all = || sandbox.ctr(["images", "-aq"]).ok().stdout.lines().count();
    sandbox.ctr_reading(["image", "prune"], b"n\n").ok().shows("[y/N]");
    assert_eq!(all(), 2);
    let pruned = sandbox.ctr_reading(["image", "prune"], b"y\n").ok();
    assert!(pruned.stdout.contains("Deleted Images:\ndeleted: sha256:"), "{pruned}");
    assert_eq!(all(), 1);
    sandbox.ctr(["image", "prune", "-f"]).ok().prints("Total reclaimed space: 0B");
    sandbox.ctr(["image", "prune", "-af", "--filter", "label!=keep"]).ok().prints("Total reclaimed space: 0B");
    sandbox.ctr(["image", "prune", "-f", "--filter", "nosuch=1"]).exits(1).says("Invalid filter 'nosuch'");
    sandbox.ctr(["create", "--name", "box", "base", "true"]).ok();
    sandbox.ctr(["image", "prune", "-af"]).ok();
    assert_eq!(all(), 1, "a container uses it");
    sandbox.ctr(["rm", "box"]).ok();
    sandbox.ctr(["image", "prune", "-af", "--filter", "until=0s"]).ok().shows("untagged: base:latest");
    assert_eq!(all(), 0);
}

#[test]
fn archives_are_not_written_to_a_terminal() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "box", "base", "true"]).ok();
    for args in [["save", "base"], ["export", "box"]] {
        let mut user = sandbox.ctr_in_terminal(args);
        user.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect");
        assert_eq!(user.wait(), 1);
    }
    let mut user = sandbox.ctr_in_terminal(["load"]);
    user.expect("requested load from stdin, but stdin is empty");
    assert_eq!(user.wait(), 1);
    sandbox.ctr(["import", "https://example.com/x.tar", "x"]).exits(1).says("nothing is downloaded here");
    sandbox.sh("ctr save base | ctr load").ok().prints("Loaded image: base:latest");
}
