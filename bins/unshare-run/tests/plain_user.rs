//! Without being root: what a user namespace gives to everybody, and what is said where it gives nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Said, copy_program, make_rootfs, program};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

const USER: u32 = 65534;

/// A folder of a plain user, with the program, a state folder and a root filesystem in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        make_rootfs(&home.path("rootfs"));
        // Copies that the user can reach, whatever the folders on the way to the built ones permit.
        for tool in ["unshare-run", "cgset"] {
            copy_program(&program().with_file_name(tool), &home.path(tool));
        }
        fs::create_dir(home.path("run")).unwrap();
        for place in ["", "run", "rootfs", "rootfs/tmp", "rootfs/dev", "rootfs/etc"] {
            chown(home.path(place), Some(USER), Some(USER)).unwrap();
            fs::set_permissions(home.path(place), fs::Permissions::from_mode(0o755)).unwrap();
        }
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.uid(USER).gid(USER).current_dir(self.0.path()).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env_remove("CTR_RUN").env_remove("CTR_BIN_DIR");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.command("./unshare-run").args(args).output().unwrap().into()
    }

    /// Flags, then a script; it must succeed without a word on standard error.
    fn prints(&self, flags: &str, script: &str) -> String {
        let args: Vec<&str> = flags.split(' ').chain(["--", "sh", "-c", script]).collect();
        let said = self.run(&args);
        assert!(said.code == 0 && said.err.is_empty(), "{flags}: {said:?}");
        assert_eq!(fs::read_dir(self.path("run/ctr/runtime")).unwrap().count(), 0, "state is left");
        said.out
    }
}

#[test]
fn everybody_is_root_in_a_user_namespace_of_his_own() {
    let home = Home::new();
    let script =
        "id -u; echo $$; hostname; touch /made && stat -c %u /made; cat /proc/self/uid_map /proc/self/setgroups";
    let flags = "--map-root-user --pid --mount --uts --hostname box --rootfs rootfs";
    let words: Vec<String> = home.prints(flags, script).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "1", "box", "0", "0", "65534", "1", "deny"]);
    assert_eq!(fs::metadata(home.path("rootfs/made")).unwrap().uid(), USER);
}

#[test]
fn it_has_proc_devices_a_terminal_and_a_network() {
    let home = Home::new();
    let script = "ls /proc | grep -c '^[0-9]'; echo x >/dev/null && cat /dev/null; test -c /dev/tty && tty; \
                  cat /sys/class/net/lo/operstate; mount | grep -c ' on /dev/null '";
    let flags = "--map-root-user --pid --mount --net --ipc --uts --cgroup --tty --rootfs rootfs";
    // ls and grep and the shell; a loopback device that is up has no other state than this.
    let said = home.prints(flags, script).replace('\r', "");
    assert_eq!(said, "3\n/dev/pts/0\nunknown\n1");
    let up = home.prints("--map-root-user --net", "cat /proc/net/if_inet6 /proc/net/fib_trie | grep -c 127.0.0.1");
    assert_ne!(up, "0");
}

#[test]
fn a_bundle_of_a_plain_user_runs_without_a_group() {
    let home = Home::new();
    let mut config: serde_json::Value =
        serde_json::from_str(&home.run(&["spec", "--", "sh", "-c", "id -u; cat /proc/self/cgroup"]).out).unwrap();
    let map = serde_json::json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(serde_json::json!({"type": "user"}));
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    for mount in config["mounts"].as_array_mut().unwrap() {
        mount["options"].as_array_mut().unwrap().retain(|option| !option.as_str().unwrap().starts_with("gid="));
    }
    let write = |config: &serde_json::Value| fs::write(home.path("config.json"), config.to_string()).unwrap();
    write(&config);
    let said = home.run(&["run", "x"]);
    assert!(said.code == 0 && said.out.starts_with("0\n") && said.err.is_empty(), "{said:?}");
    // But a limit that cannot be is an error, and so is a group that cannot be.
    config["linux"]["resources"]["pids"] = serde_json::json!({"limit": 5});
    write(&config);
    let said = home.run(&["run", "x"]);
    assert!(said.code != 0 && said.err.contains("cgset create --delegate"), "{said:?}");
    config["linux"]["resources"] = serde_json::Value::Null;
    config["linux"]["cgroupsPath"] = "/somewhere/x".into();
    write(&config);
    assert_ne!(home.run(&["run", "x"]).code, 0);
    assert_eq!(fs::read_dir(home.path("run/ctr/runtime")).unwrap().count(), 0, "state is left");
}

#[test]
fn who_may_not_is_told_what_to_do() {
    let home = Home::new();
    for (flags, words) in [
        ("--uts", "--map-root-user"),
        ("--map-root-user --user 33", "knows no user 33"),
        ("--map-root-user --memory 64m", "cgset create --delegate"),
    ] {
        let said = home.run(&flags.split(' ').chain(["--", "true"]).collect::<Vec<_>>());
        assert!(said.code == 125 && said.err.contains(words), "{flags}: {said:?}");
    }
    // The number of user namespaces is counted by the user namespace that they are made in, so this harms nobody.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces; ./unshare-run --root run --map-root-user -- true";
    let said = home.run(&["--map-root-user", "--", "sh", "-c", script]);
    assert!(said.code == 125 && said.err.contains("sysctl user.max_user_namespaces=15000"), "{said:?}");
}

#[test]
fn a_state_folder_of_somebody_else_is_not_trusted() {
    let home = Home::new();
    let theirs = home.path("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(65533), None).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
    let said = home.run(&["--root", "theirs", "--map-root-user", "--", "true"]);
    assert!(said.code == 125 && said.err.contains("it belongs to somebody else"), "{said:?}");
}

#[test]
fn users_that_are_set_aside_are_the_users_inside() {
    let home = Home::new();
    let file = home.path("subids");
    fs::write(&file, "root:100000:65536\n").unwrap();
    let inside = |flags: &str| -> Said {
        // In a mount namespace of its own the machine's files stay as they are.
        let script = format!(
            "for f in /etc/subuid /etc/subgid; do [ -e $f ] || : > $f; mount --bind {} $f; done; \
             exec {} --root {}/state {flags} -- sh -c 'cat /proc/self/uid_map /proc/self/gid_map; id -u'",
            file.display(),
            program().display(),
            home.0.path().display()
        );
        Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap().into()
    };
    let words = |said: Said| said.out.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(inside("--map-auto")), ["0", "100000", "65536", "0", "100000", "65536", "0"]);
    let both = ["0", "0", "1", "1", "100000", "65536", "0", "0", "1", "1", "100000", "65536", "33"];
    assert_eq!(words(inside("--map-auto --map-root-user --user 33")), both);
    fs::write(&file, "").unwrap();
    let said = inside("--map-auto");
    assert!(said.code == 125 && said.err.contains("root:100000:65536"), "{said:?}");
}
