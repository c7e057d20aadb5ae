//! Images into Debian's `docker-registry` and out of it, by us and by skopeo: the digests say whether they are the same.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::registry::{PASSWORD, USER};
use ctr_tests::{Output, Registry, Sandbox, output};
use serde_json::Value;
use std::process::Command;

/// Runs skopeo as it is, without anybody's settings.
#[track_caller]
fn skopeo(sandbox: &Sandbox, args: &[&str]) -> Output {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy"]).args(args).current_dir(sandbox.path()).env("XDG_RUNTIME_DIR", sandbox.path());
    output::run(&mut command, b"")
}

/// What `layerfs inspect` tells of an image.
#[track_caller]
fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.run(sandbox.tool("layerfs").args(["inspect", name])).ok().json()[0].take()
}

fn manifest_digest(sandbox: &Sandbox, name: &str) -> String {
    inspect(sandbox, name)["Manifest"]["digest"].as_str().unwrap().to_owned()
}

#[track_caller]
fn is_sound(sandbox: &Sandbox) {
    sandbox.run(sandbox.tool("layerfs").arg("fsck")).ok();
    assert_eq!(std::fs::read_dir(sandbox.layout().tmp()).unwrap().count(), 0);
}

/// A sandbox with an image of two layers, and its name.
fn with_app(registry: &Registry) -> (Sandbox, String) {
    let (sandbox, name) = (Sandbox::with_base(), registry.name("team/app:v1"));
    std::fs::write(sandbox.path().join("Dockerfile"), "FROM base\nRUN echo made > /made\nCMD [\"cat\", \"/made\"]\n")
        .unwrap();
    sandbox.ctr(["build", "-t", &name, "."]).ok();
    (sandbox, name)
}

#[test]
fn what_we_push_skopeo_reads_and_what_skopeo_pushes_we_run() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    sandbox.ctr(["push", &name]).ok().shows("Pushed");
    let digest = manifest_digest(&sandbox, &name);
    let remote = format!("docker://{name}");
    let seen = skopeo(&sandbox, &["inspect", "--tls-verify=false", &remote]).ok().json();
    assert_eq!(seen["Digest"], digest.as_str());
    assert_eq!(seen["Layers"].as_array().unwrap().len(), 2);

    // Skopeo copies it, in the OCI's form and in docker's, and we pull the copies.
    let ours = inspect(&sandbox, &name);
    for (format, media_type) in [("oci", layout::oci::image::MANIFEST), ("v2s2", layout::oci::image::DOCKER_MANIFEST)] {
        let copy = registry.name(&format!("copied/{format}:v1"));
        let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        let copied = format!("docker://{copy}");
        skopeo(&sandbox, &[&["copy", "--format", format], &tls[..], &[&remote, &copied]].concat()).ok();
        let theirs = skopeo(&sandbox, &["inspect", "--tls-verify=false", &copied]).ok().json();

        let other = Sandbox::new();
        other
            .ctr(["pull", &copy])
            .ok()
            .shows("Pull complete")
            .shows(&format!("Digest: {}", theirs["Digest"].as_str().unwrap()));
        let pulled = inspect(&other, &copy);
        assert_eq!(pulled["Manifest"]["digest"], theirs["Digest"]);
        assert_eq!(pulled["Manifest"]["mediaType"], media_type);
        assert_eq!(pulled["RootFS"], ours["RootFS"]);
        other.ctr(["run", "--rm", &copy]).ok().prints("made");
        is_sound(&other);

        // Pushed on, it is still the same, byte for byte.
        let again = registry.name(&format!("again/{format}:v1"));
        other.ctr(["tag", &copy, &again]).ok();
        other.ctr(["push", &again]).ok().shows(&format!("Mounted from copied/{format}"));
        let third = skopeo(&sandbox, &["inspect", "--tls-verify=false", &format!("docker://{again}")]).ok().json();
        assert_eq!(third["Digest"], theirs["Digest"]);
    }
    // And straight from our store.
    let store = format!("oci:{}:{name}", sandbox.layout().images().display());
    skopeo(&sandbox, &["copy", "--dest-tls-verify=false", &store, &format!("docker://{}", registry.name("direct:v1"))])
        .ok();
    let direct =
        skopeo(&sandbox, &["inspect", "--tls-verify=false", &format!("docker://{}", registry.name("direct:v1"))]);
    assert_eq!(direct.ok().json()["Digest"], digest.as_str());
}

#[test]
fn of_several_platforms_the_one_that_is_asked_for_comes() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    sandbox.ctr(["push", &name]).ok();
    // An index of our image, and of the same for another processor.
    let seen: Value = serde_json::from_slice(
        &std::fs::read(sandbox.layout().blob(&manifest_digest(&sandbox, &name).parse().unwrap())).unwrap(),
    )
    .unwrap();
    let host = layout::oci::image::Platform::host();
    let config = sandbox.layout().blob(&seen["config"]["digest"].as_str().unwrap().parse().unwrap());
    let config = std::fs::read_to_string(config).unwrap();
    let foreign = config.replace(&format!("\"{}\"", host.architecture), "\"s390x\"");
    let mut manifest = seen.clone();
    let put = |path: &str, kind: &str, body: &str| {
        let file = sandbox.path().join("body");
        std::fs::write(&file, body).unwrap();
        let url = format!("http://{}/v2/team/app/{path}", registry.host());
        let script = format!(
            "case '{path}' in
             blobs/*) url=$(curl --noproxy '*' -sS -D - -o /dev/null -X POST '{url}' | sed -n 's/^[Ll]ocation: \\(.*\\)\\r$/\\1/p')'&digest={kind}' ;;
             *) url='{url}' ;;
             esac
             curl --noproxy '*' -sSf -X PUT -H 'Content-Type: {kind}' --data-binary @body \"$url\""
        );
        sandbox.sh(&script).ok();
        layout::Digest::of(body.as_bytes())
    };
    let digest = layout::Digest::of(foreign.as_bytes());
    put("blobs/uploads/", digest.as_str(), &foreign);
    manifest["config"]["digest"] = digest.as_str().into();
    manifest["config"]["size"] = foreign.len().into();
    let manifest = manifest.to_string();
    let other = put("manifests/other", layout::oci::image::MANIFEST, &manifest);
    let ours = manifest_digest(&sandbox, &name);
    let entry = |digest: &str, size: usize, architecture: &str| {
        serde_json::json!({"mediaType": layout::oci::image::MANIFEST, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let our_size = inspect(&sandbox, &name)["Manifest"]["size"].as_u64().unwrap() as usize;
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": layout::oci::image::INDEX,
        "manifests": [entry(other.as_str(), manifest.len(), "s390x"), entry(&ours, our_size, &host.architecture)]});
    let index = put("manifests/both", layout::oci::image::INDEX, &index.to_string());

    let both = registry.name("team/app:both");
    let fresh = Sandbox::new();
    fresh.ctr(["pull", &both]).ok().shows(&format!("Digest: {index}"));
    assert_eq!(manifest_digest(&fresh, &both), ours);
    fresh.ctr(["run", "--rm", &both]).ok().prints("made");
    fresh.ctr(["pull", "--platform", "linux/s390x", &both]).ok();
    assert_eq!(manifest_digest(&fresh, &both), other.as_str());
    fresh
        .ctr(["pull", "--platform", "linux/riscv64", &both])
        .exits(1)
        .says("no matching manifest for linux/riscv64")
        .says("linux/s390x");
    // By its digest, without a name.
    let fresh = Sandbox::new();
    let pinned = format!("{}@{index}", registry.name("team/app"));
    fresh.ctr(["pull", "-q", &pinned]).ok().prints(&pinned);
    assert_eq!(fresh.run(fresh.tool("layerfs").args(["ls", "--json"])).ok().json()[0]["Names"], serde_json::json!([]));
    is_sound(&fresh);
}

#[test]
fn an_image_that_is_missing_is_pulled_and_run() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    sandbox.ctr(["push", "-q", &name]).ok().prints(&name);
    let fresh = Sandbox::new();
    fresh.ctr(["run", "--pull", "never", &name]).exits(125).says(&format!("No such image: {name}"));
    let run = fresh.ctr(["run", "--rm", &name]).ok().prints("made");
    run.says(&format!("Unable to find image '{name}' locally"))
        .says("v1: Pulling from team/app")
        .says("Status: Downloaded newer");
    let run = fresh.ctr(["run", "--rm", &name]).ok().prints("made");
    assert_eq!(run.stderr, "");
    fresh.ctr(["run", "--rm", "--pull", "always", &name]).ok().prints("made").says("Status: Image is up to date");
    let missing = registry.name("team/none");
    fresh.ctr(["run", &missing]).exits(125).says(&format!("Unable to find image '{missing}:latest' locally"));
    fresh.ctr(["create", &missing]).exits(1);
    fresh.ctr(["pull", &missing]).exits(1);
    assert_eq!(fresh.remains(), Vec::<String>::new());
    is_sound(&fresh);

    let script = fresh.ctr(["--explain", "pull", &name]).ok().stdout;
    assert!(script.contains(&format!("layerfs pull {name}")), "{script}");
    let scripted = Sandbox::new();
    scripted.sh(&scripted.ctr(["--explain", "pull", &name]).ok().stdout).ok();
    scripted.ctr(["run", "--rm", &name]).ok().prints("made");
}

#[test]
fn a_build_gets_the_image_that_it_begins_with() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    sandbox.ctr(["push", "-q", &name]).ok();
    let fresh = Sandbox::new();
    std::fs::write(fresh.path().join("Dockerfile"), format!("FROM {name}\nENV A=1\n")).unwrap();
    let build = fresh.ctr(["build", "-t", "built", "."]).ok();
    let build =
        build.shows("v1: Pulling from team/app").shows("Status: Downloaded newer image").shows("Successfully built");
    assert!(!build.stdout.contains(&format!("\n{name}\n")), "{build}");
    fresh.ctr(["run", "--rm", "built"]).ok().prints("made");
    let id = fresh.ctr(["build", "-q", "."]).ok();
    assert_eq!(id.stdout.lines().count(), 1, "{id}");
    std::fs::write(fresh.path().join("Dockerfile"), format!("FROM {}\n", registry.name("none"))).unwrap();
    fresh.ctr(["build", "."]).exits(1).says("not found: manifest unknown");
    is_sound(&fresh);
}

#[test]
fn tags_are_pushed_and_pulled_all_at_once() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    let bare = registry.name("team/app");
    sandbox.ctr(["tag", &name, &format!("{bare}:v2")]).ok();
    sandbox.ctr(["push", "-a", &bare]).ok().shows("v1: digest: ").shows("v2: digest: ").shows("Layer already exists");
    sandbox.ctr(["push", &bare]).exits(1).says(&format!("tag does not exist: {bare}:latest"));
    sandbox.ctr(["push", &registry.name("none")]).exits(1).says("An image does not exist locally with the tag: ");
    sandbox.ctr(["push", &format!("{bare}@sha256:{}", "0".repeat(64))]).exits(1).says("cannot push a digest reference");
    let fresh = Sandbox::new();
    fresh.ctr(["pull", "-a", &bare]).ok().shows(&format!("Status: Downloaded newer image for {bare}\n{bare}\n"));
    assert_eq!(inspect(&fresh, &bare_tag(&bare, "v1"))["Id"], inspect(&fresh, &bare_tag(&bare, "v2"))["Id"]);
    fresh.ctr(["pull", "-a", &name]).exits(1).says("tag can't be used with --all-tags/-a");
}

fn bare_tag(bare: &str, tag: &str) -> String {
    format!("{bare}:{tag}")
}

#[test]
fn on_a_terminal_each_layer_has_a_line_of_its_own() {
    let registry = Registry::plain();
    let (sandbox, name) = with_app(&registry);
    let mut user = sandbox.ctr_in_terminal(["push", &name]);
    user.expect("The push refers to repository");
    user.expect("\x1b[1A\x1b[2K\r");
    user.expect("v1: digest: sha256:");
    assert_eq!(user.wait(), 0);
    let fresh = Sandbox::new();
    let mut user = fresh.ctr_in_terminal(["pull", &name]);
    user.expect("v1: Pulling from team/app");
    user.expect(": Pull complete\r\x1b[");
    user.expect("Status: Downloaded newer image");
    assert_eq!(user.wait(), 0);
}

#[test]
fn a_registry_behind_a_password_takes_and_gives_the_same_bytes() {
    let registry = Registry::with_password();
    let (sandbox, name) = with_app(&registry);
    let home = |sandbox: &Sandbox, args: &[&str], input: &str| {
        let mut command = sandbox.tool("ctr");
        output::run(command.env("DOCKER_CONFIG", sandbox.path().join("docker")).args(args), input.as_bytes())
    };
    home(&sandbox, &["push", &name], "").exits(1).says("login");
    home(&sandbox, &["login", "-u", USER, "--password-stdin", &registry.host()], "wrong").exits(1);
    home(&sandbox, &["login", "-u", USER, "--password-stdin", &registry.host()], PASSWORD)
        .ok()
        .shows("Login Succeeded");
    home(&sandbox, &["push", &name], "").ok().shows("Pushed");
    // Whoever lists the processes, or reads the script, sees no password.
    let said = home(&sandbox, &["--explain", "login", "-u", USER, "-p", PASSWORD, &registry.host()], "").ok();
    assert!(said.stdout.contains("--password-stdin") && !said.stdout.contains(PASSWORD), "{said}");
    home(&sandbox, &["login", "-u", USER, "-p", PASSWORD, &registry.host()], "")
        .ok()
        .shows("Login Succeeded")
        .says("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    home(&sandbox, &["login", "-u", USER, "-p", "wrong", &registry.host()], "").exits(1).says("unauthorized");
    let digest = manifest_digest(&sandbox, &name);
    let user = format!("{USER}:{PASSWORD}");
    let copy = registry.name("copied:v1");
    let (from, to) = (format!("docker://{name}"), format!("docker://{copy}"));
    let tls = ["--src-tls-verify=false", "--dest-tls-verify=false", "--src-creds", &user, "--dest-creds", &user];
    skopeo(&sandbox, &[&["copy"], &tls[..], &[&from, &to]].concat()).ok();

    // Skopeo's way of logging in is known as well.
    let fresh = Sandbox::new();
    let auth = fresh.path().join("auth.json");
    let login = [
        "login",
        "--tls-verify=false",
        "--authfile",
        auth.to_str().unwrap(),
        "-u",
        USER,
        "-p",
        PASSWORD,
        &registry.host(),
    ];
    skopeo(&fresh, &login).ok();
    let pull = |auth: &str| {
        let mut command = fresh.tool("ctr");
        command.env("DOCKER_CONFIG", fresh.path().join("none")).env("REGISTRY_AUTH_FILE", auth).args(["pull", &copy]);
        fresh.run(&mut command)
    };
    pull("/nonexistent").exits(1);
    pull(auth.to_str().unwrap()).ok().shows(&format!("Digest: {digest}"));
    fresh.ctr(["run", "--rm", &copy]).ok().prints("made");

    home(&sandbox, &["logout", &registry.host()], "").ok();
    home(&sandbox, &["push", &name], "").exits(1);
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_believed_when_its_certificate_is_in_certs_d() {
    let registry = Registry::with_tls();
    let (sandbox, name) = with_app(&registry);
    let settings = sandbox.path().join("settings");
    let ctr =
        |sandbox: &Sandbox, args: &[&str]| sandbox.run(sandbox.tool("ctr").env("CTR_CONFIG", &settings).args(args));
    let folder = settings.join("certs.d").join(registry.host());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(registry.authority(), folder.join("ca.crt")).unwrap();
    ctr(&sandbox, &["push", &name]).ok().shows("Pushed");
    let (digest, copy) = (manifest_digest(&sandbox, &name), registry.name("copied:v1"));
    let certificates = folder.to_str().unwrap();
    let (from, to) = (format!("docker://{name}"), format!("docker://{copy}"));
    skopeo(&sandbox, &["copy", "--src-cert-dir", certificates, "--dest-cert-dir", certificates, &from, &to]).ok();
    let fresh = Sandbox::new();
    ctr(&fresh, &["pull", &copy]).ok().shows(&format!("Digest: {digest}"));
    fresh.ctr(["run", "--rm", &copy]).ok().prints("made");
    is_sound(&fresh);
}
