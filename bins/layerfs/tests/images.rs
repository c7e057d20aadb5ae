//! Names, parents, histories, and what docker's rules say may go.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Store, Tar, failed, list, small_root, succeeded, until};
use layout::{Layout, images};
use serde_json::{Value, json};
use std::fs;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A build step on `parent` that adds the file `name`.
fn step(store: &Store, parent: &str, name: &str) -> String {
    let added = json_of(&succeeded(store.feed(&["add"], &Tar::new().file(name, name.as_bytes()).end())));
    let layer = added["DiffId"].as_str().unwrap();
    let args = ["commit", "--step", "--parent", parent, "--layer", layer, "--created-by", name];
    store.ok(&args).trim().to_owned()
}

/// A container's folder with as much in it as the store looks at.
fn container(store: &Store, image: &str) -> String {
    let id = "c0ffee".repeat(11)[..64].to_owned();
    let folder = store.root().join("containers").join(&id);
    fs::create_dir(&folder).unwrap();
    let container = json!({"Id": id, "Created": "", "Name": "web", "Image": image, "Path": "", "Args": [],
        "Config": {}, "HostConfig": {}});
    fs::write(folder.join("container.json"), container.to_string()).unwrap();
    id
}

fn layers(layout: &Layout) -> usize {
    list(&layout.layers()).len()
}

#[test]
fn changes_and_the_history_of_an_import() {
    let store = Store::new();
    let args =
        ["import", "-", "web:1", "-c", "CMD [\"sh\"]", "--change", "EXPOSE 80", "-c", "ENV A=b", "-m", "by hand"];
    let id = succeeded(store.feed(&args, &small_root()));
    let inspected = json_of(&store.ok(&["inspect", id.trim()]));
    let image = &inspected[0];
    assert_eq!(image["RepoTags"], json!(["web:1"]));
    assert_eq!(image["Config"], json!({"Cmd": ["sh"], "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b"]}));
    assert_eq!((&image["Comment"], &image["Os"]), (&json!("by hand"), &json!("linux")));
    assert_eq!(image["Size"], 26 + 13 + 1);
    assert!(
        failed(store.feed(&["import", "-", "x", "-c", "RUN x"], &small_root()))
            .contains("run is not a valid change command")
    );
    for bad in ["UPPER", "a b", "x@sha256:00"] {
        assert!(failed(store.feed(&["import", "-", bad], b"")).contains("invalid reference format"), "{bad}");
    }
    store.check();
}

#[test]
fn a_name_that_moves_leaves_its_image_dangling() {
    let store = Store::new();
    let first = store.import(&small_root(), "app");
    let second = store.import(&Tar::new().file("x", b"").end(), "app");
    let listed = json_of(&store.ok(&["ls", "--json"]));
    let names: Vec<(&str, &Value)> =
        listed.as_array().unwrap().iter().map(|i| (i["Id"].as_str().unwrap(), &i["Names"])).collect();
    assert_eq!(names, [(second.as_str(), &json!(["app:latest"])), (first.as_str(), &json!([]))]);
    store.ok(&["tag", &first, "old"]);
    store.ok(&["tag", "app", "registry.example.com:5000/a/b:1"]);
    let index = json_of(&fs::read_to_string(store.layout().index()).unwrap());
    let annotations: Vec<&Value> = index["manifests"].as_array().unwrap().iter().map(|m| &m["annotations"]).collect();
    assert_eq!(annotations.len(), 3);
    assert!(annotations.contains(&&json!({
        "io.containerd.image.name": "docker.io/library/old:latest",
        "org.opencontainers.image.ref.name": "old:latest",
    })));
    assert!(store.fails(&["tag", "nope", "x"]).contains("No such image: nope:latest"));
    store.check();
}

#[test]
fn a_commit_replaces_the_defaults_and_adds_a_line() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    let config = br#"{"Cmd":["top"],"Healthcheck":{"Test":["NONE"]}}"#;
    let args = [
        "commit",
        "--empty-layer",
        "--step",
        "--parent",
        &base,
        "--config",
        "-",
        "--created-by",
        "CMD top",
        "-t",
        "app",
    ];
    let id = succeeded(store.feed(&args, config)).trim().to_owned();
    let image = images::find(&store.layout(), "app").unwrap();
    assert_eq!((image.id.as_str(), image.parent.as_ref().unwrap().as_str()), (id.as_str(), base.as_str()));
    assert_eq!(serde_json::to_value(&image.config.config).unwrap(), json_of(std::str::from_utf8(config).unwrap()));
    let last = image.config.history.last().unwrap();
    assert!(last.empty_layer && last.created_by.as_deref() == Some("CMD top"));
    // Without a configuration the parent's is kept.
    store.ok(&["commit", "--empty-layer", "--parent", "app", "--tag", "same"]);
    assert_eq!(images::find(&store.layout(), "same").unwrap().config.config, image.config.config);
    assert!(failed(store.feed(&["commit", "--empty-layer", "--parent", "app", "--config", "-"], b"{")).contains("EOF"));
    store.check();
}

#[test]
fn history_names_the_steps_that_are_known() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    let one = step(&store, &base, "one");
    let two = step(&store, &one, "two");
    store.ok(&["tag", &two, "app"]);
    let history = json_of(&store.ok(&["history", "--json", "app"]));
    let column = |key: &str| history.as_array().unwrap().iter().map(|s| s[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("Id"), [json!(two), json!(one), json!(base)]);
    assert_eq!(column("CreatedBy"), [json!("two"), json!("one"), json!("")]);
    assert_eq!(column("Size"), [json!(3), json!(3), json!(40)]);
    assert_eq!(column("Tags"), [json!(["app:latest"]), json!([]), json!(["base:latest"])]);
    // A copy knows no parents.
    store.ok(&["commit", "--empty-layer", "--parent", "app", "--tag", "copy"]);
    let history = json_of(&store.ok(&["history", "--json", "copy"]));
    assert_eq!((history.as_array().unwrap().len(), &history[1]["Id"]), (4, &json!("<missing>")));
}

#[test]
fn steps_are_hidden_and_go_with_the_last_name() {
    let store = Store::new();
    let base = store.import(&small_root(), "base");
    let one = step(&store, &base, "one");
    let two = step(&store, &one, "two");
    store.ok(&["tag", &two, "app"]);
    let count = |args: &[&str]| json_of(&store.ok(args)).as_array().unwrap().len();
    assert_eq!((count(&["ls", "--json"]), count(&["ls", "--json", "--all"])), (2, 3));

    assert_eq!(store.ok(&["rm", "base"]), "Untagged: base:latest\n", "its children are left");
    let said = store.fails(&["rm", "--force", &one]);
    assert_eq!(
        said,
        format!(
            "layerfs: conflict: unable to delete {} (cannot be forced) - image has dependent child images\n",
            &one[7..19]
        )
    );
    let said = store.ok(&["rm", "app"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "Untagged: app:latest");
    let deleted = |line: usize| lines[line].strip_prefix("Deleted: ").unwrap();
    assert_eq!((deleted(1), deleted(3), deleted(5), lines.len()), (two.as_str(), one.as_str(), base.as_str(), 7));
    let layout = store.layout();
    assert_eq!((layers(&layout), list(&layout.blobs()).len()), (0, 0));
    store.check();
}

#[test]
fn several_names_are_removed_one_by_one_or_by_force() {
    let store = Store::new();
    let id = store.import(&small_root(), "a");
    store.ok(&["tag", "a", "b:2"]);
    // A name that might be the beginning of the id is a name.
    let digits = &id[7..9];
    store.ok(&["tag", "a", digits]);
    assert_eq!(store.ok(&["rm", digits]), format!("Untagged: {digits}:latest\n"));
    let said = store.fails(&["rm", &id[7..19]]);
    let short = &id[7..19];
    assert_eq!(
        said,
        format!(
            "layerfs: conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories\n"
        )
    );
    let said = store.ok(&["rm", "-f", short]);
    let layer = &store.layout();
    assert!(said.starts_with("Untagged: a:latest\nUntagged: b:2\nDeleted: sha256:"), "{said}");
    assert_eq!((said.lines().count(), layers(layer)), (4, 0));
    assert!(store.fails(&["rm", "a"]).contains("No such image: a:latest"));
}

#[test]
fn what_a_container_uses_stays() {
    let store = Store::new();
    let id = store.import(&small_root(), "web");
    let user = container(&store, &id);
    let (short, image) = (&user[..12], &id[7..19]);
    assert_eq!(
        store.fails(&["rm", "web"]),
        format!(
            "layerfs: conflict: unable to remove repository reference \"web\" (must force) - container {short} is using its referenced image {image}\n"
        )
    );
    assert_eq!(
        store.fails(&["rm", &id]),
        format!(
            "layerfs: conflict: unable to delete {image} (must be forced) - image is being used by stopped container {short}\n"
        )
    );
    // A container runs exactly while its shim holds this lock.
    let layout = store.layout();
    let user = user.parse().unwrap();
    fs::create_dir_all(layout.run_dir(&user)).unwrap();
    let running = layout::lock::Lock::exclusive(&layout.shim_lock(&user)).unwrap();
    assert_eq!(
        store.fails(&["rm", "--force", &id]),
        format!(
            "layerfs: conflict: unable to delete {image} (cannot be forced) - image is being used by running container {short}\n"
        )
    );
    drop(running);
    // A child that another test is just starting has a copy of the lock until it is another program.
    until("nobody holds the lock", || !layout::lock::Lock::is_held(&layout.shim_lock(&user)).unwrap());

    // By force the image goes, and what the container needs to be started again does not.
    assert_eq!(store.ok(&["rm", "--force", "web"]), format!("Untagged: web:latest\nDeleted: {id}\n"));
    assert_eq!(store.ok(&["ls", "--json"]).trim(), "[]");
    store.ok(&["gc"]);
    store.mount(&id);
    store.umount();
    store.check();
    fs::remove_dir_all(layout.container(&user)).unwrap();
    store.ok(&["gc"]);
    assert_eq!((layers(&layout), list(&layout.blobs()).len()), (0, 0));
}

#[test]
fn one_failure_does_not_keep_the_others_from_being_removed() {
    let store = Store::new();
    store.import(&small_root(), "a");
    let output = store.command(&["rm", "nope", "a"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("Untagged: a:latest\nDeleted: "));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "layerfs: No such image: nope:latest\n");
}

#[test]
fn gc_removes_rubbish_and_nothing_else() {
    let store = Store::new();
    store.import(&small_root(), "a");
    store.import(&Tar::new().file("x", b"").end(), "b");
    let layout = store.layout();
    let before = (list(&layout.blobs()), list(&layout.layers()));
    assert_eq!(json_of(&store.ok(&["gc", "--json"])), json!({"Blobs": 0, "Layers": 0, "Temporary": 0, "BlobBytes": 0}));

    succeeded(store.feed(&["add"], &Tar::new().file("nobodys", b"").end()));
    fs::write(layout.blobs().join("0".repeat(64)), "12345").unwrap();
    fs::create_dir_all(layout.tmp().join("layerfs-half/diff/deep")).unwrap();
    fs::write(layout.tmp().join("layerfs-blob"), "").unwrap();
    // Another tool is about to publish this.
    fs::write(layout.tmp().join(".tmpstate"), "").unwrap();
    // And this layer is of no image, but mounted.
    let used = json_of(&succeeded(store.feed(&["add"], &Tar::new().file("used", b"").end())));
    let used = used["DiffId"].as_str().unwrap();
    store.ok(&["mount", "--read-only", "--layers", used, store.path("m").to_str().unwrap()]);

    let removed = json_of(&store.ok(&["gc", "--json"]));
    assert_eq!((&removed["Layers"], &removed["Temporary"]), (&json!(1), &json!(2)));
    assert_eq!((list(&layout.tmp()), list(&store.path("m"))), (vec![".tmpstate".to_owned()], vec!["used".to_owned()]));
    store.umount();
    store.ok(&["gc"]);
    assert_eq!((list(&layout.blobs()), list(&layout.layers())), before);
    store.ok(&["fsck"]);
}

#[test]
fn gc_waits_for_who_is_making_something_and_rm_does_not() {
    let store = Store::new();
    store.import(&small_root(), "a");
    let layout = store.layout();
    let making = layout::lock::Lock::shared(&layout.gc_lock()).unwrap();
    store.ok(&["rm", "a"]);
    assert_eq!(layers(&layout), 1, "the rubbish waits");
    let mut gc = store.command(&["gc"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(gc.try_wait().unwrap().is_none());
    drop(making);
    assert!(gc.wait().unwrap().success());
    assert_eq!((layers(&layout), list(&layout.blobs()).len()), (0, 0));
}

#[test]
fn fsck_finds_what_is_wrong() {
    let store = Store::new();
    store.import(&small_root(), "a");
    let layout = store.layout();
    let image = images::find(&layout, "a").unwrap();
    let check = |word: &str| {
        let output = store.command(&["fsck"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(word), "{said}");
    };
    for digest in [&image.manifest.layers[0].digest, &image.id, &image.descriptor.digest] {
        let file = layout.blob(digest);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&file, &bad).unwrap();
        check(digest.as_str());
        fs::write(&file, &good[1..]).unwrap();
        check("bytes, not");
        fs::remove_file(&file).unwrap();
        check("No such file");
        fs::write(&file, &good).unwrap();
    }
    fs::remove_file(layout.layer_info(&image.layers()[0])).unwrap();
    check("layer.json is not there");
    fs::remove_dir_all(layout.layer(&image.layers()[0])).unwrap();
    container(&store, &format!("sha256:{}", "1".repeat(64)));
    check("its image sha256:1111");
}

#[test]
fn usage_errors_are_125_and_help_teaches() {
    let store = Store::new();
    assert!(store.fails(&["import"]).contains("Usage"));
    assert!(store.fails(&["mount", "x", "/m"]).contains("--upper"));
    assert!(store.fails(&["commit", "--parent", "x"]).contains("UPPER"));
    for command in [
        "import", "add", "commit", "diff", "mount", "umount", "ls", "inspect", "tag", "rm", "history", "gc", "fsck",
        "df", "save", "load", "export", "prune",
    ] {
        assert!(store.ok(&[command, "--help"]).contains("Examples:"), "{command}");
    }
    assert!(store.ok(&["--version"]).starts_with("layerfs "));
}
