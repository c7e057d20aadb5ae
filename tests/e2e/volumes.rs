//! Volumes: made by name and by the way, filled from the image, shared, and gone when nobody needs them.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A sandbox with an image that has something at /data: a file of somebody's, a folder with a mode of its own.
fn with_data() -> Sandbox {
    let sandbox = Sandbox::with_base();
    let script = "mkdir -p /data/sub && echo from-image > /data/file && chown 5:6 /data/file && chmod 750 /data /data/sub && \
                  ln -s file /data/link && ln /data/file /data/hard";
    sandbox.ctr(["run", "--name", "maker", "base", "sh", "-c", script]).ok();
    sandbox.ctr(["commit", "--change", "VOLUME /data", "maker", "filled"]).ok();
    sandbox.ctr(["rm", "maker"]).ok();
    sandbox
}

fn data(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.root().join("volumes").join(name).join("_data")
}

fn volumes(sandbox: &Sandbox) -> Vec<String> {
    sandbox.ctr(["volume", "ls", "-q"]).ok().stdout.lines().map(str::to_owned).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn volumes_are_made_listed_shown_and_removed() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["volume", "create", "data"]).ok().prints("data");
    sandbox.ctr(["volume", "create", "data"]).ok().prints("data");
    sandbox.ctr(["volume", "create", "--label", "a=b", "--label", "c", "other"]).ok().prints("other");
    let random = sandbox.ctr(["volume", "create"]).ok().text().to_owned();
    assert!(random.len() == 64 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{random}");
    let path = data(&sandbox, "data");
    let list = format!("DRIVER    VOLUME NAME\nlocal     {random}\nlocal     data\nlocal     other\n");
    let mut rows: Vec<&str> = list.lines().collect();
    rows[1..].sort_unstable();
    assert_eq!(sandbox.ctr(["volume", "ls"]).ok().stdout.lines().collect::<Vec<_>>(), rows);
    sandbox.ctr(["volume", "ls", "-q", "-f", "label=a=b"]).ok().prints("other");
    sandbox.ctr(["volume", "ls", "--format", "{{.Name}} {{.Labels}}", "-f", "name=the"]).ok().prints("other a=b,c=");
    let shown = json(&sandbox.ctr(["volume", "inspect", "data"]).ok().stdout);
    let created = shown[0]["CreatedAt"].as_str().unwrap().to_owned();
    let expected = serde_json::json!([{
        "CreatedAt": created, "Driver": "local", "Labels": {}, "Mountpoint": path, "Name": "data", "Options": {}, "Scope": "local"
    }]);
    assert_eq!(shown, expected);
    sandbox.ctr(["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok().prints(path.to_str().unwrap());
    let stat = fs::metadata(&path).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.uid()), (0o755, 0));

    sandbox.ctr(["volume", "rm", "data", "nope", "other"]).exits(1).prints("data\nother").says("No such volume: nope");
    sandbox.ctr(["volume", "rm", "-f", "nope"]).ok().prints("nope");
    assert!(!path.exists());
    for (args, why) in [
        (&["-d", "foo", "vv"][..], "create vv: error looking up volume plugin foo: plugin \"foo\" not found"),
        (&["a b"], "create a b: \"a b\" includes invalid characters for a local volume name, only"),
        (&["a"], "create a: volume name is too short, names should be at least two alphanumeric characters"),
        (&["-o", "foo=bar", "vv"], "create vv: invalid option: \"foo\""),
        (&["-o", "type=tmpfs", "vv"], "create vv: missing required option: \"device\""),
    ] {
        sandbox.ctr([&["volume", "create"], args].concat()).exits(1).says(why);
    }
    assert_eq!(volumes(&sandbox), [random]);
    assert_eq!(fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_new_volume_gets_what_the_image_has_and_keeps_what_is_written() {
    let sandbox = with_data();
    let look = "cd /data; stat -c '%n %u:%g %a %h' . file sub; readlink link; cat file; echo mine > mine";
    sandbox
        .ctr(["run", "--rm", "-v", "vol:/data", "filled", "sh", "-c", look])
        .ok()
        .prints(". 0:0 750 3\nfile 5:6 644 2\nsub 0:0 750 2\nfile\nfrom-image");
    assert_eq!(fs::read_to_string(data(&sandbox, "vol").join("mine")).unwrap(), "mine\n");
    // It has something now, so another container adds nothing; nor does one that says so of an empty one.
    fs::remove_file(data(&sandbox, "vol").join("file")).unwrap();
    sandbox.ctr(["run", "--rm", "-v", "vol:/data", "filled", "ls", "/data"]).ok().prints("hard\nlink\nmine\nsub");
    sandbox.ctr(["run", "--rm", "-v", "bare:/data:nocopy", "filled", "ls", "/data"]).ok().prints("");
    sandbox
        .ctr(["run", "--rm", "--mount", "src=more,dst=/data,volume-nocopy", "filled", "ls", "/data"])
        .ok()
        .prints("");
    // A link in the image leads nowhere but into the image.
    let escape = "rm -rf /data /etc/passwd.d; ln -s /../../../../../../etc /data";
    sandbox.ctr(["run", "--name", "liar", "base", "sh", "-c", escape]).ok();
    sandbox.ctr(["commit", "liar", "liar"]).ok();
    sandbox.ctr(["create", "-v", "inside:/data", "liar", "true"]).ok();
    let of_image = sandbox.ctr(["run", "--rm", "liar", "ls", "-A", "/etc"]).ok();
    let copied: Vec<String> = sandbox
        .sh(&format!("ls -A {}", data(&sandbox, "inside").display()))
        .ok()
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    for name in &copied {
        assert!(of_image.stdout.lines().any(|line| line == name), "{name} is the image's: {of_image}");
    }
}

#[test]
fn what_nobody_named_goes_with_its_container() {
    let sandbox = with_data();
    let made = |line: &[&str]| sandbox.ctr([&["create"], line].concat()).ok().text().to_owned();
    let first = made(&["-v", "/more", "-v", "kept:/kept", "filled", "true"]);
    let mounts = json(&sandbox.ctr(["inspect", &first]).ok().stdout)[0]["Mounts"].clone();
    let names: Vec<&str> = mounts.as_array().unwrap().iter().map(|mount| mount["Name"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.len() == 64).count(), 2, "{mounts}");
    let anonymous = *names.iter().find(|name| name.len() == 64).unwrap();
    assert_eq!(fs::read_to_string(data(&sandbox, mounts_at(&mounts, "/data")).join("file")).unwrap(), "from-image\n");
    // In use by both, it stays until the second is gone.
    let second = made(&["--volumes-from", &first, "base", "true"]);
    sandbox.ctr(["volume", "rm", "-f", anonymous]).exits(1).says(&format!("remove {anonymous}: volume is in use - ["));
    sandbox.ctr(["rm", "-v", &first]).ok();
    assert_eq!(volumes(&sandbox).len(), 3);
    sandbox.ctr(["rm", "-v", &second]).ok();
    assert_eq!(volumes(&sandbox), ["kept"]);
    // `--rm` says `-v` too, and `rm` alone does not.
    sandbox.ctr(["run", "--rm", "filled", "true"]).ok();
    assert_eq!(volumes(&sandbox), ["kept"]);
    let third = made(&["filled", "true"]);
    sandbox.ctr(["rm", &third]).ok();
    assert_eq!(volumes(&sandbox).len(), 2);
    sandbox.ctr_reading(["volume", "prune"], b"n\n").ok().shows("WARNING! This will remove all local volumes not used");
    let pruned = sandbox.ctr(["volume", "prune", "-f"]).ok();
    assert!(pruned.stdout.starts_with("Deleted Volumes:\n") && pruned.stdout.contains("\nkept\n"), "{pruned}");
    assert!(
        pruned.stdout.ends_with("\n\nTotal reclaimed space: 22B\n") || pruned.stdout.contains("reclaimed"),
        "{pruned}"
    );
    assert_eq!(volumes(&sandbox), Vec::<String>::new());
    // A container that cannot be made leaves none behind.
    sandbox.ctr(["create", "--name", "taken", "base", "true"]).ok();
    sandbox.ctr(["create", "--name", "taken", "filled", "true"]).exits(1);
    sandbox.ctr(["create", "-v", "/x", "base", "true", "-v", "/y:z:w:q"]).ok();
    assert_eq!(volumes(&sandbox).len(), 1);
}

fn mounts_at<'a>(mounts: &'a Value, destination: &str) -> &'a str {
    let mount = mounts.as_array().unwrap().iter().find(|mount| mount["Destination"] == destination);
    mount.unwrap()["Name"].as_str().unwrap()
}

#[test]
fn a_volume_of_the_local_drivers_options_is_mounted_while_it_is_used() {
    let sandbox = Sandbox::with_base();
    let folder = sandbox.path().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    let bound = format!("device={}", folder.display());
    sandbox.ctr(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &bound, "bound"]).ok();
    sandbox
        .ctr(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,mode=700", "memory"])
        .ok();
    sandbox.ctr(["run", "--rm", "-v", "bound:/b", "base", "sh", "-c", "echo there > /b/file"]).ok();
    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "there\n");
    let sleeper = ["run", "-d", "--name", "one", "-v", "memory:/m", "base", "sleep", "600"];
    sandbox.ctr(sleeper).ok();
    // Two containers share what is in memory; when the last one ends it is gone.
    let look = "grep ' /m tmpfs' /proc/mounts | grep -o size=1024k; stat -c %a /m; echo shared > /m/file";
    sandbox.ctr(["run", "--rm", "-v", "memory:/m", "base", "sh", "-c", look]).ok().prints("size=1024k\n700");
    sandbox.ctr(["exec", "one", "cat", "/m/file"]).ok().prints("shared");
    assert!(data(&sandbox, "memory").join("file").exists());
    sandbox.ctr(["stop", "-t", "0", "one"]).ok();
    sandbox.ctr(["start", "one"]).ok();
    sandbox.ctr(["exec", "one", "ls", "/m"]).ok().prints("");
    sandbox.ctr(["rm", "-f", "one"]).ok();
    assert_eq!(sandbox.mounts(), Vec::<PathBuf>::new());
    sandbox.ctr(["volume", "rm", "bound", "memory"]).ok();
    assert!(folder.join("file").exists(), "what was bound is not the volume's");

    let there = |name: &str| data(&sandbox, name).display().to_string();
    for (options, said) in [
        (&["type=ext4", "device=/dev/nope"][..], "/dev/nope:DATA: no such file or directory"),
        (&["type=none", "device=/nope", "o=bind"], "/nope:DATA, flags: 0x1000: no such file or directory"),
        (
            &["type=tmpfs", "device=tmpfs", "o=noatime,garbage"],
            "tmpfs:DATA, flags: 0x400, data: garbage: invalid argument",
        ),
    ] {
        let options = options.iter().flat_map(|option| ["-o", option]);
        sandbox.ctr(["volume", "create"].into_iter().chain(options).chain(["bad"])).ok();
        let run = sandbox.ctr(["run", "--rm", "-v", "bad:/b", "base", "true"]);
        let place = there("bad");
        run.says(&format!("error while mounting volume '{place}': failed to mount local volume: mount "))
            .says(&said.replace("DATA", &place));
        sandbox.ctr(["volume", "rm", "bad"]).ok();
    }
    sandbox.ctr(["volume", "prune", "--all", "-f"]).ok();
}

#[test]
fn one_name_asked_for_at_once_is_one_volume_and_nobody_removes_it_under_a_container() {
    let sandbox = Sandbox::with_base();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sandbox.ctr(["create", "-v", "same:/data", "base", "true"]).ok());
            scope.spawn(|| sandbox.ctr(["volume", "rm", "-f", "same"]));
        }
    });
    // Whoever came last: what a container names is there.
    assert_eq!(volumes(&sandbox), ["same"]);
    for id in sandbox.ctr(["ps", "-aq"]).ok().stdout.lines() {
        sandbox.ctr(["start", "-a", id]).ok();
    }
    assert_eq!(fs::read_dir(sandbox.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn the_script_of_a_container_with_volumes_makes_the_same() {
    let sandbox = with_data();
    let line = ["--explain", "run", "--rm", "-v", "scripted:/data", "-v", "/anonymous", "filled", "cat", "/data/file"];
    let script = sandbox.ctr(line).ok();
    assert_eq!(volumes(&sandbox), Vec::<String>::new());
    sandbox.sh(&script.stdout).ok().prints("from-image");
    assert_eq!(volumes(&sandbox), ["scripted"]);
    let script = sandbox.ctr(["--explain", "volume", "create", "--label", "a=b", "made"]).ok();
    sandbox.sh(&script.stdout).ok().prints("made");
    assert_eq!(json(&sandbox.ctr(["volume", "inspect", "made"]).ok().stdout)[0]["Labels"]["a"], "b");
    sandbox.sh(&sandbox.ctr(["--explain", "volume", "rm", "made"]).ok().stdout).ok();
    assert_eq!(volumes(&sandbox), ["scripted"]);
}
