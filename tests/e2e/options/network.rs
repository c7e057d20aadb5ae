//! What a container is connected to.

use ctr_tests::Sandbox;
use serde_json::Value;

/// The options that the tests here show the effect of.
pub const COVERS: &[&str] = &[
    "add-host",
    "disable-content-trust",
    "dns",
    "dns-option",
    "dns-search",
    "expose",
    "ip",
    "ip6",
    "link",
    "link-local-ip",
    "mac-address",
    "network",
    "network-alias",
    "publish",
    "publish-all",
];

#[test]
fn names_and_servers_are_written_down() {
    let sandbox = Sandbox::with_base();
    let script = "cat /etc/resolv.conf; grep -v '#' /etc/hosts | tail -n 2; cat /sys/class/net/eth0/address; \
                  ip route 2>/dev/null | true; grep -c 'host' /etc/hosts";
    let line = [
        "run",
        "--rm",
        "--dns",
        "10.0.0.1",
        "--dns",
        "::1",
        "--dns-search",
        "lan",
        "--dns-option",
        "ndots:3",
        "--dns-opt",
        "rotate",
        "--add-host",
        "other:10.0.0.9",
        "--add-host",
        "up:host-gateway",
        "--mac-address",
        "02-42-AC-11-00-99",
        "base",
        "sh",
        "-c",
        script,
    ];
    let output = sandbox.ctr(line).ok();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let resolv = ["search lan", "nameserver 10.0.0.1", "nameserver ::1", "options ndots:3 rotate"];
    assert_eq!(lines[..4], resolv, "{output}");
    let network: Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.root().join("networks/bridge.json")).unwrap()).unwrap();
    let gateway = format!("{}\tup", network["Gateway"].as_str().unwrap());
    assert_eq!(lines[4..7], ["10.0.0.9\tother", &gateway, "02:42:ac:11:00:99"], "{output}");
    for (bad, why) in [
        (&["--add-host", "foo"][..], "bad format for add-host: \"foo\""),
        (&["--dns", "foo"], "invalid argument \"foo\" for \"--dns\" flag: foo is not an ip address"),
        (&["--mac-address", "foo"], "foo is not a valid mac address"),
        (&["--link", "nope"], "could not get container for nope: No such container: nope"),
        (&["--network", "none", "--link", "a"], "links are only supported for user-defined networks"),
        (&["--ip", "10.0.0.2"], "user specified IP address is supported on user defined networks only"),
        (&["--ip6", "fe80::1"], "user specified IP address is supported on user defined networks only"),
        (&["--link-local-ip", "169.254.1.1"], "user specified IP address is supported on user defined networks only"),
        (&["--network-alias", "a"], "network-scoped aliases are only supported for user-defined networks"),
        (&["--network", "nope"], "networks of one's own come later"),
        (&["--disable-content-trust=false"], "Notary"),
        (&["-p", "80:x"], "Invalid containerPort: x"),
        (&["--expose", "80:80"], "invalid port format for --expose: 80:80"),
    ] {
        sandbox.ctr([&["run", "--rm"], bad, &["base", "true"]].concat()).exits(125).says(why);
    }
    // What shares a network cannot have one of its own; of several conflicts the first is told, in docker's order.
    sandbox.ctr(["create", "--name", "peer", "base", "true"]).ok();
    let mac = ["--mac-address", "02:42:ac:11:00:99"];
    let all = [&["--expose", "80", "-p", "80", "--add-host", "a:10.0.0.9"], &mac[..]].concat();
    for (network, options, said) in [
        ("host", &mac[..], "conflicting options: mac-address and the network mode"),
        ("container:peer", &mac, "conflicting options: mac-address and the network mode"),
        ("container:peer", &all, "conflicting options: custom host-to-IP mapping and the network mode"),
        ("container:peer", &all[..4], "conflicting options: port publishing and the container type network mode"),
        (
            "container:peer",
            &["--link", "peer", "--dns", "10.0.0.1"],
            "links are only supported for user-defined networks",
        ),
    ] {
        sandbox
            .ctr([&["run", "--rm", "--network", network], options, &["base", "true"]].concat())
            .exits(125)
            .says(said);
    }
    // What was asked for is what is shown.
    for (options, mode) in
        [(&[][..], "default"), (&["--network", "bridge"], "bridge"), (&["--net", "default"], "default")]
    {
        let id = sandbox.ctr([&["create"], options, &["base", "true"]].concat()).ok().text().to_owned();
        sandbox.ctr(["inspect", "-f", "{{.HostConfig.NetworkMode}}", &id]).ok().prints(mode);
    }
    sandbox.ctr(["run", "--rm", "--disable-content-trust", "--network", "none", "base", "true"]).ok();
}

#[test]
fn ports_lead_in_and_can_be_asked_for() {
    let sandbox = Sandbox::with_base();
    let line = [
        "run",
        "-d",
        "--name",
        "box",
        "-P",
        "--expose",
        "90-91",
        "-p",
        "127.0.0.1::80",
        "-p",
        "127.0.0.1::53/udp",
        "base",
        "sleep",
        "600",
    ];
    sandbox.ctr(line).ok();
    let all = sandbox.ctr(["port", "box"]).ok();
    let web = sandbox.ctr(["port", "box", "80"]).ok().text().to_owned();
    assert!(web.starts_with("127.0.0.1:") && all.stdout.contains(&format!("80/tcp -> {web}\n")), "{all}");
    for port in ["53/udp -> 127.0.0.1:", "90/tcp -> 0.0.0.0:", "91/tcp -> 0.0.0.0:"] {
        assert!(all.stdout.contains(port), "{port}\n{all}");
    }
    sandbox.ctr(["port", "box", "81"]).exits(1).says("No public port '81/tcp' published for box");
    // Of a range of the host the first one that is free.
    let taken: u16 = web.rsplit(':').next().unwrap().parse().unwrap();
    let range = format!("127.0.0.1:{taken}-{}:80", taken.saturating_add(20));
    sandbox.ctr(["run", "-d", "--name", "next", "-p", &range, "base", "sleep", "600"]).ok();
    let next = sandbox.ctr(["port", "next", "80/tcp"]).ok().text().to_owned();
    assert_ne!(next, web);
    sandbox.ctr(["rm", "-f", "box", "next"]).ok();
    sandbox.ctr(["port", "box"]).exits(1).says("No such container: box");
}

#[test]
fn a_link_is_a_name_and_variables() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "data-base", "--expose", "5432", "-e", "SECRET=s", "base", "sleep", "600"]).ok();
    let line = [
        "create",
        "--name",
        "web",
        "--link",
        "data-base:db",
        "base",
        "sh",
        "-c",
        "env | grep ^DB_ | sort; grep db /etc/hosts",
    ];
    sandbox.ctr(line).ok();
    sandbox.ctr(["start", "-a", "web"]).exits(1).says("Cannot link to a non running container: /data-base AS /web/db");
    sandbox.ctr(["start", "data-base"]).ok();
    let shown: Value = serde_json::from_str(&sandbox.ctr(["inspect", "data-base"]).ok().stdout).unwrap();
    let ip = shown[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str().unwrap().to_owned();
    let output = sandbox.ctr(["start", "-a", "web"]).ok();
    for line in [
        "DB_ENV_SECRET=s",
        "DB_NAME=/web/db",
        &format!("DB_PORT=tcp://{ip}:5432"),
        &format!("DB_PORT_5432_TCP_ADDR={ip}"),
        "DB_PORT_5432_TCP_PROTO=tcp",
    ] {
        assert!(output.stdout.lines().any(|shown| shown == line), "{line}\n{output}");
    }
    assert!(output.stdout.lines().any(|line| line.starts_with(&format!("{ip}\tdb "))), "{output}");
    // A link follows both names.
    sandbox.ctr(["rename", "data-base", "data"]).ok();
    sandbox.ctr(["rename", "web", "www"]).ok();
    sandbox.ctr(["inspect", "-f", "{{json .HostConfig.Links}}", "www"]).ok().prints("[\"/data:/www/db\"]");
    sandbox.ctr(["start", "-a", "www"]).ok().shows("DB_NAME=/www/db");
    sandbox.ctr(["rm", "-f", "data", "www"]).ok();
}
