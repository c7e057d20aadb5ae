//! What a container sees of the network, and what is seen of it.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::{Sandbox, poll_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A web server that answers with its host name: python's own, on a page made at the start.
const SERVER: &str = "mkdir /www; hostname > /www/index.html; cd /www; exec python3 -m http.server 80";

/// Asks `address` for `/`.
fn get(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

#[test]
fn a_published_port_reaches_the_container() {
    let sandbox = Sandbox::with_python();
    let id =
        sandbox.ctr(["run", "-d", "-p", "127.0.0.1::80", "--name", "web", "python:3-slim", "sh", "-c", SERVER]).ok();
    let ports = sandbox.sh("cat $CTR_RUN/*/ports.json").ok().json();
    let address = format!("127.0.0.1:{}", ports[0]["HostPort"]);
    sandbox.ctr(["ps"]).ok().shows(&format!("{address}->80/tcp"));
    let body = poll_until(60, "an answer", || get(&address));
    assert_eq!(body.trim(), &id.text()[..12], "the host name is the short id");

    sandbox.ctr(["stop", "-t", "1", "web"]).ok();
    assert!(get(&address).is_none(), "the port is open though the container has stopped");
    sandbox.ctr(["start", "web"]).ok();
    let ports = sandbox.sh("cat $CTR_RUN/*/ports.json").ok().json();
    let address = format!("127.0.0.1:{}", ports[0]["HostPort"]);
    poll_until(60, "an answer after the second start", || get(&address));
}

#[test]
fn containers_reach_each_other_by_name_and_the_host_by_its_address() {
    let sandbox = Sandbox::with_python();
    sandbox.ctr(["run", "-d", "--name", "web", "python:3-slim", "sh", "-c", SERVER]).ok();
    let client = "import sys, time, urllib.request\n\
                  for _ in range(600):\n\
                  \x20   try: print(urllib.request.urlopen('http://web').read().decode()); break\n\
                  \x20   except OSError: time.sleep(0.1)";
    let answer = sandbox.ctr(["run", "--rm", "python:3-slim", "python3", "-c", client]).ok();
    let id = sandbox.ctr(["ps", "-q"]).ok();
    assert_eq!(answer.text(), id.text());
    // Who has gone is no longer in the neighbours' hosts files.
    let hosts = sandbox.ctr(["exec", "web", "cat", "/etc/hosts"]).ok();
    assert_eq!(
        hosts.stdout.lines().filter(|line| line.starts_with("172.") || line.starts_with("192.")).count(),
        1,
        "{hosts}"
    );
}

#[test]
fn without_a_network_there_is_a_loopback_alone() {
    let sandbox = Sandbox::with_base();
    sandbox
        .ctr([
            "run",
            "--rm",
            "--network",
            "none",
            "base",
            "sh",
            "-c",
            "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '",
        ])
        .ok()
        .prints("lo");
}

#[test]
fn with_the_hosts_network_it_is_the_hosts() {
    let sandbox = Sandbox::with_base();
    let here = sandbox.sh("readlink /proc/self/ns/net").ok();
    sandbox.ctr(["run", "--rm", "--network", "host", "base", "readlink", "/proc/self/ns/net"]).ok().prints(here.text());
}
