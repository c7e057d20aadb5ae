//! Published ports. Needs root, `sleep` and `nft`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Container, Host, echo, publish_args, wait_until};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// A container on the default network.
fn attached(host: &Host, number: u8) -> Container {
    let container = host.container(number);
    host.attach(&container, "web");
    container
}

/// Bytes that differ from place to place and from seed to seed.
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_hundred_connections_at_once_carry_what_was_sent() {
    let host = Host::new();
    let web = attached(&host, 1);
    web.serve(80, echo);
    let port = host.publish(&web, &["127.0.0.1::80/tcp"])[0];
    std::thread::scope(|scope| {
        for seed in 0..100 {
            let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
            scope.spawn(move || {
                let sent = pattern(seed, 300_000 + seed as usize * 1000);
                let mut received = Vec::new();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        (&connection).write_all(&sent).unwrap();
                        connection.shutdown(Shutdown::Write).unwrap();
                    });
                    (&connection).read_to_end(&mut received).unwrap();
                });
                assert!(sent == received, "connection {seed}: {} of {} bytes", received.len(), sent.len());
            });
        }
    });
    host.unpublish(&web);
}

#[test]
fn who_has_said_all_still_hears_the_answer() {
    let host = Host::new();
    let web = attached(&host, 1);
    // Answers only when the request has ended.
    web.serve(80, |mut client| {
        let mut request = Vec::new();
        client.read_to_end(&mut request).unwrap();
        write!(client, "{} bytes", request.len()).unwrap();
    });
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(&pattern(1, 5_000_000)).unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "5000000 bytes");
}

#[test]
fn who_does_not_read_holds_up_nobody_else() {
    let host = Host::new();
    let web = attached(&host, 1);
    // Sends without end to whoever sends "flood", and echoes to others.
    web.serve(80, |mut client| {
        let mut first = [0; 5];
        client.read_exact(&mut first).unwrap();
        if &first == b"flood" {
            while client.write_all(&[0; 65536]).is_ok() {}
            return;
        }
        client.write_all(&first).unwrap();
        echo(client);
    });
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let mut deaf = TcpStream::connect(("127.0.0.1", port)).unwrap();
    deaf.write_all(b"flood").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut lively = TcpStream::connect(("127.0.0.1", port)).unwrap();
    lively.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    lively.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    lively.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn a_port_that_nobody_serves_closes_the_connection() {
    let host = Host::new();
    let web = attached(&host, 1);
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    // On a slow machine the reset is there before connect(2) has returned, and is what it returns.
    let answer = TcpStream::connect(("127.0.0.1", port)).and_then(|mut connection| {
        connection.set_read_timeout(Some(Duration::from_secs(60)))?;
        connection.read(&mut [0])
    });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn all_ports_are_held_or_none() {
    let host = Host::new();
    let (web, db) = (attached(&host, 1), attached(&host, 2));
    let taken = host.publish(&web, &["0.0.0.0::80"])[0];
    // Nobody has it: this host is new. (Nor may it be tried out with a listener of our own: that would be in each child
    // that another test is just starting, and hold the port for a moment longer.)
    let free = 4321;
    let (first, second) = (format!("127.0.0.1:{free}:80"), format!("0.0.0.0:{taken}:80"));
    let said = host.fails(&publish_args(&db, &[&first, &second]));
    assert_eq!(said, format!("portfwd: publish 80/tcp: Bind for 0.0.0.0:{taken} failed: port is already allocated"));
    assert_eq!(TcpStream::connect(("127.0.0.1", free)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(std::fs::read_dir(host.run_dir(&db.id)).unwrap().count(), 0);
    // A container's ports are published once.
    let said = host.fails(&publish_args(&web, &["127.0.0.1::81"]));
    assert!(said.ends_with("some are published already: unpublish them first"), "{said}");
    host.unpublish(&web);
    assert_eq!(host.publish(&db, &[&first, &second]), [free, taken]);
}

#[test]
fn no_address_means_all_of_both_families() {
    let host = Host::new();
    let web = attached(&host, 1);
    web.serve(80, echo);
    let ports = host.publish(&web, &["80"]);
    assert!(ports.len() == 2 && ports[0] == ports[1], "{ports:?}");
    for address in ["127.0.0.1", "::1"] {
        let mut connection = TcpStream::connect((address, ports[0])).unwrap();
        connection.write_all(b"hello").unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello");
    }
}

#[test]
fn the_ports_go_with_the_container() {
    let host = Host::new();
    let mut web = attached(&host, 1);
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let forwarder = host.forwarder(&web);
    web.kill();
    wait_until("the port is free", || TcpListener::bind(("127.0.0.1", port)).is_ok());
    wait_until("the forwarder has ended", || !is_alive(forwarder));
    assert_eq!(std::fs::read_dir(host.run_dir(&web.id)).unwrap().count(), 0);
    host.unpublish(&web);
}

#[test]
fn the_last_words_of_a_container_arrive() {
    let host = Host::new();
    let web = attached(&host, 1);
    // Its own process says them, and is gone: the kernel holds what was said.
    let (said, all_is_said) = std::sync::mpsc::channel();
    web.serve(80, move |mut client| {
        let mut line = [0; 1];
        client.read_exact(&mut line).unwrap();
        client.write_all(&pattern(7, 200_000)).unwrap();
        drop(client);
        said.send(()).unwrap();
    });
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.write_all(b"?").unwrap();
    all_is_said.recv_timeout(Duration::from_secs(60)).unwrap();
    host.unpublish(&web);
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(answer == pattern(7, 200_000), "{} bytes", answer.len());
}

#[test]
fn unpublishing_frees_the_ports_at_once_and_twice_is_no_mistake() {
    let host = Host::new();
    let web = attached(&host, 1);
    web.serve(80, echo);
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let forwarder = host.forwarder(&web);
    // Even with a connection that says nothing.
    let silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    host.unpublish(&web);
    wait_until("the forwarder has ended", || !is_alive(forwarder));
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
    drop(silent);
    host.unpublish(&web);
    assert_eq!(std::fs::read_dir(host.run_dir(&web.id)).unwrap().count(), 0);
}

#[test]
fn a_killed_forwarder_is_replaced() {
    let host = Host::new();
    let web = attached(&host, 1);
    let port = host.publish(&web, &["127.0.0.1::80"])[0];
    let kill = |pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    let first = host.forwarder(&web);
    kill(first).unwrap();
    wait_until("the forwarder has ended", || !is_alive(first));
    // Its file is still there, and nobody holds the lock on it.
    assert!(host.run_dir(&web.id).join("ports.json").exists());
    assert_eq!(host.publish(&web, &[&format!("127.0.0.1:{port}:80")]), [port]);
    kill(host.forwarder(&web)).unwrap();
    host.unpublish(&web);
    assert_eq!(std::fs::read_dir(host.run_dir(&web.id)).unwrap().count(), 0);
}

#[test]
fn the_forwarder_keeps_nothing_of_its_caller() {
    let host = Host::new();
    let web = attached(&host, 1);
    // `output` waits until nobody holds the other end of its pipes: it comes back, so nobody does.
    let output = host.command(&publish_args(&web, &["127.0.0.1::80"])).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let proc = format!("/proc/{}", host.forwarder(&web));
    for stream in 0..3 {
        assert_eq!(std::fs::read_link(format!("{proc}/fd/{stream}")).unwrap().to_str(), Some("/dev/null"));
    }
    assert_eq!(std::fs::read_link(format!("{proc}/cwd")).unwrap().to_str(), Some("/"));
    let command = std::fs::read_to_string(format!("{proc}/cmdline")).unwrap();
    assert!(command.contains("portfwd\0publish\0--container"), "{command:?}");
    let stat = std::fs::read_to_string(format!("{proc}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[3], host.forwarder(&web).to_string(), "it leads a session of its own");
    assert_eq!(fields[4], "0", "it has no terminal");
    // The end of its session or terminal is none of its business.
    let pid = nix::unistd::Pid::from_raw(host.forwarder(&web));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert!(is_alive(pid.as_raw()));
}

#[test]
fn datagrams_find_their_way_back() {
    let host = Host::new();
    let dns = attached(&host, 1);
    let server = dns.inside(|| UdpSocket::bind("0.0.0.0:53").unwrap()).join().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65535];
        while let Ok((length, client)) = server.recv_from(&mut buffer) {
            server.send_to(&buffer[..length], client).unwrap();
        }
    });
    let port = host.publish(&dns, &["127.0.0.1::53/udp"])[0];
    let clients: Vec<_> = (0..20).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for (number, client) in clients.iter().enumerate() {
        client.send_to(&pattern(number as u64, 1000 + number), ("127.0.0.1", port)).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut buffer = [0; 65535];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from.port(), port);
        assert!(buffer[..length] == pattern(number as u64, 1000 + number));
    }
    host.unpublish(&dns);
}
