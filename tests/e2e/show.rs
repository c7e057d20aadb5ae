//! What is shown of containers: ps, inspect, top, stats, events, each with docker's templates.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn ps_shows_filters_and_formats_as_docker_does() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--name", "three", "base", "sh", "-c", "echo hello > /f; exit 3"]).exits(3);
    sandbox.ctr(["run", "-d", "--name", "up", "--label", "tier=front", "--expose", "99", "base", "sleep", "900"]).ok();
    sandbox.ctr(["create", "--name", "never", "base", "echo", "hi there"]).ok();
    let names = |args: &[&str]| {
        let all = [&["ps", "--format", "{{.Names}}"], args].concat();
        sandbox.ctr(all).ok().stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["up"]);
    assert_eq!(names(&["-a"]), ["never", "up", "three"]);
    assert_eq!(names(&["-n", "2"]), ["never", "up"]);
    assert_eq!(names(&["-l"]), ["never"]);
    for (filter, expected) in [
        ("name=^/?t", &["three"][..]),
        ("name=e", &["never", "three"]),
        ("label=tier", &["up"]),
        ("label=tier=back", &[]),
        ("exited=3", &["three"]),
        ("status=created", &["never"]),
        ("ancestor=base", &["never", "up", "three"]),
        ("ancestor=nosuch", &[]),
        ("before=up", &["three"]),
        ("since=up", &["never"]),
        ("network=bridge", &["never", "up", "three"]),
        ("expose=99", &["up"]),
        ("publish=99", &[]),
        ("health=none", &["never", "up", "three"]),
        ("is-task=true", &[]),
    ] {
        assert_eq!(names(&["-a", "--filter", filter]), expected, "{filter}");
    }
    assert_eq!(
        names(&["--filter", "status=exited"]),
        ["three"],
        "who asks for a state means those that are down as well"
    );
    sandbox.ctr(["ps", "--filter", "nosuch=1"]).exits(1).says("Invalid filter 'nosuch'");
    sandbox.ctr(["ps", "--filter", "name"]).exits(125).says("bad format of filter (expected name=value)");

    let fields =
        "{{.Image}}|{{.Command}}|{{.State}}|{{.Ports}}|{{.Labels}}|{{.Label \"tier\"}}|{{.Networks}}|{{.LocalVolumes}}";
    let shown = sandbox.ctr(["ps", "--format", fields]).ok();
    shown.prints("base|\"sleep 900\"|running|99/tcp|tier=front|front|bridge|0");
    let table =
        sandbox.ctr(["ps", "-a", "--filter", "name=never", "--format", "table {{.Names}}\\t{{upper .State}}"]).ok();
    table.prints("NAMES     STATE\nnever     CREATED");
    sandbox.ctr(["ps", "-as", "--filter", "name=three"]).ok().shows("SIZE").shows("6B (virtual ");
    let missing = sandbox.ctr(["ps", "--format", "{{.Nosuch}}"]).exits(1);
    missing
        .says("failed to execute template: template: :1:2: executing \"\" at <.Nosuch>: can't evaluate field Nosuch");
    sandbox.ctr(["rm", "-f", "up"]).ok();
}

#[test]
fn inspect_shows_dockers_documents_and_fills_templates_in() {
    let sandbox = Sandbox::with_base();
    let id = sandbox.ctr(["run", "-d", "--name", "box", "-m", "64m", "-e", "A=1", "base", "sleep", "900"]).ok();
    let inspected = sandbox.ctr(["inspect", "box"]).ok();
    let document = &inspected.json()[0];
    let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let dockers = [
        "Id",
        "Created",
        "Path",
        "Args",
        "State",
        "Image",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "Name",
        "RestartCount",
        "Driver",
        "Platform",
        "MountLabel",
        "ProcessLabel",
        "AppArmorProfile",
        "ExecIDs",
        "HostConfig",
        "GraphDriver",
        "Mounts",
        "Config",
        "NetworkSettings",
    ];
    assert_eq!(keys, dockers);
    assert!(inspected.stdout.starts_with("[\n    {\n        \"Id\": "), "{inspected}");
    let facts = "{{.Id}} {{.Name}} {{.State.Status}} {{.State.Running}} {{.HostConfig.Memory}} {{.HostConfig.CapAdd}}";
    let facts = sandbox.ctr(["inspect", "-f", facts, "box"]).ok();
    assert_eq!(facts.text(), format!("{} /box running true 67108864 []", id.text()));
    let address =
        sandbox.ctr(["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "box"]).ok();
    assert_eq!(sandbox.ctr(["exec", "box", "hostname", "-i"]).ok().text(), address.text());
    // The network knows the same.
    let of_network = format!("{{{{(index .Containers \"{}\").Name}}}}", id.text());
    sandbox.ctr(["inspect", "--type", "network", "-f", &of_network, "bridge"]).ok().prints("box");
    sandbox.ctr(["container", "inspect", "-s", "-f", "{{.SizeRw}}", "box"]).ok().prints("0");

    let missing = sandbox.ctr(["inspect", "nosuch"]).exits(1).prints("[]");
    missing.says("Error: No such object: nosuch");
    sandbox.ctr(["inspect", "--type", "image", "box"]).exits(1).says("Error: No such image: box");
    sandbox.ctr(["inspect", "--type", "foo", "box"]).exits(1).says("\"foo\" is not a valid value for --type");
    // What is found is shown all the same.
    sandbox.ctr(["inspect", "-f", "{{.Name}}", "nosuch", "box"]).exits(1).prints("/box");
    let wrong = sandbox.ctr(["inspect", "-f", "{{.State.Nosuch}}", "box"]).exits(1);
    wrong.says("template parsing error: template: :1:8: executing \"\" at <.State.Nosuch>: map has no entry for key \"Nosuch\"");
    sandbox.ctr(["inspect", "-f", "{{nosuch}}", "box"]).exits(64).says("function \"nosuch\" not defined");
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

#[test]
fn top_and_stats_see_the_containers_processes_alone() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "-m", "64m", "base", "sh", "-c", "sleep 901 & sleep 902 & wait"]).ok();
    sandbox.ctr(["create", "--name", "idle", "base", "true"]).ok();
    let top = poll_until(60, "three processes", || {
        let top = sandbox.ctr(["top", "box"]).ok();
        (top.stdout.lines().count() == 4 && top.stdout.matches("sleep 90").count() >= 3).then_some(top)
    });
    assert!(
        top.stdout.starts_with("UID                 PID                 PPID"),
        "docker's columns are 20 wide\n{top}"
    );
    let pids = sandbox.ctr(["top", "box", "-eo", "pid,comm"]).ok();
    let first = sandbox.ctr(["inspect", "-f", "{{.State.Pid}}", "box"]).ok();
    assert!(pids.stdout.lines().any(|line| line.split_whitespace().next() == Some(first.text())), "{pids}");
    sandbox.ctr(["top", "box", "-eo", "comm"]).exits(1).says("Couldn't find PID field in ps output");
    sandbox.ctr(["top", "idle"]).exits(1).says("is not running");

    let stats = sandbox.ctr(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}"]).ok();
    let words: Vec<&str> = stats.text().split_whitespace().collect();
    assert_eq!((words[0], words[1], words[4]), ("box", "3", "64MiB"), "{stats}");
    sandbox.ctr(["stats", "--no-stream", "-a"]).ok().shows("CONTAINER ID").shows("idle").shows("0B / 0B");
    sandbox.ctr(["stats", "--no-stream", "nosuch"]).exits(1).says("No such container: nosuch");
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

#[test]
fn events_are_remembered_and_followed_to_a_given_end() {
    let sandbox = Sandbox::with_base();
    let mut follow = sandbox.tool("ctr");
    let follow =
        follow.args(["events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}"]);
    let mut child = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It watches as soon as it holds an inotify; before that nothing would be missed, but seen as history.
    let watches = format!("/proc/{}/fd", child.id());
    poll_until(60, "ctr events to watch", || {
        let mut fds =
            std::fs::read_dir(&watches).unwrap().flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        fds.any(|target| target.to_string_lossy().contains("inotify")).then_some(())
    });
    // The history is empty: whatever comes is new.
    sandbox.ctr(["run", "--name", "box", "base", "sh", "-c", "exit 3"]).exits(3);
    let mut seen = Vec::new();
    while !seen.iter().any(|line| line == "die box") {
        seen.push(lines.next().unwrap_or_else(|| panic!("no more events after {seen:?}")).unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.ctr(["rm", "box"]).ok();

    let past = sandbox.ctr(["events", "--since", "1h", "--until", "0s", "--filter", "event=die"]).ok();
    assert!(past.text().contains(" container die ") && past.text().contains("exitCode=3"), "{past}");
    let json = sandbox
        .ctr(["events", "--since", "1h", "--until", "0s", "--filter", "event=die", "--format", "{{json .}}"])
        .ok();
    assert_eq!(json.json()["Actor"]["Attributes"]["name"], "box");
    sandbox.ctr(["events", "--since", "nonsense"]).exits(1).says("failed to parse value as time or duration");
    sandbox.ctr(["events", "--format", "{{.Nosuch}}"]).exits(64).says("Error parsing format: ");
}
