//! What users get wrong: each mistake ends with docker's exit code and with words that say what to do.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, bin_dir, output};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

#[test]
fn an_image_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    sandbox
        .ctr(["run", "localhost:1/nosuch", "true"])
        .exits(125)
        .says("Unable to find image 'localhost:1/nosuch:latest' locally");
    sandbox.ctr(["rmi", "nosuch"]).exits(1).says("No such image: nosuch");
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

#[test]
fn a_container_that_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    for command in [vec!["start"], vec!["stop"], vec!["kill"], vec!["logs"], vec!["rm"], vec!["wait"]] {
        sandbox.ctr(command.iter().chain(&["nosuch"])).exits(1).says("No such container: nosuch");
    }
    sandbox.ctr(["exec", "nosuch", "true"]).exits(1).says("No such container: nosuch");
}

#[test]
fn a_name_can_be_taken_once() {
    let sandbox = Sandbox::with_base();
    let first = sandbox.ctr(["create", "--name", "web", "base", "true"]).ok();
    sandbox
        .ctr(["run", "--name", "web", "base", "true"])
        .exits(125)
        .says("The container name \"/web\" is already in use by container")
        .says(first.text());
    assert_eq!(sandbox.ctr(["ps", "-aq"]).ok().stdout.lines().count(), 1);
    sandbox.ctr(["run", "--name", "no/name", "base", "true"]).exits(125).says("no/name");
}

/// A process that listens at a port that the kernel gives to nobody who asks for any; and the port.
///
/// A process of its own, because a listener in this one would go into each child that another test starts in the
/// meantime, and be open for some time after it was dropped here.
fn who_listens() -> (Child, u16) {
    let port = 20_000 + (std::process::id() % 10_000) as u16;
    let script = format!(
        "import socket, time; s = socket.create_server(('0.0.0.0', {port})); print('ready', flush=True); time.sleep(1000)"
    );
    let mut child = Command::new("python3").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, port)
}

#[test]
fn a_port_that_is_taken_leaves_the_container_created() {
    let sandbox = Sandbox::with_base();
    let (mut taken, port) = who_listens();
    let run =
        sandbox.ctr(["run", "-d", "-p", &format!("{port}:80"), "--name", "web", "base", "sleep", "1000"]).exits(125);
    let text = format!("Bind for 0.0.0.0:{port} failed: port is already allocated");
    assert!(run.stderr.trim_end().trim_end_matches('.').ends_with(&text), "{run}");
    sandbox.ctr(["ps", "-a"]).ok().shows("Created").shows("web");
    assert_eq!(sandbox.mounts(), Vec::<std::path::PathBuf>::new());

    taken.kill().unwrap();
    taken.wait().unwrap();
    sandbox.ctr(["start", "web"]).ok();
    sandbox.ctr(["rm", "-f", "web"]).ok();
}

#[test]
fn a_program_that_is_missing_is_127_and_a_folder_is_126() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--rm", "base", "nosuch"]).exits(127).says("\"nosuch\": executable file not found in $PATH");
    sandbox.ctr(["run", "--rm", "base", "/no/such"]).exits(127).says("no such file or directory");
    sandbox.ctr(["run", "--rm", "base", "/etc"]).exits(126);
    sandbox.ctr(["run", "--rm", "base", "/etc/passwd"]).exits(126).says("permission denied");
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    sandbox.ctr(["exec", "box", "nosuch"]).exits(127);
    sandbox.ctr(["exec", "box", "/etc"]).exits(126);
    // Docker keeps a container whose program was missing, and calls it Created.
    sandbox.ctr(["run", "--name", "kept", "base", "nosuch"]).exits(127);
    sandbox.ctr(["ps", "-a"]).ok().shows("Created");
}

#[test]
fn a_dockerfile_with_an_unknown_instruction_is_pointed_at() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("Dockerfile"), "# a comment\nFROM scratch\nWORKDIIR /app\n").unwrap();
    let build = sandbox.ctr(["build", "-t", "app", "."]);
    assert_ne!(build.code, 0, "{build}");
    build.says("Dockerfile").says("3").says("WORKDIIR").says("WORKDIR");
    sandbox.ctr(["images", "-aq"]).ok().prints("");
}

#[test]
fn a_user_who_is_not_root_is_told_so() {
    let sandbox = Sandbox::new();
    // The built program may lie where others cannot look, and so may the sandbox.
    let dir = sandbox.path();
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
    let program = dir.join("ctr");
    // By cp(1): a file that this process has had open for writing may still be open in the child that another test
    // is just starting, and as long as it is, it cannot be executed (ETXTBSY).
    sandbox.run(sandbox.command("cp").arg(bin_dir().join("ctr")).arg(&program)).ok();
    let run = output::run(
        sandbox.command(&program).env_remove("CTR_BIN_DIR").args(["run", "base", "true"]).uid(65534).gid(65534),
        b"",
    );
    let run = run.exits(125).says("root");
    assert!(!run.stderr.contains("Operation not permitted"), "{run}");
}

#[test]
fn an_option_that_makes_no_sense_is_125_and_too_many_or_too_few_words_are_1() {
    let sandbox = Sandbox::new();
    sandbox.ctr(["nosuch"]).exits(1);
    sandbox.ctr(["run"]).exits(1);
    sandbox.ctr(["ps", "extra"]).exits(1);
    sandbox.ctr(["container"]).exits(0);
    sandbox.ctr(["run", "--nosuch", "base"]).exits(125);
    for bad in [vec!["-p", "99999:80"], vec!["-p", "80:x"], vec!["-m", "many"], vec!["--cpus", "-1"]] {
        sandbox.ctr(["run"].iter().chain(&bad).chain(&["base"])).exits(125);
    }
}

#[test]
fn a_layout_of_a_newer_version_is_left_alone() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.root()).unwrap();
    std::fs::write(sandbox.root().join("LAYOUT"), "99\n").unwrap();
    sandbox.ctr(["images"]).exits(125).says("layout version 99");
    sandbox.run(sandbox.tool("layerfs").arg("ls")).exits(125).says("layout version 99");
    std::fs::write(sandbox.root().join("LAYOUT"), "1\n").unwrap();
}

#[test]
fn what_docker_takes_besides_is_no_mistake() {
    let sandbox = Sandbox::with_base();
    // The last of two counts, a value may begin with a dash, a switch may be told yes or no.
    let line = "run --rm=true --read-only=false -it=false -h first -h -x -e A=1 --name one --name=two";
    let command = ["base", "sh", "-c", "hostname; touch /written && echo $A; test -t 0 || echo no terminal"];
    sandbox.ctr(line.split(' ').chain(command)).ok().prints("-x\n1\nno terminal");
    sandbox.ctr(["create", "--name", "-x", "base"]).exits(1).says("Invalid container name (-x)");
    sandbox
        .ctr(["run", "-m", "-1", "base"])
        .exits(125)
        .says("invalid argument \"-1\" for \"-m, --memory\" flag: invalid size: '-1'");
    sandbox
        .ctr(["create", "--name", "box", "--init=f", "-d=false", "base", "true"])
        .exits(125)
        .says("unexpected argument '-d' found");
    sandbox.ctr(["create", "--name", "box", "--init=f", "base", "true"]).ok();
    sandbox.ctr(["inspect", "-f", "{{.HostConfig.Init}}", "box"]).ok().prints("<nil>");
    sandbox
        .ctr(["ps", "--all=t", "--quiet=0", "--format", "{{.Names}}", "--format", "-{{.Names}}"])
        .ok()
        .prints("-box");
    // What is a mistake in this form too is told as before.
    sandbox.ctr(["run", "--rm=maybe", "base"]).exits(125).says("invalid value 'maybe' for '--rm");
    sandbox.ctr(["container", "rm", "--force=true", "box"]).ok().prints("box");
}

#[test]
fn how_to_call_a_command_is_said_in_dockers_form() {
    let sandbox = Sandbox::new();
    for (command, usage) in [
        ("run", "Usage: ctr run [OPTIONS] IMAGE [COMMAND] [ARG...]\n"),
        ("create", "Usage: ctr create [OPTIONS] IMAGE [COMMAND] [ARG...]\n"),
        ("exec", "Usage: ctr exec [OPTIONS] CONTAINER COMMAND [ARG...]\n"),
        ("top", "Usage: ctr top CONTAINER [PS-OPTIONS]\n"),
    ] {
        assert!(sandbox.ctr([command, "--help"]).ok().stdout.contains(usage), "{usage}");
    }
    sandbox.ctr(["run"]).exits(1).says("Usage: ctr run [OPTIONS] IMAGE [COMMAND] [ARG...]\n");
    let none: [&str; 0] = [];
    let help = sandbox.ctr(none).ok().says("--explain  ").stderr;
    assert!(!help.contains("BOOL"), "{help}");
    sandbox.ctr(["frob"]).exits(1).says("ctr: 'frob' is not a ctr command.\nSee 'ctr --help'\n");
    sandbox.ctr(["--explain", "compose", "up"]).exits(1).says("ctr: 'compose' is not there yet\n");
    sandbox.ctr(["volume", "frob"]).exits(1).says("Usage: ctr volume <COMMAND>\n");
    for version in ["-v", "-V", "--version"] {
        assert!(sandbox.ctr([version]).ok().stdout.starts_with("ctr 0."), "{version}");
    }
}
