//! What a container writes: where it goes, and how it is read again.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::Stdio;

fn dir(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.root().join("names").join(name).canonicalize().unwrap()
}

/// `run`, and wait for the end of the shim as well: then all is written.
fn run(sandbox: &Sandbox, name: &str, options: &[&str], script: &str) {
    sandbox.ctr([&["run", "-d", "--name", name], options, &["base", "sh", "-c", script]].concat()).ok();
    sandbox.ctr(["wait", name]).ok();
}

#[test]
fn a_log_is_rotated_and_read_over_its_files() {
    let sandbox = Sandbox::with_base();
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=3"];
    run(&sandbox, "json", &options, "seq 1000; echo last >&2");
    let files = |name: &str| -> Vec<(String, u64)> {
        let entries = std::fs::read_dir(dir(&sandbox, name)).unwrap().flatten();
        let mut files: Vec<_> = entries
            .filter(|entry| entry.file_name().to_string_lossy().contains(".log"))
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().size()))
            .collect();
        files.sort();
        files
    };
    let json = files("json");
    assert_eq!(json.len(), 3, "{json:?}");
    // A file is full when it has the size, as with docker: no line is cut for it.
    assert!(json.iter().all(|(_, size)| *size < 4_200) && json[1..].iter().all(|(_, size)| *size >= 4_000), "{json:?}");
    let whole = sandbox.ctr(["logs", "json"]).ok();
    assert!(whole.stdout.ends_with("999\n1000\n") && whole.stderr == "last\n", "{whole}");
    let numbers: Vec<u32> = whole.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1) && numbers.len() > 100, "{numbers:?}");
    let tail = format!("{}", numbers.len());
    let last = sandbox.ctr(["logs", "--tail", &tail, "json"]).ok();
    assert_eq!(last.stdout.lines().next(), Some((numbers[0] + 1).to_string()).as_deref(), "{last}");

    // One file: what is full is begun anew.
    run(&sandbox, "one", &["--log-opt", "max-size=4k"], "seq 1000");
    assert_eq!(files("one").len(), 1);
    assert!(sandbox.ctr(["logs", "-n", "1", "one"]).ok().text() == "1000");

    run(&sandbox, "local", &["--log-driver", "local"], "seq 1000; printf partial");
    let local = sandbox.ctr(["logs", "--tail", "2", "local"]).ok();
    assert_eq!(local.stdout, "1000\npartial");
    assert!(dir(&sandbox, "local").join("local-logs/container.log").is_file());
    assert_eq!(files("local"), []);

    run(&sandbox, "none", &["--log-driver", "none"], "echo nothing");
    sandbox.ctr(["logs", "none"]).exits(1).says("configured logging driver does not support reading");
    assert_eq!(files("none"), []);
}

#[test]
fn a_follower_misses_nothing_when_the_log_is_rotated() {
    let sandbox = Sandbox::with_base();
    let (size, files) = (["--log-opt", "max-size=100k"], ["--log-opt", "max-file=100"]);
    follow(&sandbox, "plain", &[&size[..], &files].concat());
    for (name, options) in [("packed", &["--log-opt", "compress=true"][..]), ("local", &["--log-driver", "local"])] {
        follow(&sandbox, name, &[&size[..], &files, options].concat());
        // Who compresses is nobody's child by now, and may still be at it.
        let logs = dir(&sandbox, name).join(if name == "local" { "local-logs" } else { "." });
        let names = || -> Vec<String> {
            let entries = std::fs::read_dir(&logs).unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name.contains(".log.")).collect()
        };
        let all = poll_until(60, "the end of compressing", || {
            let names = names();
            (names.len() > 2 && names.iter().all(|name| name.ends_with(".gz"))).then_some(names)
        });
        assert!((1..=all.len()).all(|i| all.iter().any(|name| name.ends_with(&format!(".log.{i}.gz")))), "{all:?}");
        let whole = sandbox.ctr(["logs", name]).ok();
        check_lines(&whole.stdout);
        let tail = sandbox.ctr(["logs", "-n", "19001", name]).ok();
        assert_eq!((tail.stdout.lines().count(), tail.stdout.lines().next()), (19_001, Some("1001")));
        sandbox.sh(&format!("zcat {}/*.log.1.gz | grep -a -q stdout", logs.display())).ok();
    }
}

/// Runs what says 20,000 lines, and has them followed as they come.
fn follow(sandbox: &Sandbox, name: &str, options: &[&str]) {
    // The follower is there before the first line.
    let script = "mkfifo /go; read line < /go; seq 20000; echo end";
    sandbox.ctr([&["run", "-d", "--name", name][..], options, &["base", "sh", "-c", script]].concat()).ok();
    let mut follower = sandbox.tool("ctr");
    let mut follower = follower.args(["logs", "-f", name]).stdout(Stdio::piped()).spawn().unwrap();
    poll_until(60, "the fifo", || (sandbox.ctr(["exec", name, "test", "-p", "/go"]).code == 0).then_some(()));
    sandbox.ctr(["exec", name, "sh", "-c", "echo > /go"]).ok();
    let mut text = String::new();
    follower.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(follower.wait().unwrap().success());
    check_lines(&text);
    sandbox.ctr(["wait", name]).ok();
}

fn check_lines(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 20_001);
    assert!(lines.iter().take(20_000).enumerate().all(|(i, line)| *line == (i + 1).to_string()));
}

#[test]
fn lines_are_chosen_by_time_wherever_the_clock_was() {
    let sandbox = Sandbox::with_base();
    let options =
        ["--log-opt", "tag={{.Name}}/{{index .ContainerLabels \"who\"}}", "--log-opt", "labels=who", "-l", "who=me"];
    let more =
        ["--log-opt", "labels-regex=^a\\.", "--log-opt", "env-regex=^V", "-l", "a.b=1", "-l", "ab=2", "-e", "V=<3"];
    let options = [&options[..], &more].concat();
    run(&sandbox, "box", &options, "echo now");
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok();
    let file = dir(&sandbox, "box").join(format!("{}-json.log", id.text()));
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(
        now.contains(r#","stream":"stdout","attrs":{"V":"\u003c3","a.b":"1","tag":"box/me","who":"me"},"time":"#),
        "{now}"
    );
    sandbox.ctr(["logs", "--details", "box"]).ok().prints("V=<3,a.b=1,tag=box/me,who=me now");
    for (option, said) in [
        (
            "tag={{.No}}",
            "template: log-tag:1:2: executing \"log-tag\" at <.No>: can't evaluate field No in type *logger.Info",
        ),
        ("env-regex=(", "error parsing regexp: "),
    ] {
        sandbox.ctr(["run", "--rm", "--log-opt", option, "base", "true"]).exits(125).says(said);
    }
    // Set back in the middle.
    let line =
        |text: &str, time: &str| format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"{time}\"}}\n");
    let lines = [
        line("one", "2026-01-01T00:00:01Z"),
        line("three", "2026-01-01T00:00:03.5Z"),
        line("two", "2026-01-01T00:00:02Z"),
    ];
    std::fs::write(&file, lines.concat()).unwrap();
    sandbox.ctr(["logs", "--since", "2026-01-01T00:00:02Z", "box"]).ok().prints("three\ntwo");
    sandbox.ctr(["logs", "--until", "1767225602", "box"]).ok().prints("one\ntwo");
    sandbox.ctr(["logs", "--since", "1h", "box"]).ok();
    let stamped = sandbox.ctr(["logs", "-t", "-n", "1", "box"]).ok();
    assert_eq!(stamped.stdout, "2026-01-01T00:00:02.000000000Z two\n");
    sandbox.ctr(["logs", "--since", "x", "box"]).exits(1).says("failed to parse value as time or duration: \"x\"");
}

#[test]
fn lines_go_to_syslog_and_are_kept_here_as_well() {
    let sandbox = Sandbox::with_base();
    let socket = sandbox.path().join("log");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let address = format!("syslog-address=unixgram://{}", socket.display());
    let options = ["--log-driver", "syslog", "--log-opt", &address, "--log-opt", "syslog-format=rfc5424"];
    let more = ["--log-opt", "syslog-facility=local1", "--log-opt", "tag={{.Name}}"];
    run(&sandbox, "box", &[&options[..], &more].concat(), "echo one; echo; echo two >&2");
    let mut got = Vec::new();
    for _ in 0..2 {
        let mut buffer = [0; 4096];
        let length = daemon.recv(&mut buffer).unwrap();
        got.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    // Two streams have no order among each other.
    got.sort();
    assert!(got[0].starts_with("<139>1 ") && got[0].ends_with(" - two\n"), "{got:?}");
    assert!(got[1].starts_with("<142>1 ") && got[1].contains(" box ") && got[1].ends_with(" - one\n"), "{got:?}");
    let shown = sandbox.ctr(["logs", "box"]).ok();
    assert_eq!((shown.stdout.as_str(), shown.stderr.as_str()), ("one\n\n", "two\n"));
    drop(daemon);
    std::fs::remove_file(&socket).unwrap();
    sandbox
        .ctr(["run", "--log-driver", "syslog", "--log-opt", &address, "base", "true"])
        .exits(125)
        .says("no such file");
    sandbox.ctr(["run", "--log-driver", "foo", "base", "true"]).exits(125).says("error looking up logging plugin foo");
    sandbox.ctr(["run", "--log-opt", "foo=1", "base", "true"]).exits(125).says("unknown log opt 'foo'");

    let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("syslog-address=tcp://{}", daemon.local_addr().unwrap());
    let options = ["--log-driver", "syslog", "--log-opt", &address, "--log-opt", "syslog-format=rfc3164"];
    run(&sandbox, "tcp", &options, "echo one; printf two");
    let mut got = String::new();
    daemon.accept().unwrap().0.read_to_string(&mut got).unwrap();
    let got: Vec<&str> = got.lines().collect();
    assert!(got.len() == 2 && got[0].starts_with("<30>") && got[0].ends_with("]: one"), "{got:?}");
    assert!(got[1].ends_with("]: two"), "{got:?}");
}

#[test]
fn a_syslog_daemon_that_is_slow_or_away_is_not_waited_for() {
    let sandbox = Sandbox::with_base();
    let socket = sandbox.path().join("log");
    let daemon = UnixListener::bind(&socket).unwrap();
    let address = format!("syslog-address=unix://{}", socket.display());
    let options = ["--log-driver", "syslog", "--log-opt", &address, "--network", "none"];
    // More than the kernel and the shim hold.
    let script = "mkfifo /go; seq 100000; echo done; while read word < /go; do echo $word; done";
    sandbox.ctr([&["run", "-d", "--name", "box"][..], &options, &["base", "sh", "-c", script]].concat()).ok();
    let (slow, _) = daemon.accept().unwrap();
    poll_until(60, "the end of its output", || {
        (sandbox.ctr(["logs", "-n", "1", "box"]).ok().text() == "done").then_some(())
    });
    // It ends, and another one comes.
    drop((slow, daemon));
    std::fs::remove_file(&socket).unwrap();
    let daemon = UnixListener::bind(&socket).unwrap();
    let mut lines = BufReader::new(daemon.accept().unwrap().0).lines();
    let reader = std::thread::spawn(move || lines.find(|line| line.as_ref().unwrap().contains("]: again")));
    poll_until(60, "a line that comes after those that were lost", || {
        sandbox.ctr(["exec", "box", "sh", "-c", "echo again > /go"]).ok();
        reader.is_finished().then_some(())
    });
    let again = reader.join().unwrap();
    assert!(again.unwrap().unwrap().starts_with("<30>"));
    sandbox.ctr(["rm", "-f", "box"]).ok();
}

/// A journal of the test's own, in a mount namespace of its own, that takes nothing of the machine's and changes nothing there.
const JOURNAL: &str = r#"
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/systemd/journald.conf.d || exit 1
printf '[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\nForwardToWall=no\nForwardToSyslog=no\n' \
    > /run/systemd/journald.conf.d/own.conf
echo 0123456789abcdef0123456789abcdef > /run/id && mount --bind /run/id /etc/machine-id || exit 1
/lib/systemd/systemd-journald & journal=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.1; done
ctr run --name box --network none --log-driver journald -l a.b-c=1 --log-opt labels=a.b-c --log-opt 'tag={{.Name}}/x' \
    base sh -c 'echo out; echo err >&2; echo; printf "%20000d\n" 5; printf "a\377\n"' > /dev/null 2>&1
ctr logs box > /run/logs 2>&1; wc -l < /run/logs
fields='CONTAINER_[A-Z_]*|MESSAGE|PRIORITY|SYSLOG_IDENTIFIER|IMAGE_NAME|A_B_C'
until journalctl -o export CONTAINER_NAME=box > /run/all && [ "$(grep -c -a '^CONTAINER_NAME=' /run/all)" = 6 ]; do sleep 0.1; done
grep -a -E "^($fields)=" /run/all | cut -c 1-60
journalctl -o cat CONTAINER_TAG=box/x -p err
kill $journal; wait $journal
"#;

#[test]
fn lines_go_to_a_journal_with_all_that_docker_says_of_them() {
    let sandbox = Sandbox::with_base();
    let words = ["--mount", "--propagation", "slave", "timeout", "60", "sh", "-c", JOURNAL];
    let shown = sandbox.run(sandbox.command("unshare").args(words)).ok();
    let id = sandbox.ctr(["ps", "-aq", "--no-trunc"]).ok();
    let count = |line: &str| shown.stdout.lines().filter(|shown| *shown == line).count();
    for (line, times) in [
        ("5", 1),
        ("CONTAINER_NAME=box", 6),
        ("CONTAINER_TAG=box/x", 6),
        ("SYSLOG_IDENTIFIER=box/x", 6),
        ("IMAGE_NAME=base", 6),
        ("A_B_C=1", 6),
        ("PRIORITY=6", 5),
        ("PRIORITY=3", 1),
        ("MESSAGE=out", 1),
        ("MESSAGE=", 1),
        ("CONTAINER_PARTIAL_MESSAGE=true", 1),
        ("CONTAINER_PARTIAL_LAST=false", 1),
        ("CONTAINER_PARTIAL_ORDINAL=2", 1),
        ("CONTAINER_PARTIAL_LAST=true", 1),
        ("err", 1),
        (&format!("CONTAINER_ID={}", &id.text()[..12]), 6),
    ] {
        assert_eq!(count(line), times, "{line} in {shown}");
    }
}
