//! Containers with a terminal, and a user in front of it.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Pty, Sandbox, poll_until};

#[test]
fn a_shell_in_a_container_has_the_users_terminal() {
    let sandbox = Sandbox::with_base();
    let mut user = sandbox.ctr_in_terminal(["run", "--rm", "-it", "base", "sh"]);
    user.expect("# ");
    user.types("echo $((6 * 7)); tty; stty size\n");
    user.expect("\r\n42\r\n");
    user.expect("/dev/pts/0");
    user.expect("24 80");
    user.resize(40, 120);
    poll_until(60, "the new size", || {
        user.types("stty size\n");
        std::thread::sleep(std::time::Duration::from_millis(200));
        user.screen().contains("40 120").then_some(())
    });
    user.types("exit 3\n");
    assert_eq!(user.wait(), 3);
    sandbox.ctr(["ps", "-aq"]).ok().prints("");
}

#[test]
fn the_interrupt_key_reaches_the_command() {
    let sandbox = Sandbox::with_base();
    let script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let mut user = sandbox.ctr_in_terminal(["run", "--rm", "-it", "base", "sh", "-c", script]);
    user.expect("ready");
    user.types("\x03");
    user.expect("interrupted");
    assert_eq!(user.wait(), 5);
}

#[test]
fn a_second_command_has_a_terminal_of_its_own() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    let mut user = sandbox.ctr_in_terminal(["exec", "-it", "box", "sh"]);
    user.types("tty; echo $((6 * 7))\n");
    user.expect("/dev/pts/");
    user.expect("42");
    user.types("exit 4\n");
    assert_eq!(user.wait(), 4);
    sandbox.ctr(["ps"]).ok().shows("Up ");
}

#[test]
fn the_users_terminal_is_as_it_was_afterwards() {
    let sandbox = Sandbox::with_base();
    let script = "before=$(stty -g); ctr run --rm -it base sh -c 'stty raw'; \
                  ctr run --rm -it localhost:1/nosuch true; [ \"$before\" = \"$(stty -g)\" ] && echo the same";
    let mut user = ctr_tests::Pty::spawn(sandbox.command("sh").args(["-c", script]));
    user.expect("the same");
    assert_eq!(user.wait(), 0);
}

#[test]
fn a_terminal_needs_a_terminal() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--rm", "-it", "base", "true"]).exits(1).says("the input device is not a TTY");
}

#[test]
fn somebody_can_leave_and_come_back() {
    let sandbox = Sandbox::with_base();
    let mut user = sandbox.ctr_in_terminal(["run", "-it", "--name", "box", "base", "sh"]);
    user.expect("# ");
    user.types("echo first\n");
    user.expect("\r\nfirst");
    user.types("\x10\x11"); // Ctrl-P Ctrl-Q: docker's keys to leave
    user.wait();
    sandbox.ctr(["ps"]).ok().shows("Up ");
    let mut user = sandbox.ctr_in_terminal(["attach", "box"]);
    user.types("echo second\n");
    user.expect("\r\nsecond");
    user.types("exit 6\n");
    assert_eq!(user.wait(), 6);
}

/// The state of a process in the container `box`, by its command line, as ps(1) writes it: `T` is stopped, `+` has the
/// terminal. Nothing when there is none.
#[track_caller]
fn state_of(sandbox: &Sandbox, command: &str) -> String {
    let list = sandbox.ctr(["exec", "box", "ps", "-eo", "stat=,args="]).ok().stdout;
    let mut lines = list.lines().filter_map(|line| line.trim().split_once(' '));
    lines.find(|(_, args)| args.trim() == command).map(|(state, _)| state.to_owned()).unwrap_or_default()
}

#[test]
fn a_shell_controls_its_jobs() {
    let sandbox = Sandbox::with_base();
    let mut user = sandbox.ctr_in_terminal(["run", "--rm", "-it", "--name", "box", "base", "sh"]);
    let until = |what: &str, is: &dyn Fn(&str) -> bool| {
        poll_until(60, what, || is(&state_of(&sandbox, "sleep 1000")).then_some(()));
    };
    user.expect("# ");
    user.types("sleep 1000 &\n");
    until("the job in the background", &|state| state.starts_with('S') && !state.contains('+'));
    user.types("jobs\n");
    user.expect("Running");
    user.types("fg\n");
    until("the job to have the terminal", &|state| state.contains('+'));
    user.types("\x1a"); // Ctrl-Z
    user.expect("Stopped");
    until("the job to be stopped", &|state| state.starts_with('T'));
    user.types("bg\n");
    until("the job to go on", &|state| state.starts_with('S') && !state.contains('+'));
    user.types("kill %1\n");
    until("the end of the job", &str::is_empty);
    user.types("exit 3\n");
    assert_eq!(user.wait(), 3);
    assert!(!user.screen().contains("job control turned off"), "{}", user.screen());
}

#[test]
fn two_users_share_a_terminal_and_one_leaves() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-dit", "--name", "box", "base", "sh"]).ok();
    let attach = || sandbox.ctr_in_terminal(["attach", "box"]);
    let (mut one, mut two) = (attach(), attach());
    one.types("echo one-$((6 * 7))\n");
    one.expect("one-42\r\n");
    // Who sees the answer to what he typed is there, and sees what the other types from now on.
    two.types("echo two-$((6 * 7))\n");
    two.expect("two-42\r\n");
    one.expect("two-$((6 * 7))");
    one.expect("two-42\r\n");
    one.types("echo again-$((6 * 7))\n");
    two.expect("again-$((6 * 7))");
    two.expect("again-42\r\n");

    one.types("\x10\x11");
    let (code, screen) = one.ends();
    assert_eq!(code, 1);
    assert!(screen.ends_with("read escape sequence\r\n"), "{screen:?}");
    two.types("echo alone-$((6 * 7))\n");
    two.expect("alone-42\r\n");
    two.types("exit 5\n");
    assert_eq!(two.wait(), 5);
}

#[test]
fn somebody_leaves_a_second_command_by_keys_of_his_own() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    let exec = ["exec", "-it", "--detach-keys", "ctrl-x,a", "box", "sh", "-c", "echo ready; exec cat -v"];
    let mut user = sandbox.ctr_in_terminal(exec);
    user.expect("ready\r\n");
    // Docker's own keys, and half of ours, are for the command. Ctrl-Q is kept by the terminal in the container.
    user.types("\x10\x11b\n");
    user.expect("^Pb\r\n^Pb\r\n");
    user.types("\x18b\n");
    user.expect("^Xb\r\n^Xb\r\n");
    user.types("\x18");
    user.types("a");
    let screen = "ready\r\n^Pb\r\n^Pb\r\n^Xb\r\n^Xb\r\nread escape sequence\r\n";
    assert_eq!(user.ends(), (1, screen.to_owned()));
    assert_ne!(state_of(&sandbox, "cat -v"), "");
}

#[test]
fn nothing_comes_to_the_screen_but_what_the_command_writes() {
    let sandbox = Sandbox::with_base();
    let mut user = sandbox.ctr_in_terminal(["run", "-it", "--rm", "base", "sh", "-c", "printf hello; exit 3"]);
    assert_eq!(user.ends(), (3, "hello".to_owned()));

    let mut user = sandbox.ctr_in_terminal(["run", "-it", "--name", "box", "base", "sh", "-c", "echo ready; exec cat"]);
    user.expect("ready\r\n");
    user.types("word\n");
    user.expect("word\r\nword\r\n");
    user.types("\x10\x11");
    assert_eq!(user.ends(), (0, "ready\r\nword\r\nword\r\n".to_owned()));
    assert_ne!(state_of(&sandbox, "cat"), "");
}

/// Has `end` end a `ctr` that is attached with a terminal, by its number, once the command in there has said `ready`;
/// afterwards the terminal has to be as before, and the exit code to be this one.
#[track_caller]
fn ends_with_the_terminal_as_it_was(sandbox: &Sandbox, ctr: &str, code: u8, end: impl FnOnce(&str)) {
    let script = format!(
        "before=$(stty -g); sh -c 'echo \"number $$.\"; exec ctr \"$@\"' - {ctr}; \
         echo \"code $?.\"; [ \"$before\" = \"$(stty -g)\" ] && echo the same"
    );
    let mut user = Pty::spawn(sandbox.command("sh").args(["-c", &script]));
    user.expect("number ");
    let number = user.expect(".");
    user.expect("ready\r\n");
    end(&number);
    user.expect(&format!("code {code}.\r\n"));
    user.expect("the same");
    assert_eq!(user.wait(), 0);
}

#[test]
fn the_users_terminal_is_as_it_was_when_something_was_killed() {
    let sandbox = Sandbox::with_base();
    let terminate = |number: &str| drop(sandbox.sh(&format!("kill -TERM {number}")).ok());
    // `run` passes the signal on.
    let politely = "trap \"exit 9\" TERM; echo ready; while :; do sleep 0.1; done";
    ends_with_the_terminal_as_it_was(&sandbox, &format!("run --rm -it base sh -c '{politely}'"), 9, terminate);
    // `exec` ends of it; what it has started goes on.
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "1000"]).ok();
    let exec = "exec -it box sh -c 'echo ready; exec cat'";
    ends_with_the_terminal_as_it_was(&sandbox, exec, 143, terminate);
    assert_ne!(state_of(&sandbox, "cat"), "");
    sandbox.ctr(["rm", "-f", "box"]).ok();
    // Its shim is killed, and the container with it.
    let run = "run -it --name box base sh -c 'echo ready; exec sleep 1000'";
    ends_with_the_terminal_as_it_was(&sandbox, run, 125, |_| {
        sandbox.processes().iter().filter(|process| process.is("ctr", "shim")).for_each(|shim| shim.kill());
    });
}

#[test]
fn what_the_user_is_used_to_is_in_dockers_own_file() {
    let sandbox = Sandbox::with_base();
    let dir = sandbox.path().join("docker");
    std::fs::create_dir(&dir).unwrap();
    let file = r#"{"detachKeys": "ctrl-x,a", "psFormat": "up: {{.Names}}", "imagesFormat": "image: {{.Repository}}"}"#;
    std::fs::write(dir.join("config.json"), file).unwrap();
    let ctr = |args: &[&str]| {
        let mut command = sandbox.tool("ctr");
        command.env("DOCKER_CONFIG", &dir).args(args);
        command
    };
    let mut user =
        Pty::spawn(&mut ctr(&["run", "-it", "--name", "box", "base", "sh", "-c", "stty raw; echo ready; exec cat"]));
    user.expect("ready");
    user.types("\x18");
    user.types("a");
    user.wait();
    sandbox.run(&mut ctr(&["ps"])).ok().prints("up: box");
    sandbox.run(&mut ctr(&["images"])).ok().prints("image: base");
    // What the command line says counts for more, and `-q` says it too.
    sandbox.run(&mut ctr(&["ps", "--format", "{{.State}}"])).ok().prints("running");
    let id = sandbox.ctr(["ps", "-q", "--no-trunc"]).ok().text().trim_end().to_owned();
    sandbox.run(&mut ctr(&["ps", "-q", "--no-trunc"])).ok().prints(&id);
    std::fs::write(dir.join("config.json"), "{").unwrap();
    sandbox.run(&mut ctr(&["ps", "--format", "{{.Names}}"])).ok().prints("box");
    sandbox.run(&mut ctr(&["ps"])).ok().says("WARNING: Error loading config file: ");
}
