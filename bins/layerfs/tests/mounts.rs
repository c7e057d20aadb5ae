//! Mounts: many layers, any path, again and again.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, list, small_root, succeeded};
use std::fs;
use std::path::Path;

fn mounted(target: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let escaped = target.to_str().unwrap().replace('\\', "\\134").replace(' ', "\\040");
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(&escaped))
}

/// This many layers, the n-th of which has the file `n` and says so in `top`; their diff ids with commas between.
fn stack(store: &Store, layers: usize) -> String {
    let add = |n: &usize| {
        let text = n.to_string();
        let tar = Tar::new().file(&text, b"").file("top", text.as_bytes()).end();
        let added: serde_json::Value = serde_json::from_str(&succeeded(store.feed(&["add"], &tar))).unwrap();
        added["DiffId"].as_str().unwrap().to_owned()
    };
    let numbers: Vec<usize> = (1..=layers).collect();
    // Several at once: each waits for the disk most of the time.
    let diff_ids: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> =
            numbers.chunks(25).map(|part| scope.spawn(|| part.iter().map(add).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    diff_ids.join(",")
}

#[test]
fn two_hundred_layers_are_mounted_both_ways() {
    let store = Store::new();
    let layers = stack(&store, 200);
    let [target, upper, work] = ["m", "u", "w"].map(|name| store.path(name).to_str().unwrap().to_owned());
    for classic in [false, true] {
        let mut args = vec!["mount", "--layers", &layers, &target, "--upper", &upper, "--work", &work];
        args.extend(classic.then_some("--classic"));
        store.ok(&args);
        assert_eq!(fs::read_to_string(store.path("m/top")).unwrap(), "200");
        assert_eq!(list(&store.path("m")).len(), 201);
        store.umount();
    }
}

#[test]
fn any_path_will_do() {
    for odd in ["a,b:c", "with space", "back\\slash", "new\nline", "ü", &"long".repeat(60)] {
        for classic in [false, true] {
            let outer = tempfile::tempdir().unwrap();
            let store = Store::new();
            let root = outer.path().join(odd);
            let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
            fs::create_dir(&root).unwrap();
            let run = |args: &[&str]| {
                let output = store.command(args).env("CTR_ROOT", path("root")).env("CTR_RUN", path("run")).output();
                succeeded(output.unwrap())
            };
            fs::write(root.join("tar"), small_root()).unwrap();
            run(&["import", &path("tar"), "demo"]);
            let (target, upper, work) = (path("m"), path("u"), path("w"));
            let mut args = vec!["mount", "demo", &target, "--upper", &upper, "--work", &work];
            args.extend(classic.then_some("--classic"));
            run(&args);
            fs::write(root.join("m/x"), "x").unwrap();
            assert_eq!((list(&root.join("m/usr")), list(&root.join("u"))), (vec!["lib".into()], vec!["x".to_owned()]));
            run(&["umount", &target]);
            assert_eq!(list(&root.join("m")), Vec::<String>::new(), "{odd:?}");
        }
    }
}

#[test]
fn a_mount_can_be_undone_any_number_of_times_and_done_again() {
    let store = Store::new();
    store.import(&small_root(), "demo");
    store.umount();
    for round in 0..3 {
        let m = store.mount("demo");
        assert!(mounted(&m));
        fs::write(m.join(round.to_string()), "").unwrap();
        store.umount();
        store.umount();
        assert!(!mounted(&m));
    }
    assert_eq!(list(&store.path("u")), ["0", "1", "2"]);
}

#[test]
fn a_second_mount_at_the_same_place_is_refused() {
    let store = Store::new();
    store.import(&small_root(), "demo");
    let m = store.mount("demo");
    let said = store.fails(&["mount", "--read-only", "demo", m.to_str().unwrap()]);
    assert!(said.contains("mounted there already"), "{said}");
}

#[test]
fn a_mount_in_use_is_detached() {
    let store = Store::new();
    store.import(&small_root(), "demo");
    let m = store.mount("demo");
    let open = fs::File::open(m.join("etc/passwd")).unwrap();
    store.umount();
    assert!(!mounted(&m));
    assert_eq!(std::io::read_to_string(open).unwrap(), "root:x:0:0::/root:/bin/sh\n");
}

#[test]
fn read_only_means_read_only_with_one_layer_or_none() {
    let store = Store::new();
    store.import(&small_root(), "demo");
    store.ok(&["commit", "--parent", "scratch", "--empty-layer", "--tag", "nothing"]);
    let m = store.path("m");
    for (image, names) in [("demo", 4), ("nothing", 0)] {
        store.ok(&["mount", "--read-only", image, m.to_str().unwrap()]);
        assert_eq!(list(&m).len(), names);
        assert_eq!(fs::write(m.join("x"), "").unwrap_err().raw_os_error(), Some(30), "EROFS");
        store.umount();
    }
    store.mount("nothing");
    fs::write(m.join("x"), "").unwrap();
    store.umount();
    assert_eq!(list(&store.path("u")), ["x"]);
}

#[test]
fn layers_can_be_mounted_without_an_image() {
    let store = Store::new();
    let layers = stack(&store, 2);
    let m = store.path("m");
    store.ok(&["mount", "--read-only", "--layers", &layers, m.to_str().unwrap()]);
    assert_eq!(list(&m), ["1", "2", "top"]);
    let missing = format!("sha256:{}", "0".repeat(64));
    assert!(store.fails(&["mount", "--read-only", "--layers", &missing, "/x"]).contains("no such layer"));
}

#[test]
fn an_id_a_name_and_a_prefix_name_the_same_image() {
    let store = Store::new();
    let id = store.import(&small_root(), "demo");
    for wanted in [&id, id.trim_start_matches("sha256:"), &id[7..19], "demo", "demo:latest", "docker.io/library/demo"] {
        store.mount(wanted);
        store.umount();
    }
    let said = store.fails(&["mount", "--read-only", "nope", "/nowhere"]);
    assert!(said.contains("No such image: nope:latest"), "{said}");
    assert!(!Path::new("/nowhere").exists());
}
