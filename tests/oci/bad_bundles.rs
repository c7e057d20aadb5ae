//! Bundles that are broken, or made to do harm: each is refused with one line and runc's exit code, leaves nothing,
//! and changes nothing outside of its root.

use crate::bundle::{Bundle, Runtime};
use crate::case::{Case, case, check};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

/// Everything in the bundle but its root and its state, with what it holds.
fn surroundings(bundle: &Bundle) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![bundle.path().to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            let metadata = entry.metadata().unwrap();
            if dir == bundle.path() && ["rootfs", "state"].iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let small = metadata.is_file() && metadata.len() < 1 << 20;
            let text =
                if small { String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned() } else { String::new() };
            found.insert(
                path.display().to_string(),
                format!("{:o} {}:{} {text}", metadata.mode(), metadata.uid(), metadata.gid()),
            );
            if metadata.is_dir() {
                todo.push(path);
            }
        }
    }
    found
}

/// Runs it and says what happened: `refused`, or what was not as it has to be.
fn outcome(bundle: &Bundle) -> String {
    bundle.file("canary/deep/file", "sings");
    // As it is, unless there is none yet.
    if bundle.path().join("config.json").symlink_metadata().is_err() {
        drop(bundle.command(&[]));
    }
    let before = surroundings(bundle);
    let output = ctr_tests::output::run(&mut bundle.command_as_is(&["run", &bundle.id]), b"");
    let lines: Vec<&str> = output.stderr.lines().collect();
    let clear = lines.len() == 1
        && lines[0].starts_with("unshare-run: ")
        && lines[0].len() < 1000
        && !lines[0].contains("panicked");
    let ours = bundle.runtime == Runtime::Ours;
    if surroundings(bundle) != before {
        return format!("wrote outside of the root: {before:?} became {:?}", surroundings(bundle));
    }
    if output.code == 0 {
        return format!("accepted{}", output.stdout);
    }
    if ours && !clear {
        return format!("said {:?}", output.stderr);
    }
    if ours && gone(bundle).is_err() {
        return format!("left {:?}", bundle.leftovers());
    }
    if output.code == 1 { "refused".to_owned() } else { format!("exit code {}", output.code) }
}

/// Waits until nothing is left.
fn gone(bundle: &Bundle) -> Result<(), ()> {
    for _ in 0..500 {
        if bundle.leftovers().is_empty() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(())
}

/// Why a program that cannot be run gives another exit code with ours.
const CODES: &str = "126 and 127 as from a shell: who runs a container by hand can tell what went wrong";

fn bad(name: &'static str, change: impl Fn(&mut Value) + 'static) -> Case {
    bad_bundle(name, move |bundle| change(&mut bundle.config))
}

fn bad_bundle(name: &'static str, change: impl Fn(&mut Bundle) + 'static) -> Case {
    case(name).bundle(change).sees("refused", outcome)
}

/// `config.json` is these bytes.
fn bytes(name: &'static str, make: impl Fn(&Bundle) -> Vec<u8> + 'static) -> Case {
    bad_bundle(name, move |bundle| fs::write(bundle.path().join("config.json"), make(bundle)).unwrap())
}

/// A good configuration as text, changed.
fn text(name: &'static str, change: impl Fn(String) -> Vec<u8> + 'static) -> Case {
    bytes(name, move |bundle| change(bundle.config.to_string()))
}

fn mount(config: &mut Value, value: Value) {
    config["mounts"].as_array_mut().unwrap().push(value);
}

fn tmpfs(config: &mut Value, destination: &str) {
    mount(config, json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}));
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    const HUGE: usize = 100 << 20;
    check(vec![
        text("empty", |_| Vec::new()),
        text("no JSON", |_| b"hello".to_vec()),
        text("JSON of another kind", |_| b"[]".to_vec()),
        text("null", |_| b"null".to_vec()).but(Runtime::Runc, "exit code 2", "it panics"),
        text("cut off", |text| text.as_bytes()[..text.len() / 2].to_vec()),
        text("more after its end", |text| (text + "}").into_bytes()).but(
            Runtime::Runc,
            "accepted",
            "it reads to the end of the object",
        ),
        text("not of UTF-8", |text| {
            text.replace("PATH=/bin", "PATH=\u{1}")
                .into_bytes()
                .iter()
                .map(|b| if *b == 1 { 0xff } else { *b })
                .collect()
        })
        .but(Runtime::Runc, "accepted", "Go puts another character in its place"),
        text("nested deeply", |_| [b"{\"annotations\":".to_vec(), vec![b'['; 200_000]].concat()),
        text("nested deeply where nobody looks", |text| {
            text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(50_000), "]".repeat(50_000)), 1).into_bytes()
        })
        .but(Runtime::Ours, "accepted", "what we do not know is passed over, however deep"),
        text("100 MB of nothing", |_| vec![b' '; HUGE]),
        bad_bundle("a folder", |b| fs::create_dir(b.path().join("config.json")).unwrap()),
        bad_bundle("a link to nothing", |b| symlink("nowhere", b.path().join("config.json")).unwrap()),
        bad_bundle("a link to itself", |b| symlink("config.json", b.path().join("config.json")).unwrap()),
        bad_bundle("a device without an end", |b| symlink("/dev/zero", b.path().join("config.json")).unwrap()),
        bad_bundle("a device with nothing in it", |b| symlink("/dev/null", b.path().join("config.json")).unwrap()),
    ]);
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    check(vec![
        bad("a number for a version", |c| c["ociVersion"] = json!(1)),
        bad("a text for the process", |c| c["process"] = json!("sh")),
        bad("a text for the arguments", |c| c["process"]["args"] = json!("sh")),
        bad("numbers for arguments", |c| c["process"]["args"] = json!([1, 2])),
        bad("an object for the environment", |c| c["process"]["env"] = json!({"PATH": "/bin"})),
        bad("a text for a user", |c| c["process"]["user"] = json!("root")),
        bad("a name for a user number", |c| c["process"]["user"]["uid"] = json!("root")),
        bad("a user below 0", |c| c["process"]["user"]["uid"] = json!(-1)),
        bad("a user beyond 32 bits", |c| c["process"]["user"]["uid"] = json!(1_u64 << 32)),
        bad("a user that is no whole number", |c| c["process"]["user"]["gid"] = json!(1.5)),
        bad("further groups beyond 32 bits", |c| {
            c["process"]["user"]["additionalGids"] = json!([1, 5_000_000_000_u64])
        }),
        bad("a text for a switch", |c| c["process"]["terminal"] = json!("true")),
        bad("a list for the root", |c| c["root"] = json!(["rootfs"])).but(
            Runtime::Ours,
            "accepted",
            "its values in their order are the root",
        ),
        bad("an object for the mounts", |c| c["mounts"] = json!({"destination": "/x"})),
        bad("a text for options", |c| c["mounts"][1]["options"] = json!("ro,nosuid")),
        bad("texts for namespaces", |c| c["linux"]["namespaces"] = json!(["pid"])),
        bad("a text for a limit", |c| {
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": "1", "hard": "1"}])
        }),
        bad("a limit below 0", |c| c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": -1, "hard": -1}])),
        bad("a limit beyond 64 bits", |c| {
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 1e30, "hard": 1e30}])
        }),
        bad("a number for a name of a setting", |c| c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": 1})),
        bad("a text for a mode", |c| {
            c["linux"]["devices"] = json!([{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": "0666"}])
        }),
        bad("a list for annotations", |c| c["annotations"] = json!(["a"])),
        bad("a memory limit below none", |c| c["linux"]["resources"] = json!({"memory": {"limit": -7}})),
        bad("a memory limit beyond 64 bits", |c| c["linux"]["resources"] = json!({"memory": {"limit": 1e20}})),
        bad("a score beyond 32 bits", |c| c["process"]["oomScoreAdj"] = json!(1_u64 << 40)),
    ]);
}

#[test]
fn what_cannot_be_is_refused() {
    check(vec![
        bad("nothing at all", |c| *c = json!({})),
        bad("no process", |c| drop(c.as_object_mut().unwrap().remove("process"))),
        bad("no arguments", |c| c["process"]["args"] = json!([])),
        bad("an empty program", |c| c["process"]["args"] = json!([""])).but(Runtime::Ours, "exit code 127", CODES),
        bad("no folder to start in", |c| drop(c["process"].as_object_mut().unwrap().remove("cwd"))),
        bad("a relative folder to start in", |c| c["process"]["cwd"] = json!("../canary")),
        bad("no path to the root", |c| c["root"] = json!({}))
            .ours_alone("it takes the bundle for the root, and makes what is missing in it"),
        bad("an empty path to the root", |c| c["root"]["path"] = json!("")).ours_alone("likewise"),
        bad("a root that is a file", |c| c["root"]["path"] = json!("canary/deep/file")),
        bad("0 in an argument", |c| c["process"]["args"] = json!(["/bin/sh", "-c", "true\0false"])),
        bad("0 in the environment", |c| c["process"]["env"] = json!(["PATH=/bin", "A=1\0B=2"])),
        bad("0 in the host name", |c| c["hostname"] = json!("a\0b")).but(
            Runtime::Runc,
            "accepted",
            "the kernel takes any bytes",
        ),
        bad("0 in a path of a mount", |c| tmpfs(c, "/mnt\0/../..")),
        bad("0 in the root", |c| c["root"]["path"] = json!("rootfs\0x")),
        bad("a host name of 65 letters", |c| c["hostname"] = json!("x".repeat(65))),
        bad("an environment of a megabyte in one piece", |c| {
            c["process"]["env"] = json!(["PATH=/bin", format!("A={}", "x".repeat(1 << 20))])
        })
        .but(Runtime::Ours, "exit code 126", CODES),
        bad("capabilities that were not permitted", |c| {
            c["process"]["capabilities"] =
                json!({"effective": ["CAP_CHOWN"], "permitted": [], "bounding": ["CAP_CHOWN"]})
        }),
        bad("a limit that there is not", |c| {
            c["process"]["rlimits"] = json!([{"type": "RLIMIT_FUN", "soft": 1, "hard": 1}])
        }),
        bad("a namespace that there is not", |c| c["linux"]["namespaces"][0] = json!({"type": "color"})),
        bad("a namespace twice", |c| c["linux"]["namespaces"][0] = json!({"type": "uts"})),
        bad("a namespace without a kind", |c| c["linux"]["namespaces"][0] = json!({})),
        bad("no mount namespace", |c| c["linux"]["namespaces"] = json!([{"type": "pid"}]))
            .ours_alone("it mounts and pivots in the callers namespace"),
        bad("a setting of the machine", |c| c["linux"]["sysctl"] = json!({"vm.overcommit_memory": "1"})),
        bad("a setting by way of dots", |c| c["linux"]["sysctl"] = json!({"net/../kernel/panic": "1"})),
        bad("mappings without numbers", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 0}]);
            c["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 0}]);
        }),
        bad("mappings that overlap", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            let twice =
                json!([{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 5, "hostID": 100, "size": 10}]);
            c["linux"]["uidMappings"] = twice.clone();
            c["linux"]["gidMappings"] = twice;
        }),
        bad("a mount with ids of its own that are not said", |c| {
            mount(c, json!({"destination": "/mnt", "type": "bind", "source": "canary", "options": ["bind", "idmap"]}))
        })
        .since_runc(1, 2),
        bad("a filter of unknown actions", |c| c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_EXPLODE"})),
        bad("a filter without an action", |c| c["linux"]["seccomp"] = json!({"architectures": ["SCMP_ARCH_X86_64"]}))
            .but(
                Runtime::Runc,
                "accepted",
                "1.1 takes the lack of it for killing, and a filter without rules for none",
            ),
        bad("a filter that compares by nothing", |c| {
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_NONE"}]}]})
        }),
        bad("a filter of an argument too many", |c| {
            c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 60, "value": 1, "op": "SCMP_CMP_EQ"}]}]})
        }),
        bad("a hook of a relative path", |c| c["hooks"] = json!({"createRuntime": [{"path": "canary/deep/file"}]})),
        bad("a hook that is no program", |c| c["hooks"] = json!({"createRuntime": [{"path": "/etc/passwd"}]})),
        bad("processors that there are not", |c| c["linux"]["resources"] = json!({"cpu": {"cpus": "4000-5000"}})),
        bad("a device rule of an unknown kind", |c| {
            c["linux"]["resources"] = json!({"devices": [{"allow": true, "type": "z", "access": "rwm"}]})
        }),
        bad("a device rule of unknown access", |c| {
            c["linux"]["resources"] = json!({"devices": [{"allow": true, "type": "c", "access": "fly"}]})
        })
        .but(Runtime::Runc, "accepted", "it passes over the letters that it does not know"),
    ]);
}

/// A link in the root filesystem.
fn link(bundle: &Bundle, target: impl AsRef<Path>) {
    symlink(target, bundle.in_rootfs("link")).unwrap();
}

#[test]
fn paths_that_lead_out_lead_nowhere() {
    let escaping = |name, change: fn(&mut Bundle)| bad_bundle(name, change);
    check(vec![
        escaping("a group above the top", |b| b.config["linux"]["cgroupsPath"] = json!("/../../oci-test")).but(
            Runtime::Runc,
            "accepted",
            "it cleans the path, and what is left of it is below the top",
        ),
        escaping("proc elsewhere than its place, over proc", |b| {
            mount(
                &mut b.config,
                json!({"destination": "/proc/sys", "type": "bind", "source": "canary", "options": ["bind"]}),
            )
        }),
        escaping("a mount over proc", |b| {
            mount(
                &mut b.config,
                json!({"destination": "/proc", "type": "bind", "source": "canary", "options": ["bind"]}),
            )
        }),
        escaping("a link over proc", |b| {
            link(b, "/proc/self");
            mount(
                &mut b.config,
                json!({"destination": "/link/attr", "type": "bind", "source": "canary", "options": ["bind"]}),
            )
        }),
        escaping("a cycle of links", |b| {
            link(b, "other");
            symlink("link", b.in_rootfs("other")).unwrap();
            tmpfs(&mut b.config, "/link/x");
        }),
        escaping("a folder to start in by way of the hosts descriptors", |b| {
            b.config["process"]["cwd"] = json!("/proc/self/fd/7")
        }),
        escaping("a root that is proc", |b| b.config["root"]["path"] = json!("/proc/self/cwd/nothing")),
        escaping("a source that goes up from nowhere", |b| {
            mount(
                &mut b.config,
                json!({"destination": "/mnt", "type": "bind", "source": "nowhere/../canary", "options": ["bind"]}),
            )
        })
        .but(Runtime::Runc, "accepted", "it takes `nowhere/..` away without looking"),
        escaping("a proc that is a link", |b| {
            fs::remove_dir(b.in_rootfs("proc")).unwrap();
            symlink("../canary", b.in_rootfs("proc")).unwrap();
        }),
    ]);
}

#[test]
fn links_are_followed_in_the_root() {
    // What changes nothing outside: the canary lives.
    let escaping = |name, change: fn(&mut Bundle)| bad_bundle(name, change).sees("accepted", outcome);
    check(vec![
        escaping("a link to a file of the host", |b| {
            let canary = b.path().join("canary/deep/file");
            link(b, canary);
            b.config["linux"]["maskedPaths"] = json!(["/link"]);
        }),
        escaping("a device by way of a link", |b| {
            link(b, "../canary");
            b.config["linux"]["devices"] =
                json!([{"path": "/link/deep/new", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}]);
        }),
        escaping("a mount by way of a link", |b| {
            link(b, "../canary");
            tmpfs(&mut b.config, "/link/deep/new");
        }),
        escaping("a mount by way of dots", |b| tmpfs(&mut b.config, "/../canary/new")),
        escaping("a file to be made by way of a link", |b| {
            link(b, b.path().join("canary/new"));
            mount(
                &mut b.config,
                json!({"destination": "/link", "type": "bind", "source": "/dev/null", "options": ["bind"]}),
            );
        }),
        escaping("a folder to start in, to be made by way of a link", |b| {
            link(b, "../canary");
            b.config["process"]["cwd"] = json!("/link/new");
        })
        .but(Runtime::Runc, "refused", "it does not look for the folder by way of links before it makes it"),
        escaping("a dev that is a link", |b| {
            fs::remove_dir(b.in_rootfs("dev")).unwrap();
            symlink("../canary", b.in_rootfs("dev")).unwrap();
        })
        .ours_alone("1.1 makes the links of /dev by way of it, outside of the root"),
        escaping("a passwd that is a link", |b| {
            fs::remove_file(b.in_rootfs("etc/passwd")).unwrap();
            symlink("/etc/shadow", b.in_rootfs("etc/passwd")).unwrap();
        }),
        escaping("a passwd that is a pipe", |b| {
            fs::remove_file(b.in_rootfs("etc/passwd")).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                b.in_rootfs("etc/passwd"),
                rustix::fs::FileType::Fifo,
                0o600.into(),
                0,
            )
            .unwrap();
        })
        .ours_alone("it waits for somebody to write into it"),
    ]);
}
