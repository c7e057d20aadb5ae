//! Several things at once, and clients that come, go and are slow: nobody is hurt by what another does.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use std::process::Stdio;

#[test]
fn of_two_starts_at_once_both_find_it_running_and_neither_harms_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "box", "base", "sleep", "500"]).ok();
    for round in 0..3 {
        let starts: Vec<_> =
            (0..3).map(|_| sandbox.tool("ctr").args(["start", "box"]).stdout(Stdio::null()).spawn().unwrap()).collect();
        for mut start in starts {
            assert!(start.wait().unwrap().success(), "round {round}");
        }
        sandbox.ctr(["exec", "box", "true"]).ok();
        sandbox.ctr(["stop", "-t", "0", "box"]).ok();
    }
}

#[test]
fn a_running_container_is_not_hurt_by_being_started_again_by_hand() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "500"]).ok();
    let script = sandbox.ctr(["--explain", "start", "box"]).ok().stdout;
    let last = script.lines().last().unwrap().to_owned();
    let environment: Vec<&str> = script.lines().filter(|line| line.starts_with("export ")).collect();
    let again = sandbox.sh(&format!("{}\n{last}", environment.join("\n")));
    assert_ne!(again.code, 0, "{again}");
    sandbox.ctr(["exec", "box", "true"]).ok();
    sandbox.ctr(["ps"]).ok().shows("Up ");
}

#[test]
fn the_script_of_rm_is_not_given_for_a_running_container() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "500"]).ok();
    sandbox
        .ctr(["--explain", "rm", "box"])
        .exits(1)
        .says("Stop the container before attempting removal or force remove");
    sandbox.sh(&sandbox.ctr(["--explain", "rm", "-f", "box"]).ok().stdout).ok();
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

#[test]
fn one_that_ends_before_anybody_looks_loses_neither_a_byte_nor_its_code() {
    let sandbox = Sandbox::with_base();
    let command = ["base", "sh", "-c", "echo x; echo y >&2; exit 3"];
    let round = &|round: u32| {
        let output = sandbox.ctr([&["run", "--rm"][..], &command].concat()).exits(3);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("x\n", "y\n"), "round {round}");
        let id = sandbox.ctr([&["run", "-d"][..], &command].concat()).ok().text().to_owned();
        sandbox.ctr(["wait", &id]).ok().prints("3");
        let again = sandbox.ctr(["start", "-a", &id]).exits(3);
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("x\n", "y\n"), "round {round}");
        let log = sandbox.ctr(["logs", &id]).ok();
        assert_eq!((log.stdout.as_str(), log.stderr.as_str()), ("x\nx\n", "y\ny\n"), "round {round}");
    };
    // Three at a time: who comes first is then chance.
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || (0..10).for_each(|i| round(thread * 10 + i)));
        }
    });
}

#[test]
fn input_ends_when_the_client_that_gave_it_is_killed() {
    let sandbox = Sandbox::with_base();
    let mut client = sandbox.tool("ctr");
    client.args(["run", "-i", "--name", "box", "base", "cat"]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    poll_until(60, "the container to run", || sandbox.ctr(["ps"]).ok().stdout.contains("Up ").then_some(()));
    client.kill().unwrap();
    client.wait().unwrap();
    sandbox.ctr(["wait", "box"]).ok().prints("0\n");
}

#[test]
fn a_container_outlives_the_reader_of_its_output() {
    let sandbox = Sandbox::with_base();
    let script = sandbox.sh("ctr run --name box base sh -c 'while :; do echo line; sleep 0.05; done' | head -n 1").ok();
    assert_eq!(script.stdout, "line\n", "{script}");
    assert_eq!(script.stderr, "", "{script}");
    sandbox.ctr(["ps"]).ok().shows("Up ");
}

#[test]
fn a_container_that_ran_out_of_memory_says_so() {
    let sandbox = Sandbox::with_base();
    let greedy = "x=x; while :; do x=$x$x; done";
    sandbox.ctr(["run", "--name", "box", "-m", "16m", "base", "sh", "-c", greedy]).exits(137);
    sandbox.ctr(["inspect", "box"]).ok().shows("\"OOMKilled\": true");
    sandbox.ctr(["run", "--name", "killed", "base", "sh", "-c", "kill -9 $$"]);
    sandbox.ctr(["inspect", "killed"]).ok().shows("\"OOMKilled\": false");
}

#[test]
fn options_end_at_the_image() {
    let sandbox = Sandbox::with_base();
    sandbox
        .ctr(["run", "--rm", "--entrypoint", "echo", "base", "-l", "-p", "--rm", "--help"])
        .ok()
        .prints("-l -p --rm --help\n");
}

#[test]
fn where_the_state_is_may_be_said_from_where_one_stands() {
    let sandbox = Sandbox::with_base();
    let script = "cd \"$(dirname \"$CTR_ROOT\")\" && CTR_ROOT=$(basename \"$CTR_ROOT\") CTR_RUN=$(basename \"$CTR_RUN\") \
                  ctr run --name box base echo hello";
    sandbox.sh(script).ok().prints("hello\n");
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (0)");
    let network = std::fs::read_to_string(sandbox.root().join("networks/bridge.json")).unwrap();
    assert!(network.contains("\"Endpoints\": {}"), "{network}");
}

#[test]
fn the_callers_umask_does_not_reach_the_container() {
    let sandbox = Sandbox::with_base();
    sandbox.sh("umask 077; ctr run --rm -u 1000 base sh -c 'stat -c %a /'").ok().prints("755\n");
}

#[test]
fn one_damaged_image_does_not_hide_the_others() {
    let sandbox = Sandbox::with_base();
    sandbox.sh("echo | tar -c -T /dev/null | ctr import - damaged").ok();
    let index = std::fs::read_to_string(sandbox.root().join("images/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap();
    let damaged = listed.iter().find(|d| d["annotations"]["org.opencontainers.image.ref.name"] == "damaged:latest");
    let digest = damaged.unwrap()["digest"].as_str().unwrap().replace("sha256:", "");
    let blob = sandbox.root().join("images/blobs/sha256").join(digest);
    let (away, layers) =
        (blob.with_extension("away"), || std::fs::read_dir(sandbox.root().join("layers")).unwrap().count());
    let before = layers();
    std::fs::rename(&blob, &away).unwrap();
    sandbox.ctr(["images"]).ok().shows("base").says("WARNING");
    sandbox.ctr(["run", "--rm", "base", "true"]).ok();
    // What it refers to is not known while it is away, so nothing may be collected.
    assert_ne!(sandbox.run(sandbox.tool("layerfs").arg("gc")).code, 0);
    std::fs::rename(&away, &blob).unwrap();
    assert_eq!(layers(), before);
    sandbox.ctr(["images"]).ok().shows("damaged");
}
