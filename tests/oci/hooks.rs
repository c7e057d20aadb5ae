//! Hooks: which program runs when, where, with what, and what happens when it fails (config.md "POSIX-platform Hooks",
//! runtime.md "Lifecycle").

use crate::bundle::{Bundle, Runtime};
use crate::case::{Case, case, check};
use serde_json::{Value, json};

const KINDS: [&str; 6] = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// What runc does with `poststart`.
const EARLY: &str =
    "it runs `poststart` when the container is created; the specification: after the program has been started";

/// Gives the container a hook of each kind, which runs `script` in a shell with its kind in `$0`. The shell is
/// busybox, at the same path outside as inside: what it writes to is in the bundle, which is mounted at the same path too.
fn hooks(bundle: &mut Bundle, script: &str, kinds: &[&str]) {
    let place = bundle.path().to_owned();
    bundle.mkdir(place.to_str().unwrap());
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"destination": place, "type": "bind", "source": place, "options": ["bind"]}));
    for kind in kinds {
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script, kind], "env": [format!("D={}", place.display()), "PATH=/bin:/usr/bin"]}]);
        bundle.config["hooks"][*kind] = hook;
    }
}

/// The lines that the hooks and the program wrote to the bundle's `log`, joined.
fn log(bundle: &Bundle) -> String {
    bundle.text("log").lines().collect::<Vec<_>>().join(" ")
}

fn with(name: &'static str, script: &'static str) -> Case {
    case(name).bundle(move |bundle| hooks(bundle, script, &KINDS))
}

/// Hooks of which one kind fails; its program writes `program`.
fn failing(name: &'static str, kind: &'static str) -> Case {
    case(name).bundle(move |bundle| {
        let script = format!("echo $0 >> $D/log; test $0 != {kind}");
        hooks(bundle, &script, &KINDS);
        let place = bundle.path().display().to_string();
        bundle.script(&format!("echo program >> {place}/log"));
    })
}

/// `run`: what was written, and how it ended.
fn run(bundle: &Bundle) -> String {
    let output = bundle.run();
    format!("{}: {}", log(bundle), output.code)
}

/// What is new in the log after each command.
fn step_by_step(bundle: &Bundle) -> String {
    let mut bundle = Bundle::new(bundle.runtime);
    hooks(&mut bundle, "echo $0 >> $D/log", &KINDS);
    let log_file = bundle.path().join("log").display().to_string();
    // The program and `poststart` run at the same time: it waits, so that there is an order.
    bundle.script(&format!("echo program >> {log_file}; while ! grep -q poststart {log_file}; do sleep 0.01; done"));
    let mut seen = String::new();
    let mut steps = Vec::new();
    let mut step = |name: &str, bundle: &Bundle| {
        let now = log(bundle);
        let words: Vec<&str> = now.strip_prefix(seen.as_str()).unwrap().split_whitespace().collect();
        let mut words = words.join(" ");
        if words.ends_with("poststart program") {
            words = words.replace("poststart program", "program poststart");
        }
        steps.push(format!("{name}: {words}"));
        seen = now;
    };
    bundle.create();
    step("create", &bundle);
    bundle.call(&["start", &bundle.id]).ok();
    bundle.await_status("stopped");
    step("start", &bundle);
    bundle.call(&["delete", &bundle.id]).ok();
    step("delete", &bundle);
    steps.join(" / ")
}

#[test]
fn hooks_run_in_their_order() {
    check(vec![
        case("each at its step")
            .sees(
                "create: prestart createRuntime createContainer / start: startContainer program poststart / delete: poststop",
                step_by_step,
            )
            .but(
                Runtime::Runc,
                "create: prestart createRuntime createContainer poststart / start: startContainer program / delete: poststop",
                EARLY,
            ),
        case("several of a kind, in order")
            .bundle(|bundle| {
                hooks(bundle, "", &["prestart"]);
                let hook = |word: &str| {
                    json!({"path": "/bin/sh", "args": ["sh", "-c", format!("echo {word} >> {}/log", bundle.path().display())]})
                };
                bundle.config["hooks"]["createRuntime"] = json!([hook("a"), hook("b"), hook("c")]);
            })
            .sees("a b c: 0", run),
        with("with run too", "echo $0 >> $D/log").sees("createContainer createRuntime poststart poststop prestart startContainer 0", |bundle| {
            let output = bundle.run();
            let log = log(bundle);
            let mut words: Vec<&str> = log.split(' ').collect();
            words.sort();
            format!("{} {}", words.join(" "), output.code)
        }),
    ]);
}

#[test]
fn hooks_have_the_containers_state_on_their_input() {
    check(vec![
        with("all of it", "cat > $D/$0.json").config(|c| c["annotations"] = json!({"org.example.key": "value"})).sees(
            "prestart creating pid, createRuntime creating pid, createContainer creating pid, startContainer created pid, \
             poststart running pid, poststop stopped",
            |bundle| {
                bundle.run();
                let told = KINDS.map(|kind| {
                    let state: Value = serde_json::from_str(&bundle.text(&format!("{kind}.json"))).unwrap_or_default();
                    let same = state["id"] == json!(bundle.id) && state["bundle"] == json!(bundle.path()) && state["annotations"]["org.example.key"] == "value";
                    let pid = if state["pid"].as_i64().unwrap_or(0) > 0 { " pid" } else { "" };
                    format!("{kind} {}{}{pid}", state["status"].as_str().unwrap_or("?"), if same { "" } else { "!" })
                });
                told.join(", ")
            },
        )
        .but(
            Runtime::Runc,
            "prestart creating pid, createRuntime creating pid, createContainer creating pid, startContainer created pid, \
             poststart created pid, poststop stopped",
            EARLY,
        ),
    ]);
}

#[test]
fn hooks_run_in_the_hosts_or_the_containers_namespaces() {
    /// For each kind of hook: which of the namespaces are not the host's, and whether `/` is the container's.
    fn places(bundle: &Bundle, kind: &str) -> String {
        let text = bundle.text(kind);
        let host = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
        let own = ["mnt", "net", "pid", "uts"].into_iter().filter(|name| !text.contains(&host(name)));
        let root = if text.contains("inside") { "in the root" } else { "out of the root" };
        format!("{kind} {} {root}", own.collect::<Vec<_>>().join(" "))
    }
    let script = "for n in mnt net pid uts; do readlink /proc/self/ns/$n; done > $D/$0; if [ -e /inside ]; then echo inside; fi >> $D/$0";
    let at = |kind: &'static str, expected: &str| {
        with(kind, script).bundle(|b| b.file("rootfs/inside", "")).sees(expected, move |bundle| {
            bundle.run();
            places(bundle, kind)
        })
    };
    check(vec![
        at("prestart", "prestart  out of the root"),
        at("createRuntime", "createRuntime  out of the root"),
        at("createContainer", "createContainer mnt net pid uts out of the root"),
        at("startContainer", "startContainer mnt net pid uts in the root"),
        at("poststart", "poststart  out of the root"),
        at("poststop", "poststop  out of the root"),
    ]);
}

#[test]
fn a_hook_that_fails_ends_the_container_before_the_program_but_not_after() {
    check(vec![
        failing("prestart", "prestart").sees("prestart poststop: 1", run),
        failing("createRuntime", "createRuntime").sees("prestart createRuntime poststop: 1", run),
        failing("createContainer", "createContainer").sees("prestart createRuntime createContainer poststop: 1", run),
        failing("startContainer", "startContainer")
            .sees("prestart createRuntime createContainer startContainer poststop: 1", run)
            .but(Runtime::Runc, "prestart createRuntime createContainer poststart startContainer poststop: 1", EARLY),
        failing("poststart", "poststart").sees("1", |bundle| bundle.run().code.to_string()),
        failing("poststop", "poststop").sees("0", |bundle| bundle.run().code.to_string()),
        case("a program that is missing")
            .config(|c| c["hooks"] = json!({"createRuntime": [{"path": "/nowhere"}]}))
            .refused(),
        case("a path that is relative")
            .config(|c| c["hooks"] = json!({"createRuntime": [{"path": "bin/true"}]}))
            .refused(),
        case("one that takes too long")
            .config(|c| {
                c["hooks"] = json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]})
            })
            .refused(),
        case("a timeout of no time")
            .config(|c| c["hooks"] = json!({"createRuntime": [{"path": "/bin/true", "timeout": 0}]}))
            .refused()
            .ours_alone("with runc it depends on who is first, the hook or no time"),
        case("its environment is what is said, nothing else")
            .bundle(|b| {
                b.config["hooks"] =
                    json!({"createRuntime": [{"path": "/usr/bin/env", "args": ["env"], "env": ["A=1"]}]});
                b.program("env", &format!("/usr/bin/env > {}/log", b.path().display()));
                b.config["hooks"]["createRuntime"][0] =
                    json!({"path": b.path().join("env"), "args": ["env"], "env": ["A=1"]});
            })
            .sees("A=1", |b| {
                b.run();
                b.text("log")
                    .lines()
                    .filter(|l| !l.starts_with("PWD=") && !l.starts_with("SHLVL=") && !l.starts_with("_="))
                    .collect()
            }),
    ]);
}
