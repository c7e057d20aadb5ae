//! Mounts: many layers, any path, again and again.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, list, small_root, succeeded};
use std::fs;
use std::path::Path;

fn mounted(target: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let escaped = target.to_str().unwrap().replace('\\', "\\134").replace(' ', "\\040");
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(&escaped))
}

/// This many layers, the n-th of which has the file `n` and says so in `top`; their diff ids with commas between. Made by hand:
/// how a layer becomes a folder is for other tests.
fn stack(store: &Store, layers: usize) -> String {
    store.ok(&["ls"]);
    let diff_ids = (1..=layers).map(|n| {
        let diff_id = layout::Digest::of(n.to_string().as_bytes());
        let diff = store.layout().layer_diff(&diff_id);
        fs::create_dir_all(&diff).unwrap();
        fs::write(diff.join(n.to_string()), "").unwrap();
        fs::write(diff.join("top"), n.to_string()).unwrap();
        diff_id.to_string()
    });
    diff_ids.collect::<Vec<_>>().join(",")
}

#[test]
fn as_many_layers_as_overlayfs_takes_are_mounted_both_ways() {
    let store = Store::new();
    let [target, upper, work] = ["m", "u", "w"].map(|name| store.path(name).to_str().unwrap().to_owned());
    for count in [1, 2, 127, 300, 500] {
        let layers = stack(&store, count);
        for classic in [false, true] {
            let mut args = vec!["mount", "--layers", &layers, &target, "--upper", &upper, "--work", &work];
            args.extend(classic.then_some("--classic"));
            store.ok(&args);
            assert_eq!(fs::read_to_string(store.path("m/top")).unwrap(), count.to_string());
            assert_eq!(list(&store.path("m")).len(), count + 1);
            store.umount();
            let mut args = vec!["mount", "--layers", &layers, &target, "--read-only"];
            args.extend(classic.then_some("--classic"));
            store.ok(&args);
            assert_eq!(list(&store.path("m")).len(), count + 1);
            store.umount();
        }
    }
    let said = store.fails(&["mount", "--read-only", "--layers", &stack(&store, 501), &target]);
    assert!(said.contains("501 layers") && said.contains("takes 500"), "{said}");
    assert!(!mounted(&store.path("m")));
}

#[test]
fn layers_that_a_mount_shows_are_not_removed_however_it_names_them() {
    let store = Store::new();
    let target = store.path("m");
    for count in [3, 100] {
        for classic in [false, true] {
            let layers = stack(&store, count);
            let mut args = vec!["mount", "--layers", &layers, target.to_str().unwrap(), "--read-only"];
            args.extend(classic.then_some("--classic"));
            store.ok(&args);
            store.ok(&["gc"]);
            assert_eq!(list(&store.layout().layers()).len(), count, "classic: {classic}");
            store.umount();
            store.ok(&["gc"]);
            assert_eq!(list(&store.layout().layers()).len(), 0);
        }
    }
}

#[test]
fn fsync_means_what_it_says_unless_it_is_waived() {
    let store = Store::new();
    store.import(&small_root(), "demo");
    let options = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().find(|line| line.contains(store.path("m").to_str().unwrap())).unwrap().to_owned()
    };
    let m = store.mount("demo");
    assert!(!options().contains("volatile"));
    store.umount();
    let [upper, work] = ["u", "w"].map(|name| store.path(name).to_str().unwrap().to_owned());
    for classic in [false, true] {
        let mut args = vec!["mount", "--volatile", "demo", m.to_str().unwrap(), "--upper", &upper, "--work", &work];
        args.extend(classic.then_some("--classic"));
        store.ok(&args);
        assert!(options().contains("volatile"));
        store.umount();
    }
    // The mark that a volatile mount leaves does not stop the next one.
    store.mount("demo");
    store.umount();
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

#[test]
fn the_folder_of_a_container_that_is_gone_does_not_come_back() {
    let store = Store::new();
    let layers = stack(&store, 2);
    let gone = store.layout().containers().join("c".repeat(64));
    let [rootfs, upper, work] = ["rootfs", "upper", "work"].map(|name| gone.join(name).to_str().unwrap().to_owned());
    store.fails(&["mount", "--read-only", "--layers", &layers, &rootfs]);
    store.fails(&["mount", "--layers", &layers, &rootfs, "--upper", &upper, "--work", &work]);
    assert!(!gone.exists());
}
