//! The tutorials that users arrive with, where somebody sits at a terminal. All their other commands are cases, with docker's own
//! answers: `tests/compat/cases/tutorial_1.case` to `tutorial_5.case`. Compose is a later piece of work.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Pty, Sandbox, poll_until};

/// A user at a shell, which has shown its prompt.
fn at_a_shell(sandbox: &Sandbox, args: &[&str]) -> Pty {
    let mut user = sandbox.ctr_in_terminal(args);
    user.expect("# ");
    user
}

/// Types a line and waits for what it prints; the line itself, which the terminal shows, must not hold that.
fn asks(user: &mut Pty, line: &str, answer: &str) {
    user.types(line);
    user.types("\n");
    user.expect(answer);
}

#[test]
fn tutorial_1_the_interrupt_key_ends_an_app_that_runs_in_front() {
    let sandbox = Sandbox::with_base();
    let app = "trap 'exit 0' INT TERM; echo Running; while :; do sleep 0.1; done";
    // Without a terminal of its own: the key is a signal to ctr, which passes it on.
    let mut user = sandbox.ctr_in_terminal(["run", "--name", "app", "base", "sh", "-c", app]);
    user.expect("Running");
    user.types("\x03");
    assert_eq!(user.wait(), 0);
    sandbox.ctr(["ps", "-a"]).ok().shows("Exited (0)");
    sandbox.ctr(["start", "app"]).ok().prints("app");
    sandbox.ctr(["ps"]).ok().shows("Up ");
}

#[test]
fn tutorials_2_and_5_a_shell_beside_the_app_sees_its_processes() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "focused_benz", "base", "sleep", "1000"]).ok();
    let mut user = at_a_shell(&sandbox, &["exec", "-it", "focused_benz", "sh"]);
    asks(&mut user, "ps -e -o pid=,args= | grep -c 'sleep 100'0", "1");
    asks(&mut user, "readlink /proc/1/ns/pid | cmp - /dev/null > /dev/null || readlink /proc/$$/ns/pid > /tmp/a", "# ");
    user.types("exit 5\n");
    assert_eq!(user.wait(), 5);
    // The same namespaces as the app's; and it is an ordinary process of this machine.
    let pid = sandbox.ctr(["inspect", "focused_benz"]).ok().json()[0]["State"]["Pid"].clone();
    let seen = std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
    sandbox.ctr(["exec", "focused_benz", "cat", "/tmp/a"]).ok().prints(seen.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap(), "sleep\x001000\0");
    sandbox.ctr(["ps"]).ok().shows("Up ");
}

#[test]
fn tutorial_3_a_container_that_is_started_again_has_what_was_written_in_it_and_another_has_not() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["tag", "base", "container:1.0"]).ok();
    let mut user = at_a_shell(&sandbox, &["run", "-it", "container:1.0", "/bin/bash"]);
    asks(&mut user, "echo $((6 * 7)); cat > I-was-here", "42");
    user.types("covfefe\n\x04");
    user.expect("# ");
    asks(&mut user, "hostname | wc -c; tty", "13");
    user.expect("/dev/pts/0");
    user.types("exit\n");
    assert_eq!(user.wait(), 0);
    let id = sandbox.ctr(["ps", "-aq"]).ok().text().to_owned();
    let name =
        sandbox.ctr(["inspect", &id]).ok().json()[0]["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
    sandbox.ctr(["ps", "-a"]).ok().shows("container:1.0").shows("\"/bin/bash\"").shows("Exited (0)");

    let mut user = at_a_shell(&sandbox, &["start", "-ai", &name]);
    asks(&mut user, "cat I-was-here | tr a-z A-Z", "COVFEFE");
    user.types("exit 3\n");
    assert_eq!(user.wait(), 3);
    assert_eq!(sandbox.ctr(["ps", "-aq"]).ok().stdout.lines().count(), 1);

    let mut user = at_a_shell(&sandbox, &["run", "--rm", "-it", "container:1.0", "/bin/bash"]);
    asks(&mut user, "cat I-was-here || echo $((6 * 7))", "42");
    user.types("exit\n");
    assert_eq!(user.wait(), 0);
}

#[test]
fn tutorial_4_three_starts_are_three_lines_of_the_log() {
    let sandbox = Sandbox::with_base();
    std::fs::write(sandbox.path().join("hello_world.sh"), "echo hello world\n").unwrap();
    std::fs::write(sandbox.path().join("Dockerfile"), "FROM base\nCOPY . /app\nCMD sh /app/hello_world.sh\n").unwrap();
    std::fs::write(sandbox.path().join(".dockerignore"), "ctr-*\n").unwrap();
    sandbox.ctr(["image", "build", "-t", "hello_world", "."]).ok().shows("Successfully tagged hello_world:latest");
    sandbox.ctr(["create", "--name", "hello_world", "hello_world"]).ok();
    for lines in 1..=3 {
        sandbox.ctr(["container", "start", "hello_world"]).ok().prints("hello_world");
        sandbox.ctr(["container", "wait", "hello_world"]).ok().prints("0");
        let log = sandbox.ctr(["container", "logs", "hello_world"]).ok();
        assert_eq!(log.stdout, "hello world\n".repeat(lines));
    }
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok().text().to_owned();
    let log = sandbox.root().join("containers").join(&id).join(format!("{id}-json.log"));
    poll_until(60, "the log's third entry", || {
        (std::fs::read_to_string(&log).unwrap().lines().count() == 3).then_some(())
    });
}

/// How much is in a folder, in bytes.
fn bytes_in(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let size = |path: std::path::PathBuf| {
        let entry = path.symlink_metadata().unwrap();
        if entry.is_dir() { bytes_in(&path) } else { entry.len() }
    };
    entries.map(size).sum()
}

/// What the table of `system df` says of a kind of things: how many there are, how many are used, how much they take.
fn system_df(sandbox: &Sandbox, kind: &str) -> String {
    let format = format!("{{{{if eq .Type \"{kind}\"}}}}{{{{.TotalCount}}}} {{{{.Active}}}} {{{{.Size}}}}{{{{end}}}}");
    sandbox.ctr(["system", "df", "--format", &format]).ok().text().to_owned()
}

#[test]
fn tutorial_3_system_prune_asks_at_a_terminal_and_frees_what_it_says() {
    let sandbox = Sandbox::with_base();
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(sandbox.root().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    // Two images of one name: the first has none any more.
    for bytes in [200_000, 100_000] {
        let app = sandbox.path().join("app");
        std::fs::create_dir_all(&app).unwrap();
        std::fs::write(app.join("Dockerfile"), "FROM base\nCOPY data /data\n").unwrap();
        std::fs::write(app.join("data"), vec![b'x'; bytes]).unwrap();
        sandbox.ctr(["build", "-q", "-t", "app", "app"]).ok();
    }
    let layers = names("layers");
    for (name, bytes) in [("one", "3000000"), ("two", "2000000")] {
        let write = format!("head -c {bytes} /dev/zero > /big");
        sandbox.ctr(["run", "--name", name, "base", "sh", "-c", &write]).ok();
    }
    sandbox.ctr(["run", "-d", "--name", "up", "base", "sleep", "1000"]).ok();
    let stopped = sandbox.ctr(["ps", "-aq", "--no-trunc", "--filter", "status=exited"]).ok();
    let stopped: Vec<&str> = stopped.stdout.lines().collect();
    let dangling = sandbox.ctr(["images", "-q", "--no-trunc", "--filter", "dangling=true"]).ok();
    assert_eq!(stopped.len(), 2);
    assert_eq!(system_df(&sandbox, "Containers"), "3 1 5MB");
    assert!(system_df(&sandbox, "Images").starts_with("3 1 "));

    let mut user = sandbox.ctr_in_terminal(["system", "prune"]);
    user.expect("WARNING! This will remove:");
    user.expect("Are you sure you want to continue? [y/N] ");
    user.types("n\n");
    assert_eq!(user.wait(), 0);
    assert_eq!((names("containers").len(), names("layers").len()), (3, layers.len()));

    let before = bytes_in(&sandbox.root());
    let mut user = sandbox.ctr_in_terminal(["system", "prune"]);
    user.expect("Are you sure you want to continue? [y/N] ");
    user.types("y\n");
    let containers = user.expect("Deleted Images:\r\n");
    let images = user.expect("Total reclaimed space: ");
    let said = user.expect("\r\n");
    assert_eq!(user.wait(), 0);
    assert!(containers.contains("Deleted Containers:\r\n"), "{containers}");
    assert!(stopped.iter().all(|id| containers.contains(&format!("{id}\r\n"))), "{containers}");
    assert!(images.contains(&format!("deleted: {}\r\n", dangling.text())), "{images}");

    // What is gone is gone from the disk, and it is as much as was said, and a little that nobody counts.
    assert!(stopped.iter().all(|id| !names("containers").contains(&(*id).to_owned())));
    assert_eq!((names("containers").len(), names("names").len(), names("layers").len()), (1, 1, layers.len() - 1));
    assert_eq!(said, "5.2MB");
    let freed = before - bytes_in(&sandbox.root());
    assert!((5_200_000..5_500_000).contains(&freed), "{freed} bytes are free again");
    assert_eq!(system_df(&sandbox, "Containers"), "1 1 0B");
    assert!(system_df(&sandbox, "Images").starts_with("2 1 "));
}
