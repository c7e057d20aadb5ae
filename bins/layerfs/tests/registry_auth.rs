//! Who asks: tokens and passwords, where they are kept, and that nobody else gets to see them.
#![allow(clippy::unwrap_used)]

mod common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::http::{Reply, Seen, Server};
use common::registry::{Content, Received, User, refusal};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A registry of which each token is good for `uses` requests, and its token server.
struct Guarded {
    registry: Server,
    tokens: Arc<Server>,
}

impl Guarded {
    fn new(content: &Content, uses: usize) -> Guarded {
        let content = content.clone();
        Guarded::around(uses, move |seen| content.answer(seen))
    }

    fn around(uses: usize, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Guarded {
        let count = AtomicUsize::new(0);
        let tokens = Arc::new(Server::new(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            Reply::new(200, json!({"token": format!("token-{number}"), "expires_in": 3600}).to_string())
        }));
        let (realm, used) = (tokens.clone(), Mutex::new(HashMap::new()));
        let registry = Server::new(move |seen| {
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"the registry\"", realm.host());
            let unknown =
                || refusal(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", &challenge);
            let Some(token) = seen.header("authorization").filter(|token| token.starts_with("Bearer token-")) else {
                return unknown();
            };
            let mut used = used.lock().unwrap();
            let times = used.entry(token.to_owned()).or_insert(0);
            // The body of a request belongs to what was asked before.
            *times += usize::from(seen.body.len() <= 64 << 10);
            if *times > uses { unknown() } else { answer(seen) }
        });
        Guarded { registry, tokens }
    }

    fn name(&self) -> String {
        format!("{}/app:1", self.registry.host())
    }
}

/// A registry that knows `me` with the password `geheim`.
fn with_password(content: &Content) -> Server {
    let content = content.clone();
    Server::new(move |seen| match seen.header("authorization") {
        Some(text) if text == format!("Basic {}", BASE64_STANDARD.encode("me:geheim")) => content.answer(seen),
        _ => refusal(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", "Basic realm=\"x\""),
    })
}

fn auths(host: &str, entry: Value) -> String {
    json!({"auths": {host: entry}}).to_string()
}

fn targets(server: &Server) -> Vec<String> {
    server.seen().iter().map(Seen::line).collect()
}

#[test]
fn a_token_is_had_without_an_account_and_serves_for_all_requests() {
    let (user, content) = (User::new(), Content::new("app"));
    let guarded = Guarded::new(&content, 100);
    user.ok(&["pull", &guarded.name()]);
    user.has(&guarded.name(), &content);
    assert_eq!(targets(&guarded.tokens), ["GET /token?service=the%20registry&scope=repository:app:pull"]);
    assert_eq!(guarded.tokens.seen()[0].header("authorization"), None);
}

#[test]
fn a_token_that_becomes_too_old_on_the_way_is_replaced() {
    let (user, content) = (User::new(), Content::new("app"));
    let guarded = Guarded::new(&content, 1);
    user.ok(&["pull", &guarded.name()]);
    user.has(&guarded.name(), &content);
    assert!(guarded.tokens.seen().len() >= 3, "one for the manifest, the configuration and the layer each");

    // But one that is never good enough is not asked for again and again.
    let (user, guarded) = (User::new(), Guarded::new(&content, 0));
    let said = user.fails(&["pull", &guarded.name()]);
    assert!(said.contains("pull access denied for"), "{said}");
    assert_eq!(guarded.tokens.seen().len(), 1);
}

#[test]
fn a_push_gets_new_tokens_before_it_has_sent_a_large_blob_for_nothing() {
    let (user, received) = (User::new(), Arc::new(Received::default()));
    let honest = received.clone();
    let guarded = Guarded::around(1, move |seen| honest.answer(seen));
    // One after the other, or one would use up the other's token.
    user.settings(r#"{"max-concurrent-uploads": 1}"#);
    // What gzip cannot make small: a digest of each number.
    let noise: Vec<u8> =
        (0..32768u32).flat_map(|i| layout::Digest::of(&i.to_le_bytes()).hex().to_owned().into_bytes()).collect();
    user.store.import(&common::Tar::new().file("noise", &noise).end(), &guarded.name());
    user.ok(&["push", &guarded.name()]);
    let manifest: Value = serde_json::from_slice(&received.get("1").unwrap()).unwrap();
    for blob in [&manifest["config"], &manifest["layers"][0]] {
        let stored = received.get(blob["digest"].as_str().unwrap()).unwrap();
        assert_eq!(blob["size"], stored.len());
    }
    assert!(manifest["layers"][0]["size"].as_u64().unwrap() > 64 << 10, "{manifest}");
    // Each request found its token used up; the large body went over the line once all the same.
    let seen = guarded.registry.seen();
    assert_eq!(seen.iter().filter(|seen| seen.body.len() > 64 << 10).count(), 1);
    assert!(seen.iter().any(|seen| seen.header("expect").is_some()));
    assert!(targets(&guarded.tokens).iter().all(|line| line.ends_with("&scope=repository:app:pull,push")));

    // The next repository takes the layer over: for that the token is good for both.
    let copy = format!("{}/copy:1", guarded.registry.host());
    user.ok(&["tag", &guarded.name(), &copy]);
    user.ok(&["push", &copy]);
    let mounts = guarded.registry.seen().into_iter().filter(|seen| seen.target.contains("mount="));
    assert!(mounts.count() > 0);
    let both = "&scope=repository:copy:pull,push&scope=repository:app:pull";
    assert!(targets(&guarded.tokens).iter().any(|line| line.ends_with(both)), "{:?}", targets(&guarded.tokens));
}

#[test]
fn the_token_server_is_told_who_asks() {
    let (user, content) = (User::new(), Content::new("app"));
    let guarded = Guarded::new(&content, 100);
    fs::write(user.docker(), auths(&guarded.registry.host(), json!({"auth": BASE64_STANDARD.encode("me:geheim")})))
        .unwrap();
    user.ok(&["pull", &guarded.name()]);
    let asked = &guarded.tokens.seen()[0];
    assert_eq!(asked.target, "/token?service=the%20registry&scope=repository:app:pull&account=me");
    assert_eq!(asked.header("authorization").unwrap(), format!("Basic {}", BASE64_STANDARD.encode("me:geheim")));

    let (user, guarded) = (User::new(), Guarded::new(&content, 100));
    fs::write(user.docker(), auths(&guarded.registry.host(), json!({"identitytoken": "refresh me"}))).unwrap();
    user.ok(&["pull", &guarded.name()]);
    let asked = &guarded.tokens.seen()[0];
    assert_eq!(asked.line(), "POST /token");
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        "service=the%20registry&grant_type=refresh_token&refresh_token=refresh%20me&client_id=ctr&scope=repository:app:pull"
    );
}

#[test]
fn a_token_server_that_refuses_is_quoted_and_one_that_talks_rubbish_is_not() {
    let user = User::new();
    let answers = [
        (Reply::new(401, r#"{"details": "incorrect username or password"}"#), "incorrect username or password"),
        (Reply::new(200, r#"{"token": ""}"#), "there is no token in the answer"),
        (Reply::new(200, r#"{"token": "two\nlines: geheim"}"#), "there is no token in the answer"),
        (Reply::new(200, "geheim"), "is not the JSON of a token"),
    ];
    for (answer, wanted) in answers {
        let tokens = Server::new(move |_| answer.clone());
        let challenge = format!("Bearer realm=\"http://{}/token\"", tokens.host());
        let registry = Server::new(move |_| refusal(401, "X", "no").with("WWW-Authenticate", challenge.clone()));
        let said = user.fails(&["pull", &format!("{}/app", registry.host())]);
        assert!(said.contains(wanted) && !said.contains("geheim"), "{said}");
    }
}

#[test]
fn a_password_is_kept_when_the_registry_takes_it_and_only_then() {
    let (user, content) = (User::new(), Content::new("app"));
    let server = with_password(&content);
    let (host, name) = (server.host(), format!("{}/app:1", server.host()));
    let before = r#"{"auths":{"other":{"auth":"YTpi"}},"psFormat":"table"}"#;
    fs::write(user.docker(), before).unwrap();

    let said = user.fails(&["pull", &name]);
    assert!(said.contains("may require 'ctr login'"), "{said}");

    let wrong = user.command(&["login", "-u", "me", "-p", "wrong", &host]).output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    assert!(said.contains("WARNING! Using --password via the CLI is insecure. Use --password-stdin."), "{said}");
    assert!(said.contains("unauthorized: incorrect username or password"), "{said}");
    assert_eq!(fs::read_to_string(user.docker()).unwrap(), before, "nothing is kept");

    let mut command = user.command(&["login", "-u", "me", "--password-stdin", &host]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"geheim\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(common::succeeded(output), "Login Succeeded\n");
    let warning = format!("WARNING! Your password will be stored unencrypted in {}.", user.docker().display());
    assert!(said.contains(&warning), "{said}");
    assert_eq!(fs::metadata(user.docker()).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_slice(&fs::read(user.docker()).unwrap()).unwrap();
    assert_eq!(kept["auths"][&host]["auth"], BASE64_STANDARD.encode("me:geheim"));
    assert_eq!((&kept["psFormat"], &kept["auths"]["other"]["auth"]), (&json!("table"), &json!("YTpi")));
    assert_eq!(common::list(&user.store.path("docker")), ["config.json"], "nothing half-made");

    user.ok(&["pull", &name]);
    user.has(&name, &content);
    let again = user.ok(&["login", &host]);
    assert_eq!(again, "Authenticating with existing credentials...\nLogin Succeeded\n");

    assert_eq!(user.ok(&["logout", &host]), format!("Removing login credentials for {host}\n"));
    let again = user.ok(&["logout", &format!("https://{host}/v2/")]);
    assert_eq!(again, format!("Removing login credentials for {host}\nNot logged in to {host}\n"));
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(user.docker()).unwrap()).unwrap(),
        serde_json::from_str::<Value>(before).unwrap()
    );
}

#[test]
fn a_login_without_all_it_needs_says_so() {
    let user = User::new();
    let said = user.fails(&["login", "--password-stdin", "localhost:1"]);
    assert!(said.contains("Must provide --username with --password-stdin"), "{said}");
    let said = user.fails(&["login", "localhost:1"]);
    assert!(said.contains("Cannot perform an interactive login from a non TTY device"), "{said}");
    let said = user.fails(&["login", "-u", "a:b", "-p", "geheim", "localhost:1"]);
    assert!(said.contains("no colon") && !said.contains("geheim"), "{said}");
    let server = Server::new(|_| Reply::new(404, "geheim"));
    let said = user.fails(&["login", "-u", "a", "-p", "geheim", &server.host()]);
    assert!(said.contains("it is no registry") && !said.contains("geheim"), "{said}");
}

#[test]
fn a_helper_keeps_passwords_and_none_is_on_its_command_line() {
    let (user, content) = (User::new(), Content::new("app"));
    let server = with_password(&content);
    let (host, name) = (server.host(), format!("{}/app:1", server.host()));
    let folder = user.store.path("programs");
    // It keeps one credential in a file, as the protocol of all of them is.
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\" || exit 1\necho \"$@\" >> log\ncase $1 in\nstore) cat > kept ;;\n\
        get) cat >> asked; [ -e kept ] && cat kept || { echo 'credentials not found in native keychain'; exit 1; } ;;\n\
        erase) cat > /dev/null; rm kept ;;\nesac\n";
    let path = folder.join("docker-credential-drawer");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(user.docker(), r#"{"credsStore": "drawer"}"#).unwrap();

    let output = user.command(&["login", "-u", "me", "-p", "geheim", &host]).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("unencrypted"));
    assert_eq!(common::succeeded(output), "Login Succeeded\n");
    let kept: Value = serde_json::from_slice(&fs::read(folder.join("kept")).unwrap()).unwrap();
    assert_eq!(kept, json!({"ServerURL": host, "Username": "me", "Secret": "geheim"}));
    let config = fs::read_to_string(user.docker()).unwrap();
    assert!(config.contains(&host) && !config.contains("auth\""), "{config}");

    user.ok(&["pull", &name]);
    user.has(&name, &content);
    assert_eq!(fs::read_to_string(folder.join("asked")).unwrap(), host);
    user.ok(&["logout", &host]);
    assert!(!folder.join("kept").exists());
    assert!(user.fails(&["pull", &name]).contains("pull access denied"));
    let log = fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(log, "store\nget\nget\nerase\nget\n");

    // One of a registry's own goes before the one for all; and one that is not there is said.
    fs::write(user.docker(), json!({"credsStore": "drawer", "credHelpers": {&host: "gone"}}).to_string()).unwrap();
    let said = user.fails(&["pull", &name]);
    assert!(said.contains("run docker-credential-gone, which keeps the passwords: is it installed?"), "{said}");
    fs::write(user.docker(), json!({"credsStore": "../drawer"}).to_string()).unwrap();
    assert!(user.fails(&["pull", &name]).contains("a helper is named without a folder"));
}

#[test]
fn podmans_files_are_read_after_dockers() {
    let content = Content::new("app");
    let server = with_password(&content);
    let name = format!("{}/app:1", server.host());
    let text = auths(&server.host(), json!({"auth": BASE64_STANDARD.encode("me:geheim")}));
    for (variable, folder, file) in [
        ("REGISTRY_AUTH_FILE", "a/auth.json", "a/auth.json"),
        ("XDG_RUNTIME_DIR", "b", "b/containers/auth.json"),
        ("XDG_CONFIG_HOME", "c", "c/containers/auth.json"),
        ("HOME", "d", "d/.config/containers/auth.json"),
    ] {
        let user = User::new();
        let file = user.store.path(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &text).unwrap();
        let output = user.command(&["pull", &name]).env(variable, user.store.path(folder)).output().unwrap();
        common::succeeded(output);
        user.has(&name, &content);
    }
    let user = User::new();
    fs::write(user.docker(), r#"{"auths": {"x": {"auth": "geheim}}}"#).unwrap();
    let said = user.fails(&["pull", &name]);
    assert!(said.contains("wrong JSON at line 1") && !said.contains("geheim"), "{said}");
}
