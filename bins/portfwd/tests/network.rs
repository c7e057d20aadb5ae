//! Bridges, cables, addresses, names. Needs root, `sleep`, `nft` and `ip`; one test needs `iptables` too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Host, echo, host_links, tool, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

fn connect_within(to: &str, patience: Duration) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&to.parse::<SocketAddr>().unwrap(), patience)
}

/// Connects to who must be there. A minute: a machine may be emulated, or busy with something else.
fn connect(to: &str) -> std::io::Result<TcpStream> {
    connect_within(to, Duration::from_secs(60))
}

#[test]
fn an_attached_container_has_an_address_and_a_way_out() {
    let host = Host::new();
    let web = host.container(1);
    let endpoint = host.attach(&web, "web");
    assert_eq!(endpoint["IPv4Address"], "172.18.0.2");
    assert_eq!(endpoint["MacAddress"], "02:42:ac:12:00:02");
    assert_eq!(endpoint["Gateway"], "172.18.0.1");
    assert_eq!(endpoint["IPPrefixLen"], 16);
    assert_eq!(web.links(), ["eth0", "lo"]);
    assert_eq!(host_links(), ["ctr0", "lo", "veth0101010"]);
    // proc(5): interface, destination 0.0.0.0, gateway 172.18.0.1, both in the processor's byte order.
    assert!(web.proc_net("route").contains("eth0\t00000000\t010012AC"), "{}", web.proc_net("route"));
    let namespace_can_talk_to_itself = web.inside(|| std::net::TcpListener::bind("127.0.0.1:0").is_ok());
    assert!(namespace_can_talk_to_itself.join().unwrap());
    // The host reaches the container, and so the other way round.
    web.serve(80, echo);
    connect("172.18.0.2:80").unwrap();
    assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "1");
    assert!(
        tool("nft", &["list", "table", "ip", "ctr_ctr0"])
            .contains("ip saddr 172.18.0.0/16 oifname != \"ctr0\" masquerade")
    );
}

#[test]
fn neighbours_reach_each_other_and_know_each_others_names() {
    let host = Host::new();
    let (web, db) = (host.container(1), host.container(2));
    host.attach(&web, "web");
    let inode = web.hosts.metadata().unwrap().ino();
    host.attach(&db, "db");
    let header = "127.0.0.1\tlocalhost\n";
    assert_eq!(
        web.hosts(),
        format!("{header}172.18.0.2\thost1 web\t# bridge\n172.18.0.3\tdb 020202020202\t# bridge\n")
    );
    assert_eq!(db.hosts(), format!("{header}172.18.0.3\thost2 db\t# bridge\n172.18.0.2\tweb 010101010101\t# bridge\n"));
    db.serve(5432, echo);
    web.inside(|| connect("172.18.0.3:5432").unwrap()).join().unwrap();
    host.detach(&db);
    assert_eq!(web.hosts(), format!("{header}172.18.0.2\thost1 web\t# bridge\n"));
    assert_eq!(db.hosts(), header);
    assert_eq!(
        web.hosts.metadata().unwrap().ino(),
        inode,
        "the file is mounted in the container: it must stay the same"
    );
}

#[test]
fn the_last_detach_leaves_the_bridge_and_remove_leaves_nothing() {
    let host = Host::new();
    let (web, mut db) = (host.container(1), host.container(2));
    host.attach(&web, "web");
    host.attach(&db, "db");
    host.detach(&web);
    assert_eq!(web.links(), ["lo"]);
    assert!(host_links().contains(&"ctr0".to_owned()));
    // A container that is dead already is detached all the same, and detached twice as well.
    db.kill();
    host.detach(&db);
    assert_eq!(host_links(), ["ctr0", "lo"]);
    assert_eq!(host.network()["Endpoints"], serde_json::json!({}));
    assert_eq!(host.network()["Subnet"], "172.18.0.0/16");
    // A network that never was has nobody to detach.
    host.ok(&["detach", "elsewhere", "--container", &db.id]);
    host.ok(&["remove", "bridge"]);
    assert!(!host.root().join("networks/bridge.json").exists());
    assert_eq!(host_links(), ["lo"]);
    assert_eq!(tool("nft", &["list", "ruleset"]), "");
    host.ok(&["remove", "bridge"]);
}

#[test]
fn rules_and_settings_that_went_are_back_with_the_next_container() {
    const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
    let host = Host::new();
    let (web, db) = (host.container(1), host.container(2));
    host.attach(&web, "web");
    let rules = tool("nft", &["list", "ruleset"]);
    host.detach(&web);
    assert_eq!(tool("nft", &["list", "ruleset"]), rules);
    // What `systemctl restart nftables` and `sysctl --system` do.
    tool("nft", &["flush", "ruleset"]);
    std::fs::write(IP_FORWARD, "0").unwrap();
    assert_eq!(host.attach(&db, "db")["IPv4Address"], "172.18.0.2");
    assert_eq!(tool("nft", &["list", "ruleset"]), rules);
    assert_eq!(std::fs::read_to_string(IP_FORWARD).unwrap(), "1\n");
    // What is there stays as it is: no second attach loads it again.
    let rule = ["insert", "rule", "ip", "ctr_ctr0", "forward", "counter"];
    tool("nft", &rule);
    host.attach(&web, "web");
    assert!(tool("nft", &["list", "ruleset"]).contains("counter packets"));
}

#[test]
fn a_container_that_is_attached_again_keeps_its_address() {
    let host = Host::new();
    let (first, second) = (host.container(1), host.container(2));
    host.attach(&first, "first");
    host.attach(&second, "second");
    assert_eq!(host.attach(&second, "second")["IPv4Address"], "172.18.0.3");
    assert_eq!(second.links(), ["eth0", "lo"]);
    // The address that became free is given to the next who comes.
    host.detach(&first);
    let third = host.container(3);
    assert_eq!(host.attach(&third, "third")["IPv4Address"], "172.18.0.2");
    // Restarted: another process, another namespace, the same container.
    let pid_file = host.container(4).pid_file.clone();
    let reborn = host.container(2);
    assert_eq!(host.attach(&reborn, "second")["IPv4Address"], "172.18.0.3");
    assert_eq!(reborn.links(), ["eth0", "lo"]);
    let said = host.fails(&["attach", "bridge", "--container", &"04".repeat(32), "--pid-file", &pid_file]);
    assert!(said.ends_with("it has ended"), "{said}");
}

#[test]
fn two_roots_on_one_host_do_not_collide() {
    let hosts: Vec<Host> = std::iter::once(Host::new()).chain((0..3).map(|_| Host::another())).collect();
    let containers: Vec<_> = (1..).zip(&hosts).map(|(number, host)| host.container(number)).collect();
    // All at once, each looking for a free name and subnet.
    let running: Vec<_> = hosts
        .iter()
        .zip(&containers)
        .map(|(host, container)| {
            let args = ["attach", "bridge", "--container", &container.id, "--pid-file", &container.pid_file];
            host.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    let mut taken: Vec<_> =
        hosts.iter().map(|host| (host.network()["Bridge"].to_string(), host.network()["Subnet"].to_string())).collect();
    taken.sort();
    let expected = (0..4).map(|n| (format!("\"ctr{n}\""), format!("\"172.{}.0.0/16\"", 18 + n)));
    let mut subnets: Vec<_> = taken.iter().map(|(_, subnet)| subnet.clone()).collect();
    subnets.sort();
    assert_eq!(
        taken.iter().map(|(bridge, _)| bridge.clone()).collect::<Vec<_>>(),
        expected.clone().map(|e| e.0).collect::<Vec<_>>()
    );
    assert_eq!(subnets, expected.map(|e| e.1).collect::<Vec<_>>());
    // A bridge that somebody removed, and another root has taken, is not touched.
    let (first, second) = (&hosts[0], &hosts[1]);
    let bridge = first.network()["Bridge"].as_str().unwrap().to_owned();
    tool("ip", &["link", "delete", &bridge]);
    let newcomer = Host::another();
    let guest = newcomer.container(9);
    assert_eq!(newcomer.attach(&guest, "guest")["Bridge"], bridge.as_str());
    first.detach(&containers[0]);
    assert!(host_links().contains(&bridge));
    assert_eq!(first.attach(&containers[0], "back")["Bridge"], "ctr4");
    second.detach(&containers[1]);
}

#[test]
fn networks_are_kept_apart_and_the_outside_sees_the_hosts_address() {
    let host = Host::new();
    let (inside, outside) = (host.container(1), host.container(2));
    host.attach(&inside, "inside");
    host.ok(&["attach", "other", "--container", &outside.id, "--pid-file", &outside.pid_file]);
    outside.serve(80, |client| {
        let peer = client.peer_addr().unwrap().ip().to_string();
        std::io::Write::write_all(&mut &client, peer.as_bytes()).unwrap();
    });
    let seen_within = |patience| {
        let client = connect_within("172.19.0.2:80", patience)?;
        let mut peer = String::new();
        std::io::Read::read_to_string(&mut &client, &mut peer)?;
        std::io::Result::Ok(peer)
    };
    // What is dropped on the way is never answered: this time is what the test takes.
    let refused = inside.inside(move || seen_within(Duration::from_millis(700))).join().unwrap();
    assert!(refused.is_err(), "a container reached one of another network");
    // Without its rules, the other network is a stranger's like any beyond the host.
    tool("nft", &["delete", "table", "ip", "ctr_ctr1"]);
    let seen = inside.inside(move || seen_within(Duration::from_secs(60))).join().unwrap();
    assert_eq!(seen.unwrap(), "172.19.0.1");
}

#[test]
fn iptables_policy_to_drop_what_is_forwarded_is_excepted() {
    let host = Host::new();
    // Older iptables has one lock for all namespaces, and gives up at once where it is not told to wait.
    tool("iptables", &["--wait", "-P", "FORWARD", "DROP"]);
    let before = tool("iptables", &["--wait", "-S", "FORWARD"]);
    let (inside, outside) = (host.container(1), host.container(2));
    host.attach(&inside, "inside");
    host.ok(&["attach", "other", "--container", &outside.id, "--pid-file", &outside.pid_file]);
    outside.serve(80, echo);
    tool("nft", &["delete", "table", "ip", "ctr_ctr1"]);
    inside.inside(|| connect("172.19.0.2:80").map(drop)).join().unwrap().unwrap();
    host.detach(&inside);
    host.ok(&["detach", "other", "--container", &outside.id]);
    host.ok(&["remove", "bridge"]);
    host.ok(&["remove", "other"]);
    assert_eq!(tool("iptables", &["--wait", "-S", "FORWARD"]), before);
}

#[test]
fn subnets_in_use_are_left_alone() {
    let host = Host::new();
    host.ok(&["bridge", "first", "--subnet", "172.18.4.0/24"]);
    assert!(host.ok(&["bridge", "second"]).contains("172.19.0.0/16"));
    let said = host.fails(&["bridge", "third", "--subnet", "172.18.0.0/20"]);
    assert_eq!(said, "portfwd: make network third: subnet 172.18.0.0/20 is in use: see `ip route`");
    let said = host.fails(&["bridge", "first", "--subnet", "10.0.0.0/24"]);
    assert_eq!(said, "portfwd: make network first: it is there already, with subnet 172.18.4.0/24");
    let said = host.fails(&["bridge", "third", "--subnet", "10.0.0.0/33"]);
    assert!(said.starts_with("portfwd: \"10.0.0.0/33\" is no subnet (10.10.0.0/24)"), "{said}");
    for bad in ["../x", "", "a b", ".x"] {
        assert!(host.fails(&["bridge", bad]).contains("is no network name"), "{bad}");
    }
}

#[test]
fn a_process_without_a_network_of_its_own_is_refused() {
    let host = Host::new();
    let web = host.container(1);
    std::fs::write(&web.pid_file, std::process::id().to_string()).unwrap();
    // This thread's namespace is not the process's: portfwd is started in the former.
    let process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(&web.pid_file, process.id().to_string()).unwrap();
    let said = host.fails(&["attach", "bridge", "--container", &web.id, "--pid-file", &web.pid_file]);
    assert!(said.contains("has no network namespace of its own"), "{said}");
    assert_eq!(host_links(), ["lo"]);
    let mut process = process;
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn what_a_killed_attach_left_is_taken_up() {
    let host = Host::new();
    let web = host.container(1);
    let args = ["attach", "bridge", "--container", &web.id, "--name", "web", "--pid-file", &web.pid_file];
    web.serve(80, echo);
    for microseconds in (0..12_000).step_by(600) {
        let mut process = host.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(microseconds));
        process.kill().unwrap();
        process.wait().unwrap();
        host.attach(&web, "web");
        wait_until("the container answers", || connect("172.18.0.2:80").is_ok());
        host.detach(&web);
        // So that the next one is killed while it makes the bridge; every other time it is there.
        if microseconds % 1200 == 0 {
            host.ok(&["remove", "bridge"]);
        }
    }
    host.ok(&["remove", "bridge"]);
    assert_eq!(host_links(), ["lo"]);
}
