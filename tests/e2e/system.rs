//! The engine as a whole: what it has, what takes how much room, and removing what nobody uses.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;
use serde_json::Value;
use std::path::PathBuf;

/// The folders of containers.
fn containers(sandbox: &Sandbox) -> Vec<PathBuf> {
    std::fs::read_dir(sandbox.root().join("containers")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The column of a row of `system df`.
fn df(sandbox: &Sandbox, kind: &str, column: &str) -> String {
    let format = format!("{{{{if eq .Type \"{kind}\"}}}}{{{{.{column}}}}}{{{{end}}}}");
    sandbox.ctr(["system", "df", "--format", &format]).ok().text().to_owned()
}

#[test]
fn prune_asks_and_frees_what_it_says() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "--name", "big", "base", "sh", "-c", "head -c 3000000 /dev/zero > /big"]).ok();
    sandbox.ctr(["create", "--name", "kept", "--label", "keep=yes", "base", "true"]).ok();
    sandbox.ctr(["run", "-d", "--name", "up", "base", "sleep", "900"]).ok();
    let id = sandbox.ctr(["inspect", "-f", "{{.Id}}", "big"]).ok();
    assert_eq!(df(&sandbox, "Containers", "TotalCount"), "3");
    assert_eq!(df(&sandbox, "Containers", "Active"), "1");
    assert_eq!(df(&sandbox, "Containers", "Reclaimable"), "3MB (100%)");

    // Whoever does not say yes keeps everything.
    let asked = sandbox.ctr_reading(["system", "prune"], b"n\n").ok();
    let asked =
        asked.shows("WARNING! This will remove:\n  - all stopped containers\n").shows("  - all dangling images\n");
    asked.shows("Are you sure you want to continue? [y/N] ");
    assert_eq!(containers(&sandbox).len(), 3);
    sandbox.ctr(["container", "prune", "-f", "--filter", "until=1h"]).ok().prints("Total reclaimed space: 0B");
    sandbox.ctr(["container", "prune", "-f", "--filter", "nosuch=1"]).exits(1).says("Invalid filter 'nosuch'");
    sandbox.ctr(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]).exits(1).says("not supported with");

    // What --explain prints does the same, and does nothing by itself.
    let script = sandbox.ctr(["--explain", "container", "prune", "--filter", "label!=keep"]).ok();
    assert!(script.stdout.contains(id.text()) && containers(&sandbox).len() == 3, "{script}");

    let pruned = sandbox.ctr_reading(["system", "prune", "--filter", "label!=keep"], b"y\n").ok();
    let pruned = pruned.shows(&format!("Deleted Containers:\n{}\n\n", id.text()));
    pruned.shows("Total reclaimed space: 3MB\n");
    assert_eq!(containers(&sandbox).len(), 2);
    assert!(!sandbox.root().join("containers").join(id.text()).exists());
    assert!(sandbox.root().join("names/big").symlink_metadata().is_err());
    assert_eq!(df(&sandbox, "Containers", "Size"), "0B");

    sandbox.ctr(["container", "prune", "-f"]).ok().shows("Deleted Containers:\n");
    sandbox.ctr(["ps", "-a", "--format", "{{.Names}}"]).ok().prints("up");
    // An image that a container uses stays, whatever is asked.
    sandbox.ctr(["system", "prune", "-af"]).ok();
    sandbox.ctr(["images", "-q", "base"]).ok().shows("");
    assert_eq!(df(&sandbox, "Images", "TotalCount"), "1");
    sandbox.ctr(["rm", "-f", "up"]).ok();
    sandbox.ctr(["system", "prune", "-af"]).ok().shows("Deleted Images:\nuntagged: base:latest\n");
    assert_eq!(df(&sandbox, "Images", "TotalCount"), "0");
    assert_eq!(std::fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 0);
}

#[test]
fn info_and_version_tell_what_is_there() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "box", "base", "true"]).ok();
    let info =
        sandbox.ctr(["info"]).ok().shows(" Containers: 1\n  Running: 0\n  Paused: 0\n  Stopped: 1\n Images: 1\n");
    let info = info.shows(&format!(" Docker Root Dir: {}\n", sandbox.root().display()));
    info.shows(" Storage Driver: overlay2\n").shows("Kernel Version: ");
    let v2 = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let facts = "{{.Containers}} {{.ContainersStopped}} {{.CgroupVersion}} {{.Driver}}";
    let facts = sandbox.ctr(["system", "info", "--format", facts]).ok();
    assert_eq!(facts.text(), format!("1 1 {} overlay2", if v2 { 2 } else { 1 }));
    let document: Value = sandbox.ctr(["info", "--format", "{{json .}}"]).ok().json();
    assert!(document["MemTotal"].as_u64().unwrap() > 0 && document["NCPU"].as_u64().unwrap() > 0, "{document}");
    sandbox.ctr(["info", "--format", "{{.Nosuch}}"]).exits(1).says("can't evaluate field Nosuch in type system.info");

    let version = sandbox.ctr(["version"]).ok().shows("Client:\n Version:           ").shows(" layerfs:\n  Version: ");
    version.shows("Server: none");
    let all = sandbox.ctr(["version", "--format", "{{.Client.Version}} {{len .Server.Components}}"]).ok();
    assert!(all.text().ends_with(" 6"), "{all}");
    sandbox.ctr(["version", "--format", "{{"]).exits(64).says("template parsing error: template: :1: unclosed action");
}

#[test]
fn each_path_that_where_tells_of_is_there_and_says_who_made_it() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["run", "-d", "--name", "box", "base", "sleep", "900"]).ok();
    sandbox.ctr(["where", "box"]).ok().shows("WHAT").shows("DOCKER KEEPS IT AT").shows("container.json");
    let told = sandbox.ctr(["where", "--json", "box"]).ok().json();
    let paths = |made_by: &str| -> Vec<PathBuf> {
        let all = told.as_array().unwrap().iter().filter(|place| place["MadeBy"] == made_by);
        all.map(|place| PathBuf::from(place["Path"].as_str().unwrap())).collect()
    };
    for maker in ["ctr create", "ctr shim", "layerfs mount", "cgset create", "unshare-run create", "layerfs"] {
        assert!(!paths(maker).is_empty(), "{maker}: {told:#}");
    }
    for place in told.as_array().unwrap() {
        assert!(PathBuf::from(place["Path"].as_str().unwrap()).symlink_metadata().is_ok(), "{place}");
    }
    let image = sandbox.ctr(["where", "base"]).ok().shows("its manifest").shows("its configuration");
    image.shows("layer 1");
    sandbox.ctr(["where", "nosuch"]).exits(1).says("No such object: nosuch");
    sandbox.ctr(["rm", "-f", "box"]).ok();
}
