//! From folders to images and back: `mkrootfs` and `layerfs` agree on what a root filesystem is.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;

#[test]
fn the_same_host_gives_the_same_layer() {
    let sandbox = Sandbox::new();
    let script = "
        mkrootfs host $1 --with busybox > made
        tar -C $1 --sort=name --numeric-owner -c . | tee $1.tar | layerfs import - $1 > id
        sha256sum < $1.tar | cut -d ' ' -f 1";
    let digests = ["one", "two"].map(|name| {
        let digest = sandbox.run(sandbox.command("sh").args(["-ec", script, "sh", name])).ok().stdout;
        let layers = sandbox.sh(&format!("layerfs inspect {name} | jq -r '.[0].RootFS.Layers[]'")).ok().stdout;
        assert_eq!(layers, format!("sha256:{digest}"));
        digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn an_image_becomes_the_folder_that_its_containers_see() {
    let sandbox = Sandbox::with_base();
    let script = r#"
        layerfs mount base merged --upper upper --work work
        rm merged/etc/group
        rm -r merged/srv; mkdir merged/srv; touch -d @1000000000 merged/srv/new
        echo hello > merged/greeting; ln merged/greeting merged/again; ln -s greeting merged/link
        chown 1234:4321 merged/greeting; chmod 4750 merged/greeting
        setcap cap_net_raw=ep merged/usr/bin/cat
        layerfs umount merged
        layerfs commit upper --parent base --tag changed > id
        mkrootfs image changed plain
        layerfs mount --read-only changed merged"#;
    // The mount is this shell's own; what it says of two trees is compared while it lives.
    let look = r#"
        list() {
            (cd $1; find . -mindepth 1 -type d -printf '%P %m %U:%G %T@\n' | sort
            find . ! -type d -printf '%P %y %m %U:%G %n %l %T@\n' | sort
            find . -type f -exec sha256sum {} + | sort; getcap usr/bin/cat)
        }
        list merged > of-image; list plain > of-folder
        layerfs umount merged
        diff of-image of-folder && wc -l < of-image"#;
    let lines =
        sandbox.run(sandbox.command("unshare").args(["--mount", "sh", "-ec", &format!("{script}\n{look}")])).ok();
    let count = lines.stdout.lines().last().unwrap().trim().parse::<u32>().unwrap();
    assert!(count > 200, "{lines}");
    assert!(sandbox.path().join("plain/greeting").exists() && !sandbox.path().join("plain/etc/group").exists());
    sandbox.sh("mkrootfs check plain && chroot plain cat /link").ok().shows("hello");
    let missing = sandbox.sh("mkrootfs image nowhere none");
    assert!(
        missing.code == 125 && missing.stderr.contains("nowhere") && !sandbox.path().join("none").exists(),
        "{missing}"
    );
}
