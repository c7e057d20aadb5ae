//! `kill -9` of a build at any moment: the store is whole, the same build run again succeeds, and nothing is left.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

const DOCKERFILE: &str = "FROM base\nWORKDIR /app\nCOPY . .\nRUN cat file > copied && echo made > /made\nENV NAME=World\n\
    RUN ls /made && echo again > /again\nCMD [\"cat\", \"/again\"]\n";

/// Moments in a run; on a slow machine as many as fit into the time.
const MOMENTS: u32 = 12;
const LEAST: u32 = 3;
const TIME: Duration = Duration::from_secs(20);

#[test]
fn a_build_killed_at_any_moment_can_be_run_again() {
    let sandbox = Sandbox::with_base();
    let dir = sandbox.path().join("app");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("Dockerfile"), DOCKERFILE).unwrap();
    std::fs::write(dir.join("file"), "content\n").unwrap();
    let build = || {
        let mut command = sandbox.tool("imgbuild");
        command.args(["--no-cache", "-t", "app"]).arg(&dir);
        command
    };
    let begin = Instant::now();
    sandbox.run(&mut build()).ok();
    let whole = begin.elapsed();
    let start = Instant::now();
    let factor = std::env::var("STORE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for moment in 0..MOMENTS * factor {
        if start.elapsed() > TIME * factor && moment >= LEAST {
            break;
        }
        let mut child = build().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // In an order that is spread over the whole: 0, 5, 10, 3, ... twelfths.
        std::thread::sleep(whole * (moment * 5 % MOMENTS) / MOMENTS);
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had called goes on to its own end.
        poll_until(60, "what the build had called to end", || sandbox.processes().is_empty().then_some(()));
        sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
        sandbox.ctr(["run", "--rm", "base", "true"]).ok();
    }
    sandbox.run(&mut build()).ok();
    sandbox.ctr(["run", "--rm", "app"]).ok().prints("again");
    sandbox.ctr(["rmi", "-f", "app"]).ok();
    sandbox.run(sandbox.tool("layerfs").args(["fsck"])).ok();
    // What killed builds left in tmp/ is theirs for an hour. Then gc takes it, and what is mounted there.
    for entry in std::fs::read_dir(sandbox.root().join("tmp")).unwrap() {
        let long_ago = SystemTime::now() - Duration::from_secs(7200);
        std::fs::File::open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
    }
    sandbox.run(sandbox.tool("layerfs").args(["gc"])).ok();
    assert_eq!(sandbox.mounts(), Vec::<std::path::PathBuf>::new());
    assert_eq!(std::fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
    sandbox.run(sandbox.tool("layerfs").args(["fsck"])).ok();
}
