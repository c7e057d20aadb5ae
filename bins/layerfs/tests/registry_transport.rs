//! Redirects, repeats, time-outs and bounds, against a registry that lies. No other machine is needed.
#![allow(clippy::unwrap_used)]

mod common;

use common::http::{Dead, End, Reply, Seen, Server};
use common::registry::{Content, User, refusal};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A registry that answers the first `times` requests in its own way, and is honest from then on.
fn at_first(times: usize, content: &Content, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    let (content, count) = (content.clone(), AtomicUsize::new(0));
    Server::new(move |seen| match count.fetch_add(1, Ordering::SeqCst) < times {
        true => reply(seen),
        false => content.answer(seen),
    })
}

#[test]
fn http_is_spoken_where_nothing_speaks_https_on_this_machine() {
    let (user, content) = (User::new(), Content::new("app"));
    let honest = content.clone();
    let server = Server::new(move |seen| honest.answer(seen));
    let name = format!("{}/app:1", server.host());
    user.ok(&["pull", &name]);
    user.has(&name, &content);
}

#[test]
fn a_busy_registry_is_asked_again_after_a_while() {
    for busy in [
        refusal(429, "TOOMANYREQUESTS", "slow down").with("Retry-After", "1"),
        refusal(503, "UNAVAILABLE", "one moment"),
        Reply::new(502, "<html>no JSON here"),
        Reply::new(200, "").then(End::Cut),
    ] {
        let (user, content) = (User::new(), Content::new("app"));
        let server = at_first(2, &content, move |_| busy.clone());
        let name = format!("{}/app:1", server.host());
        user.ok(&["pull", &name]);
        user.has(&name, &content);
    }
}

#[test]
fn a_registry_that_stays_busy_is_left_alone_after_five_times() {
    let user = User::new();
    let server = Server::new(|_| refusal(429, "TOOMANYREQUESTS", "you have reached your limit"));
    let said = user.fails(&["pull", &format!("{}/app:1", server.host())]);
    assert!(said.contains("toomanyrequests: you have reached your limit"), "{said}");
    assert!(said.contains("'ctr login'"), "{said}");
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "GET").count(), 5);

    let server = Server::new(|_| refusal(429, "TOOMANYREQUESTS", "come tomorrow").with("Retry-After", "86400"));
    user.fails(&["pull", &format!("{}/app:1", server.host())]);
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "GET").count(), 1, "nobody waits a day");

    let server = Server::new(|_| Reply::new(500, "\u{1b}[31mboom"));
    let said = user.fails(&["pull", &format!("{}/app:1", server.host())]);
    assert!(said.contains("in trouble (500"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn a_registry_that_says_nothing_is_not_waited_for_for_ever() {
    let user = User::new();
    let silent = Server::new(|_| Reply::new(200, "{").promising(100).then(End::Stall));
    let trickling = Server::new(|_| Reply::new(200, "{").promising(1 << 20).then(End::Trickle));
    for server in [silent, trickling] {
        let mut command = user.command(&["pull", &format!("{}/app:1", server.host())]);
        let said = common::failed(command.env("CTR_REGISTRY_TIMEOUT", "1").output().unwrap());
        assert!(said.contains("manifest"), "{said}");
    }
    let said = {
        let mut command = user.command(&["pull", "127.0.0.1:1/app"]);
        common::failed(command.env("CTR_REGISTRY_TIMEOUT", "soon").output().unwrap())
    };
    assert!(said.contains("CTR_REGISTRY_TIMEOUT is \"soon\""), "{said}");
}

#[test]
fn answers_without_end_are_refused() {
    let user = User::new();
    let large = Server::new(|_| Reply::new(200, vec![b' '; (4 << 20) + 1]).with("Content-Type", "application/json"));
    let said = user.fails(&["pull", &format!("{}/app:1", large.host())]);
    assert!(said.contains("larger than 4194304 bytes"), "{said}");
    let headers = Server::new(|_| Reply::new(200, "{}").with("X-Large", "x".repeat(1 << 20)));
    let said = user.fails(&["pull", &format!("{}/app:1", headers.host())]);
    assert!(said.contains("header"), "{said}");
}

#[test]
fn a_redirect_to_another_host_goes_without_credentials() {
    let (user, content) = (User::new(), Content::new("app"));
    std::fs::write(user.docker(), "{}").unwrap();
    let blobs = content.clone();
    let storage = Arc::new(Server::new(move |seen| blobs.answer(seen)));
    let (honest, elsewhere) = (content.clone(), storage.host());
    let server = Server::new(move |seen| match seen.header("authorization") {
        None => refusal(401, "UNAUTHORIZED", "who are you").with("WWW-Authenticate", "Basic realm=x"),
        Some(_) if seen.target.contains("/blobs/") && !seen.target.contains("here") => {
            // Once within this host, then to the other one.
            Reply::new(307, "").with("Location", format!("{}?here", seen.target))
        }
        Some(_) if seen.target.contains("/blobs/") => {
            let target = seen.target.replace("?here", "");
            Reply::new(307, "").with("Location", format!("http://{elsewhere}{target}"))
        }
        Some(_) => honest.answer(seen),
    });
    user.ok(&["login", "-u", "me", "-p", "geheim", &server.host()]);
    let name = format!("{}/app:1", server.host());
    user.ok(&["pull", &name]);
    user.has(&name, &content);
    let seen = storage.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|seen| seen.header("authorization").is_none()), "{seen:?}");
    let within = server.seen().into_iter().filter(|seen| seen.target.contains("?here"));
    assert!(within.clone().count() == 2 && within.into_iter().all(|seen| seen.header("authorization").is_some()));
}

#[test]
fn redirects_come_to_an_end() {
    let user = User::new();
    let circle = Server::new(|seen| Reply::new(307, "").with("Location", seen.target.clone()));
    let said = user.fails(&["pull", &format!("{}/app:1", circle.host())]);
    assert!(said.contains("redirected more than 8 times"), "{said}");
    let nowhere = Server::new(|_| Reply::new(307, "").with("Location", "gopher://x/"));
    let said = user.fails(&["pull", &format!("{}/app:1", nowhere.host())]);
    assert!(said.contains("which is no address"), "{said}");
}

#[test]
fn what_cannot_be_reached_is_said_with_what_to_do() {
    let user = User::new();
    let dead = Dead::new();
    let said = user.fails(&["pull", &format!("127.0.0.1:{}/app:1", dead.port)]);
    assert!(said.contains("connection refused: nobody listens there"), "{said}");
    let said = user.fails(&["pull", "registry.invalid/app:1"]);
    assert!(said.contains("no such host: nobody knows the name registry.invalid"), "{said}");
    let no_http = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = no_http.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut socket in no_http.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut socket, b"220 mail.example ESMTP\r\n");
        }
    });
    user.fails(&["pull", &format!("127.0.0.1:{port}/app:1")]);
}

#[test]
fn what_is_not_there_is_said_in_the_words_that_people_search_for() {
    let user = User::new();
    let content = Content::new("app");
    let server = Server::new(move |seen| content.answer(seen));
    let said = user.fails(&["pull", &format!("{}/app:2", server.host())]);
    assert!(said.contains(&format!("manifest for {}/app:2 not found: manifest unknown", server.host())), "{said}");

    let server = Server::new(|_| refusal(404, "NAME_UNKNOWN", "repository name not known to registry"));
    let said = user.fails(&["pull", &format!("{}/app", server.host())]);
    assert!(said.contains(&format!("repository {}/app not found: name unknown", server.host())), "{said}");

    let server = Server::new(|_| refusal(403, "DENIED", "requested access to the resource is denied"));
    let name = format!("{}/app", server.host());
    let said = user.fails(&["pull", &name]);
    let wanted = format!("pull access denied for {name}, repository does not exist or may require 'ctr login'");
    assert!(said.contains(&wanted), "{said}");
}
