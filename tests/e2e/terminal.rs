//! Containers with a terminal, and a user in front of it.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};

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
