//! What runs in a container.

use ctr_tests::Sandbox;
use serde_json::Value;
use std::fs;

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "attach",
    "domainname",
    "entrypoint",
    "env",
    "env-file",
    "group-add",
    "hostname",
    "interactive",
    "label",
    "label-file",
    "tty",
    "user",
    "workdir",
];

fn config(sandbox: &Sandbox, container: &str) -> Value {
    let shown: Value = serde_json::from_str(&sandbox.ctr(["inspect", container]).ok().stdout).unwrap();
    shown[0]["Config"].clone()
}

#[test]
fn who_runs_where_and_with_which_environment() {
    let sandbox = Sandbox::with_base();
    let file = sandbox.path().join("variables");
    fs::write(&file, "# note\nONE=of file\nTWO= \"2\"\n\n  INHERITED\nMISSING\n").unwrap();
    let script = "echo \"$ONE|$TWO|$THREE|$INHERITED|${MISSING-unset}\"; id -u; id -g; id -G | tr ' ' '\\n' | sort -n | xargs; pwd; hostname; \
                  cat /proc/sys/kernel/domainname; grep -c 'full.dom.example full' /etc/hosts";
    let line = [
        "run",
        "--rm",
        "--env-file",
        file.to_str().unwrap(),
        "-e",
        "ONE=of option",
        "--env",
        "THREE=",
        "-u",
        "5:6",
        "--group-add",
        "7",
        "--group-add",
        "tty",
        "-w",
        "/usr",
        "-h",
        "full",
        "--domainname",
        "dom.example",
        "base",
        "sh",
        "-c",
        script,
    ];
    let mut command = sandbox.tool("ctr");
    command.args(line).env("INHERITED", "yes").env_remove("MISSING");
    let tty =
        sandbox.ctr(["run", "--rm", "base", "sh", "-c", "grep ^tty: /etc/group | cut -d: -f3"]).ok().text().to_owned();
    let mut groups: Vec<u32> = vec![6, 7, tty.parse().unwrap()];
    groups.sort_unstable();
    let groups = groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    sandbox
        .run(&mut command)
        .ok()
        .prints(&format!("of option| \"2\"||yes|unset\n5\n6\n{groups}\n/usr\nfull\ndom.example\n1"));
    // A name that has no value here takes the variable away; an empty name of the host is as none.
    let script = "echo ${HOSTNAME-none} ${MISSING-none}; hostname | wc -c";
    let mut command = sandbox.tool("ctr");
    command.args([
        "run",
        "--rm",
        "-h",
        "",
        "--stop-signal",
        "",
        "-e",
        "HOSTNAME",
        "-e",
        "MISSING",
        "base",
        "sh",
        "-c",
        script,
    ]);
    command.env_remove("HOSTNAME").env_remove("MISSING");
    sandbox.run(&mut command).ok().prints("none none\n13");
    for (bad, why) in [
        (&["-e", ""][..], "invalid argument \"\" for \"-e, --env\" flag: invalid environment variable: "),
        (&["--env-file", "/no/such"], "open /no/such: no such file or directory"),
        (&["-w", "rel"], "the working directory 'rel' is invalid, it needs to be an absolute path"),
        (&["--group-add", "nope"], "Unable to find group nope: no matching entries in group file"),
        (&["-u", "nope"], "unable to find user nope: no matching entries in passwd file"),
        (&["-l", "=x"], "invalid label '=x': empty name"),
        (&["-a", "foo"], "valid streams are STDIN, STDOUT and STDERR"),
    ] {
        sandbox.ctr([&["run", "--rm"], bad, &["base", "true"]].concat()).exits(125).says(why);
    }
    assert_eq!(sandbox.ctr(["ps", "-aq"]).ok().text(), "");
}

#[test]
fn the_entry_point_is_replaced_with_the_image_s_arguments() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "maker", "base", "true"]).ok();
    let changes = ["commit", "-c", "ENTRYPOINT [\"echo\", \"entry\"]", "-c", "CMD [\"default\"]", "maker", "echoes"];
    sandbox.ctr(changes).ok();
    sandbox.ctr(["run", "--rm", "echoes"]).ok().prints("entry default");
    sandbox.ctr(["run", "--rm", "echoes", "given"]).ok().prints("entry given");
    sandbox.ctr(["run", "--rm", "--entrypoint", "hostname", "-h", "other", "echoes"]).ok().prints("other");
    sandbox.ctr(["run", "--rm", "--entrypoint", "", "echoes", "echo", "bare"]).ok().prints("bare");
    sandbox.ctr(["run", "--rm", "--entrypoint", "", "echoes"]).exits(125).says("No command specified");
}

#[test]
fn labels_come_from_files_and_from_the_command_line() {
    let sandbox = Sandbox::with_base();
    let file = sandbox.path().join("labels");
    fs::write(&file, "a=of file\nb\n").unwrap();
    sandbox
        .ctr([
            "create",
            "--name",
            "box",
            "--label-file",
            file.to_str().unwrap(),
            "-l",
            "a=1",
            "--label",
            "c=d=e",
            "base",
            "true",
        ])
        .ok();
    assert_eq!(config(&sandbox, "box")["Labels"], serde_json::json!({"a": "1", "b": "", "c": "d=e"}));
}

#[test]
fn streams_are_those_that_were_asked_for() {
    let sandbox = Sandbox::with_base();
    let script = "echo out; echo err >&2; cat";
    let run = |options: &[&str]| {
        let line = [&["run", "--rm"], options, &["base", "sh", "-c", script]].concat();
        let output = sandbox.ctr_reading(line, b"in\n").ok();
        (output.stdout, output.stderr)
    };
    let text = |stdout: &str, stderr: &str| (stdout.to_owned(), stderr.to_owned());
    assert_eq!(run(&[]), text("out\n", "err\n"));
    assert_eq!(run(&["-i"]), text("out\nin\n", "err\n"));
    assert_eq!(run(&["-a", "stdout"]), text("out\n", ""));
    assert_eq!(run(&["-i", "-a", "STDERR"]), text("", "err\n"));
    let silent = run(&["-a", "stdin", "-i"]);
    assert_eq!((silent.0.trim().len(), silent.1.as_str()), (64, ""), "the id");
    sandbox.ctr(["run", "-d", "-a", "stdout", "base", "true"]).exits(1).says("Conflicting options: -a and -d");
    // With a terminal all is one stream, and line ends are the terminal's.
    sandbox
        .ctr(["run", "--rm", "-t", "base", "sh", "-c", "echo out; tty; echo err >&2"])
        .ok()
        .shows("out\r\n")
        .shows("err\r\n");
    sandbox.ctr(["create", "-i", "--name", "box", "base", "true"]).ok();
    let shown = config(&sandbox, "box");
    for (key, value) in
        [("AttachStdin", true), ("AttachStdout", true), ("OpenStdin", true), ("StdinOnce", true), ("Tty", false)]
    {
        assert_eq!(shown[key], value, "{key}");
    }
}
