//! What is noted of images, volumes, networks and containers, in docker's words.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::registry::Registry;
use ctr_tests::{Sandbox, poll_until};
use serde_json::Value;

/// Of each event its type, action, and attributes; long ids are cut to twelve digits.
fn noted(sandbox: &Sandbox, filters: &[&str]) -> Vec<String> {
    let format = ["events", "--since", "1h", "--until", "0s", "--format", "{{json .}}"];
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let shown = sandbox.ctr(format.into_iter().chain(filters)).ok();
    let short = |value: &Value| {
        let text = value.as_str().unwrap();
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() == 64 { "ID".to_owned() } else { text.to_owned() }
    };
    let line = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let attributes = event["Actor"]["Attributes"].as_object().unwrap();
        let attributes: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={}", short(value))).collect();
        let words = [&event["Type"], &event["Action"], &event["Actor"]["ID"]].map(short);
        format!("{} {}", words.join(" "), attributes.join(" "))
    };
    shown.stdout.lines().map(line).collect()
}

#[test]
fn what_happens_to_images_is_noted_by_whoever_does_it() {
    let sandbox = Sandbox::new();
    sandbox.sh("mkdir d; echo x > d/x; tar -C d -c . | ctr import -c 'LABEL a=b' - imp:1").ok();
    sandbox.ctr(["tag", "imp:1", "imp:2"]).ok();
    sandbox.ctr(["save", "-o", sandbox.path().join("s.tar").to_str().unwrap(), "imp:1", "imp:2"]).ok();
    sandbox.ctr(["rmi", "imp:2"]).ok();
    sandbox.ctr(["rmi", "imp:1"]).ok();
    sandbox.ctr(["load", "-i", sandbox.path().join("s.tar").to_str().unwrap()]).ok();
    let id = sandbox.ctr(["images", "-q", "imp:1"]).ok();
    sandbox.ctr(["rmi", "-f", id.text()]).ok();
    sandbox.ctr(["image", "prune", "-f"]).ok();
    let expected = [
        "image tag ID a=b name=imp:1",
        "image import ID a=b name=ID",
        "image tag ID a=b name=imp:2",
        "image save ID a=b name=ID",
        "image untag ID a=b name=ID",
        "image untag ID a=b name=ID",
        "image delete ID name=ID",
        "image load ID a=b name=ID",
        "image untag ID a=b name=ID",
        "image untag ID a=b name=ID",
        "image delete ID name=ID",
        "image prune  reclaimed=0",
    ];
    assert_eq!(noted(&sandbox, &["type=image"]), expected);
    assert_eq!(noted(&sandbox, &["image=imp"]), [expected[0], expected[2]]);
    assert_eq!(noted(&sandbox, &["event=delete", "event=import"]), [expected[1], expected[6], expected[10]]);

    // Nothing is noted of what is only explained, or failed.
    sandbox.ctr(["--explain", "rmi", "imp:1"]).ok();
    sandbox.ctr(["rmi", "imp:1"]).exits(1);
    sandbox.ctr(["tag", "nosuch", "x"]).exits(1);
    assert_eq!(noted(&sandbox, &["type=image"]).len(), expected.len());
}

#[test]
fn what_comes_and_goes_by_a_registry_is_noted_by_its_name() {
    let (sandbox, registry) = (Sandbox::new(), Registry::plain());
    let name = format!("{}/team/app", registry.host());
    sandbox.sh(&format!("mkdir d; echo x > d/x; tar -C d -c . | ctr import - {name}:1")).ok();
    sandbox.ctr(["push", "-q", &format!("{name}:1")]).ok();
    sandbox.ctr(["rmi", &format!("{name}:1")]).ok();
    sandbox.ctr(["pull", "-q", &format!("{name}:1")]).ok();
    let expected = ["push", "pull"].map(|action| format!("image {action} {name}:1 name={name}"));
    assert_eq!(noted(&sandbox, &["event=push", "event=pull"]), expected);
    assert_eq!(noted(&sandbox, &[&format!("image={name}"), "event=pull"]).len(), 1);
}

#[test]
fn a_containers_volumes_and_network_come_and_go_with_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["volume", "create", "data"]).ok();
    let id = sandbox.ctr(["create", "--name", "box", "-v", "data:/x:ro", "base", "true"]).ok().text().to_owned();
    sandbox.ctr(["start", "-a", "box"]).ok();
    sandbox.ctr(["rm", "box"]).ok();
    sandbox.ctr(["volume", "rm", "data"]).ok();
    let words: Vec<String> = noted(&sandbox, &[]).iter().map(|line| line.replace(&id, "ID")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|line| !line.starts_with("image")).collect();
    let expected = [
        "volume create data driver=local",
        "container create ID image=base name=box",
        "container attach ID image=base name=box",
        "network connect ID container=ID name=bridge type=bridge",
        "volume mount data container=ID destination=/x driver=local propagation= read/write=false",
        "container start ID image=base name=box",
        "container die ID exitCode=0 image=base name=box",
        "network disconnect ID container=ID name=bridge type=bridge",
        "volume unmount data container=ID driver=local",
        "container destroy ID image=base name=box",
        "volume destroy data driver=local",
    ];
    assert_eq!(words, expected);
    // Other modes have other names; another container's network is that one's.
    sandbox.ctr(["run", "--rm", "--network", "none", "base", "true"]).ok();
    sandbox.ctr(["run", "--rm", "--network", "host", "base", "true"]).ok();
    let networks = noted(&sandbox, &["type=network", "event=connect"]);
    let names: Vec<&str> = networks.iter().map(|line| line.split("name=").nth(1).unwrap()).collect();
    assert_eq!(names, ["bridge type=bridge", "none type=null", "host type=host"]);
}

#[test]
fn what_is_done_to_a_container_is_noted() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "--stop-timeout", "0", "base", "sleep", "600"]).ok();
    sandbox.ctr(["exec", "box", "true"]).ok();
    sandbox.ctr(["exec", "box", "nosuch"]).exits(127);
    sandbox.ctr(["top", "box"]).ok();
    let file = sandbox.path().join("hostname").to_str().unwrap().to_owned();
    sandbox.ctr(["cp", "box:/etc/hostname", &file]).ok();
    sandbox.ctr(["cp", &file, "box:/tmp/"]).ok();
    sandbox.ctr(["cp", "box:/nosuch", &file]).exits(1);
    sandbox.ctr(["export", "-o", &file, "box"]).ok();
    sandbox.ctr(["commit", "-m", "a note", "box", "made:1"]).ok();
    sandbox.ctr(["update", "--restart", "no", "box"]).ok();
    sandbox.ctr(["rename", "box", "other"]).ok();
    poll_until(60, "the end of the exec to be noted", || noted(&sandbox, &["event=exec_die"]).first().map(drop));
    let mut pty = sandbox.ctr_in_terminal(["run", "--rm", "-t", "--name", "term", "base", "true"]);
    assert_eq!(pty.wait(), 0);
    // A process of `exec` is known by its id as long as it runs.
    let ids = || sandbox.ctr(["inspect", "-f", "{{json .ExecIDs}}", "other"]).ok().json();
    assert_eq!(ids(), Value::Null);
    sandbox.ctr(["exec", "-d", "other", "sh", "-c", "until [ -e /tmp/go ]; do sleep 0.1; done"]).ok();
    let created = sandbox.ctr(["events", "--since", "1h", "--until", "0s", "--format", "{{json .}}"]).ok();
    let created = created.stdout.lines().rfind(|line| line.contains("exec_create")).unwrap();
    let created: Value = serde_json::from_str(created).unwrap();
    assert_eq!(ids(), serde_json::json!([created["Actor"]["Attributes"]["execID"]]));
    sandbox.ctr(["exec", "other", "touch", "/tmp/go"]).ok();
    poll_until(60, "the last exec to be forgotten", || ids().is_null().then_some(()));
    sandbox.ctr(["rm", "-f", "other"]).ok();

    let lines = noted(&sandbox, &["type=container"]);
    let actions: Vec<&str> = lines
        .iter()
        .filter(|line| line.contains("name=box") || (line.contains("name=other") && !line.contains("exec_")))
        .map(|line| line.strip_prefix("container ").unwrap().split(" ID ").next().unwrap())
        .filter(|action| *action != "exec_die")
        .collect();
    let expected = [
        "create",
        "start",
        "exec_create: true ",
        "exec_start: true ",
        "exec_create: nosuch ",
        "exec_start: nosuch ",
        "top",
        "archive-path",
        "extract-to-dir",
        "export",
        "pause",
        "unpause",
        "commit",
        "update",
        "rename",
        "kill",
        "die",
        "destroy",
    ];
    assert_eq!(actions, expected);
    let whole = |action: &str| lines.iter().find(|line| line.contains(&format!(" {action} "))).cloned().unwrap();
    assert_eq!(whole("commit"), "container commit ID comment=a note image=base imageID=ID imageRef=made:1 name=box");
    assert_eq!(whole("rename"), "container rename ID image=base name=other oldName=/box");
    assert!(whole("resize").contains("height="), "{lines:?}");
    assert!(whole("resize").contains("width="), "{lines:?}");
}
