//! The command line: what each command does to a container in each of its states, and says by its exit code
//! (runtime.md "Operations"; the line itself is runc's).

use crate::bundle::{Bundle, Runtime};
use crate::case::{Case, case, check, seen};
use serde_json::{Value, json};
use std::process::Command;

/// Runs commands one after the other, `ID` in them being the container's name; gives their exit codes. `wait STATUS` is
/// no command of the runtime's.
fn codes(bundle: &Bundle, lines: &[&str]) -> String {
    let mut codes = Vec::new();
    for line in lines {
        let line = line.replace("ID", &bundle.id);
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "wait" => bundle.await_status(words[1]),
            "create" | "run" => codes.push(bundle.detach(&words).to_string()),
            _ => codes.push(bundle.call(&words).code.to_string()),
        }
    }
    codes.join(" ")
}

/// What every tool here says of a command line that it cannot read.
const USAGE: &str = "a mistake on the command line is 125, with all tools";

/// A group of the container's own, with limits: what `pause`, `ps` and `update` work with.
pub fn group(bundle: &mut Bundle) {
    bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
    bundle.config["linux"]["resources"] = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}});
}

/// A case whose container sleeps, and the codes of these commands.
fn gives(name: &'static str, lines: &'static [&'static str], expected: &str) -> Case {
    case(name).bundle(group).bundle(|bundle| bundle.script("sleep 1000")).sees(expected, |bundle| codes(bundle, lines))
}

/// A case with a container that runs.
pub fn in_running(
    name: &'static str,
    script: &'static str,
    expected: &str,
    look: impl Fn(&Bundle) -> String + 'static,
) -> Case {
    case(name).bundle(move |bundle| bundle.script(script)).sees(expected, move |bundle| {
        bundle.run_detached();
        look(bundle)
    })
}

#[test]
fn commands_go_with_the_containers_state() {
    check(vec![
        gives("a life", &["create ID", "start ID", "kill ID KILL", "wait stopped", "delete ID"], "0 0 0 0"),
        gives(
            "one that is not there",
            &[
                "state ID",
                "start ID",
                "kill ID",
                "delete ID",
                "delete --force ID",
                "ps ID",
                "pause ID",
                "resume ID",
                "update ID",
                "exec ID true",
            ],
            "1 1 1 1 0 1 1 1 1 255",
        ),
        gives(
            "one that is created",
            &[
                "create ID",
                "create ID",
                "state ID",
                "ps ID",
                "exec ID true",
                "pause ID",
                "state ID",
                "resume ID",
                "kill ID 0",
                "delete ID",
                "state ID",
            ],
            "0 1 0 0 0 0 0 0 0 0 1",
        ),
        gives(
            "one that runs",
            &[
                "create ID",
                "start ID",
                "start ID",
                "delete ID",
                "ps ID",
                "exec ID true",
                "resume ID",
                "kill ID 0",
                "delete --force ID",
                "state ID",
            ],
            "0 0 1 1 0 0 1 0 0 1",
        ),
        gives(
            "one that is paused",
            &[
                "run --detach ID",
                "pause ID",
                "pause ID",
                "start ID",
                "exec ID true",
                "delete ID",
                "resume ID",
                "exec ID true",
                "pause ID",
                "delete --force ID",
                "state ID",
            ],
            "0 0 1 1 255 1 0 0 0 0 1",
        ),
        gives(
            "one that has stopped",
            &[
                "run --detach ID",
                "kill ID KILL",
                "wait stopped",
                "start ID",
                "kill ID KILL",
                "kill --all ID KILL",
                "pause ID",
                "resume ID",
                "exec ID true",
                "ps ID",
                "update ID",
                "delete ID",
                "delete ID",
            ],
            "0 0 1 1 0 1 1 255 0 1 0 1",
        ),
        gives(
            "signals by name and number",
            &[
                "run --detach ID",
                "kill ID CONT",
                "kill ID SIGCONT",
                "kill ID cont",
                "kill ID 18",
                "kill ID WHAT",
                "kill ID 99",
                "kill ID SIGRTMIN+3",
            ],
            "0 0 0 0 0 1 1 1",
        )
        .but(Runtime::Ours, "0 0 0 0 0 1 1 0", "runc has no names for the signals of real time"),
        gives("a name that is none", &["create a/b", "create ..", "create a%b"], "1 1 1"),
        gives("a bundle that is not there", &["create --bundle /nowhere ID", "state ID"], "1 1"),
        gives("a pid file that cannot be written", &["create --pid-file /nowhere/pid ID", "state ID"], "1 1"),
        gives("descriptors that are not open", &["create --preserve-fds 5 ID", "state ID"], "1 1"),
        case("a configuration that is not there").sees("1", |b| {
            let mut command = b.command_as_is(&["create", &b.id]);
            ctr_tests::output::run(&mut command, b"").code.to_string()
        }),
    ]);
}

/// The keys of an object and the kinds of their values, sorted.
fn shape(value: &Value) -> String {
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        _ => "other",
    };
    let mut keys: Vec<String> =
        value.as_object().unwrap().iter().map(|(key, value)| format!("{key}:{}", kind(value))).collect();
    keys.sort();
    keys.join(" ")
}

#[test]
fn state_tells_what_there_is() {
    check(vec![
        case("its keys").config(|c| c["annotations"] = json!({"org.example.key": "value"})).sees(
            "annotations:object bundle:string created:string id:string ociVersion:string owner:string pid:number rootfs:string status:string",
            |bundle| { bundle.create(); shape(&bundle.state()) },
        ),
        case("its values").config(|c| c["annotations"] = json!({"org.example.key": "value"})).sees(
            "created value true true; running; stopped 0",
            |bundle| {
                let mut bundle = Bundle::new(bundle.runtime);
                bundle.config["annotations"] = json!({"key": "value"});
                bundle.script("sleep 1000");
                bundle.create();
                let state = bundle.state();
                let place = state["bundle"] == json!(bundle.path()) && state["rootfs"] == json!(bundle.in_rootfs(""))
                    || state["rootfs"] == json!(bundle.path().join("rootfs"));
                let alive = std::path::Path::new(&format!("/proc/{}", state["pid"])).exists();
                let created = format!("{} {} {place} {alive}", state["status"], state["annotations"]["key"]);
                bundle.call(&["start", &bundle.id]).ok();
                bundle.await_status("running");
                bundle.call(&["kill", &bundle.id, "KILL"]).ok();
                bundle.await_status("stopped");
                format!("{created}; running; stopped {}", bundle.state()["pid"]).replace('"', "")
            },
        ),
        case("the pid file").sees("true", |bundle| {
            bundle.detach(&["create", "--pid-file", "pid", &bundle.id]);
            (bundle.text("pid") == bundle.pid().to_string()).to_string()
        }),
        case("a list of names").sees("true", |b| { b.create(); (b.call(&["list", "--quiet"]).ok().text() == b.id).to_string() }),
        case("a list as a table").sees("ID PID STATUS BUNDLE CREATED OWNER; created root", |b| {
            b.create();
            let output = b.call(&["list"]).ok();
            let words: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
            format!("{}; {} {}", words[0].join(" "), words[1][2], words[1][5])
        }),
        case("a list as JSON").sees("bundle:string created:string id:string ociVersion:string owner:string pid:number rootfs:string status:string", |b| {
            b.create();
            shape(&b.call(&["list", "--format", "json"]).ok().json()[0])
        }),
    ]);
}

#[test]
fn other_processes_are_run_in_it() {
    fn exec(bundle: &Bundle, options: &[&str], command: &[&str]) -> String {
        seen(&bundle.call(&[&["exec"], options, &[bundle.id.as_str()], command].concat()))
    }
    check(vec![
        in_running(
            "namespaces, root, and the process's own settings",
            "sleep 1000",
            "same same same same same /bin",
            |b| {
                let script = "for n in mnt net pid uts ipc; do [ /proc/self/ns/$n -ef /proc/1/ns/$n ] && echo same; done | tr '\\n' ' '; echo $PATH";
                exec(b, &[], &["sh", "-c", script])
            },
        ),
        in_running("its exit code", "sleep 1000", "[exit 42]", |b| exec(b, &[], &["sh", "-c", "exit 42"])),
        in_running("the signal that ended it", "sleep 1000", "[exit 143]", |b| exec(b, &[], &["sh", "-c", "kill $$"])),
        in_running("user, folder, environment", "sleep 1000", "33 44\n/tmp\nx y", |b| {
            exec(
                b,
                &["--user", "33:44", "--cwd", "/tmp", "--env", "A=x", "--env", "B=y"],
                &["sh", "-c", "echo $(id -u) $(id -g); pwd; echo $A $B"],
            )
        }),
        in_running("further groups", "sleep 1000", "33 5 6", |b| {
            exec(b, &["--user", "33:33", "--additional-gids", "5", "--additional-gids", "6"], &["id", "-G"])
        }),
        in_running("privileges", "sleep 1000", "CapEff:\t00000000a82425fb\nNoNewPrivs:\t1", |b| {
            exec(b, &["--cap", "CAP_SYS_ADMIN", "--no-new-privs"], &["grep", "-E", "CapEff|NoNew", "/proc/self/status"])
        }),
        in_running("a file that says all", "sleep 1000", "5 9 one\n/etc", |b| {
            let capabilities = json!({"bounding": [], "effective": [], "permitted": []});
            let process = json!({"args": ["sh", "-c", "echo $(id -u) $(id -g) $WHICH; pwd"], "cwd": "/etc", "env": ["PATH=/bin", "WHICH=one"],
                "user": {"uid": 5, "gid": 9}, "capabilities": capabilities});
            b.file("process.json", &process.to_string());
            seen(&b.call(&["exec", "--process", "process.json", &b.id]))
        }),
        in_running("detached", "sleep 1000", "0, runs in it true", |b| {
            let code = b.detach(&["exec", "--detach", "--pid-file", "pid", &b.id, "sleep", "1000"]);
            let own = std::fs::read_link(format!("/proc/{}/ns/mnt", b.text("pid"))).unwrap();
            let same = own == std::fs::read_link(format!("/proc/{}/ns/mnt", b.pid())).unwrap();
            format!("{code}, runs in it {same}")
        }),
        in_running("a program that is missing", "sleep 1000", "[exit 255]", |b| exec(b, &[], &["nothing"])).but(
            Runtime::Ours,
            "[exit 127]",
            "as from a shell, and as docker gives it",
        ),
        in_running("no program", "sleep 1000", "[exit 255]", |b| exec(b, &[], &[])),
        in_running("descriptors", "sleep 1000", "passed", |b| {
            b.file("passed", "passed");
            let line = format!(
                "exec {:?} --root state exec --preserve-fds 1 {} cat /proc/self/fd/3 3< passed",
                b.runtime.program(),
                b.id
            );
            seen(&ctr_tests::output::run(Command::new("sh").args(["-c", &line]).current_dir(b.path()), b""))
        }),
        in_running("its input", "sleep 1000", "words", |b| {
            seen(&ctr_tests::output::run(&mut b.command(&["exec", &b.id, "cat"]), b"words"))
        }),
    ]);
}

#[test]
fn the_runtime_tells_of_itself() {
    check(vec![
        case("the version of the specification").sees("true", |b| {
            let output = b.call(&["--version"]).ok();
            output.stdout.lines().any(|line| line.starts_with("spec: 1.")).to_string()
        }),
        case("spec writes a configuration that can be run")
            .sees("0 yes, again 1", |b| {
                let dir = tempfile::tempdir().unwrap();
                let spec = |dir: &std::path::Path| {
                    ctr_tests::output::run(Command::new(b.runtime.program()).args(["spec", "--bundle"]).arg(dir), b"")
                        .code
                };
                let code = spec(dir.path());
                let config: Value =
                    serde_json::from_str(&std::fs::read_to_string(dir.path().join("config.json")).unwrap_or_default())
                        .unwrap_or_default();
                let whole =
                    ["ociVersion", "process", "root", "mounts", "linux"].iter().all(|key| config.get(key).is_some());
                format!("{code} {}, again {}", if whole { "yes" } else { "no" }, spec(dir.path()))
            })
            .but(Runtime::Ours, "0 yes, again 125", "it is a command by hand as well"),
        case("features").sees(
            "mount options, hooks, namespaces, capabilities, cgroup, seccomp, apparmor, selinux",
            |b| {
                let features = b.call(&["features"]).ok().json();
                let linux = &features["linux"];
                let has = |value: &Value, name: &str| match value {
                    Value::Null => format!("no {name}"),
                    _ => name.to_owned(),
                };
                [
                    has(&features["mountOptions"][10], "mount options"),
                    has(&features["hooks"][5], "hooks"),
                    has(&linux["namespaces"][6], "namespaces"),
                    has(&linux["capabilities"][37], "capabilities"),
                    has(&linux["cgroup"]["v2"], "cgroup"),
                    has(&linux["seccomp"]["actions"][5], "seccomp"),
                    has(&linux["apparmor"]["enabled"], "apparmor"),
                    has(&linux["selinux"]["enabled"], "selinux"),
                ]
                .join(", ")
            },
        ),
        case("a log of JSON lines").sees("1 error true true", |b| {
            let code = b.call(&["--log", "log.json", "--log-format", "json", "start", &b.id]).code;
            let line: Value = serde_json::from_str(b.text("log.json").lines().last().unwrap()).unwrap();
            let said = line["msg"].as_str().unwrap().contains("does not exist");
            format!("{code} {} {said} {}", line["level"].as_str().unwrap(), line["time"].as_str().unwrap().len() >= 20)
        }),
        case("a form of log that there is not")
            .sees("1", |b| b.call(&["--log-format", "yaml", "list"]).code.to_string())
            .but(Runtime::Ours, "125", USAGE),
        case("groups by way of systemd, where there is none")
            .sees("1", |b| b.call(&["--systemd-cgroup", "create", &b.id]).code.to_string()),
        case("a command that there is not").sees("3", |b| b.call(&["nothing"]).code.to_string()).but(
            Runtime::Ours,
            "125",
            "as every tool here says that its command line is wrong",
        ),
    ]);
}
