//! What the machine itself must be able to do. When these fail, all else does, and here is why.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;

#[test]
fn overlayfs_keeps_changes_in_the_upper_folder() {
    let sandbox = Sandbox::new();
    sandbox
        .sh("set -e
            mkdir lower upper work merged
            echo old > lower/file
            unshare --mount sh -c 'mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged &&
                echo new > merged/file && rm merged/file'
            stat -c '%F %t,%T' upper/file")
        .ok()
        .prints("character special file 0,0");
}

#[test]
fn a_bridge_a_pair_of_devices_and_masquerade_can_be_made() {
    let sandbox = Sandbox::new();
    sandbox
        .sh("unshare --net sh -ec '
                ip link add br0 type bridge
                ip link add veth0 type veth peer name veth1
                ip link set veth0 master br0 up
                printf \"table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }\" | nft -f -
                nft list table ip t'")
        .ok()
        .shows("masquerade");
}

#[test]
fn control_groups_can_limit_memory_processes_and_cpu() {
    let sandbox = Sandbox::new();
    sandbox
        .sh("set -e
            if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
                have=$(cat /sys/fs/cgroup/cgroup.subtree_control)
            else
                have=$(awk '$4 == 1 {print $1}' /proc/cgroups)
            fi
            for wanted in memory pids cpu; do
                echo $have | tr ' ' '\\n' | grep -qx $wanted || { echo no $wanted in: $have; exit 1; }
            done")
        .ok();
}

#[test]
fn every_tool_is_there_and_tells_its_version() {
    let sandbox = Sandbox::new();
    for tool in layout::tool::Tool::ALL {
        sandbox.run(sandbox.tool(tool.name()).arg("--version")).ok().shows(tool.name());
    }
}
