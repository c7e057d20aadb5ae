//! The process: who it is, what it may do, what it finds (config.md "Process").

use crate::bundle::Runtime::{Ours, Runc};
use crate::case::{case, check};
use serde_json::json;

#[test]
fn the_process_is_who_it_is_said_to_be() {
    check(vec![
        case("user, group, further groups, umask")
            .config(|c| c["process"]["user"] = json!({"uid": 33, "gid": 44, "additionalGids": [5, 6], "umask": 0o27}))
            .prints(
                "id -u; id -g; id -G; umask; grep -E '^[UG]id' /proc/self/status",
                "33\n44\n44 5 6\n0027\nUid:\t33\t33\t33\t33\nGid:\t44\t44\t44\t44",
            ),
        case("without further groups there are none, and the umask is 022")
            .prints("grep Groups /proc/self/status | tr -d ' \\t'; umask", "Groups:\n0022"),
        case("a user that passwd does not know")
            .config(|c| c["process"]["user"] = json!({"uid": 12345, "gid": 12345}))
            .prints("id -u; echo $HOME", "12345\n/"),
        case("a user number that is none").config(|c| c["process"]["user"]["uid"] = json!(-1)).refused(),
        case("HOME is the users, by passwd in the container")
            .config(|c| c["process"]["user"] = json!({"uid": 33, "gid": 33}))
            .prints("echo $HOME", "/srv/web"),
        case("HOME that is given")
            .config(|c| c["process"]["env"] = json!(["PATH=/bin", "HOME=/x"]))
            .prints("echo $HOME", "/x"),
        case("the whole environment")
            .config(|c| c["process"]["env"] = json!(["PATH=/bin", "B=2", "A=1 2", "EMPTY="]))
            .runs(&["env"], "PATH=/bin\nB=2\nA=1 2\nEMPTY=\nHOME=/root"),
        case("of a variable given twice the last counts")
            .config(|c| c["process"]["env"] = json!(["PATH=/bin", "A=1", "A=2"]))
            .prints("echo $A", "2"),
        case("the folder to start in").config(|c| c["process"]["cwd"] = json!("/tmp")).prints("pwd", "/tmp"),
        case("a folder that is missing is made")
            .config(|c| c["process"]["cwd"] = json!("/srv/new/deep"))
            .prints("pwd; stat -c '%a %u' .", "/srv/new/deep\n755 0"),
        case("a folder that is a file").config(|c| c["process"]["cwd"] = json!("/etc/passwd")).refused(),
        case("a relative folder").config(|c| c["process"]["cwd"] = json!("tmp")).refused(),
        case("it leads a session, and no terminal is its").prints("awk '{print $6, $7}' /proc/self/stat", "1 0"),
        case("only the standard streams are open").runs(&["ls", "/proc/self/fd"], "0\n1\n2\n3"),
        // The first 28: musl's posix_spawn, which these tests are started by, ignores those above that it uses itself.
        case("no signal is blocked or ignored").runs(
            &["awk", "/^Sig(Blk|Ign)/ {print $1, substr($2, 10)}", "/proc/self/status"],
            "SigBlk: 0000000\nSigIgn: 0000000",
        ),
    ]);
}

/// Why a program that cannot be run gives another exit code with ours.
const CODES: &str = "126 and 127 as from a shell: who runs a container by hand can tell what went wrong";

#[test]
fn the_program_is_found_as_a_shell_would() {
    check(vec![
        case("by PATH").runs(&["echo", "a", "", "b c"], "a  b c"),
        case("by a path").runs(&["/bin/echo", "x"], "x"),
        case("by a path from the folder to start in").runs(&["./bin/echo", "x"], "x"),
        case("by a PATH from the folder to start in")
            .config(|c| c["process"]["env"] = json!(["PATH=bin"]))
            .runs(&["echo", "x"], "[exit 1]")
            .but(Ours, "x", "as with execvp(3); Go refuses programs of the current folder"),
        case("without a PATH").config(|c| c["process"]["env"] = json!([])).runs(&["echo", "x"], "[exit 1]").but(
            Ours,
            "[exit 127]",
            CODES,
        ),
        case("its exit code").runs(&["sh", "-c", "exit 42"], "[exit 42]"),
        case("the signal that ended it")
            .config(|c| c["linux"]["namespaces"] = json!([{"type": "mount"}]))
            .runs(&["sh", "-c", "kill -9 $$; sleep 9"], "[exit 137]"),
        case("a script without #!")
            .bundle(|b| b.program("rootfs/tmp/x", ""))
            .bundle(|b| b.file("rootfs/tmp/x", "echo x"))
            .runs(&["/tmp/x"], "[exit 1]")
            .but(Ours, "[exit 126]", CODES),
        case("a program that is missing").runs(&["/bin/nothing"], "[exit 1]").but(Ours, "[exit 127]", CODES),
        case("a name that PATH does not lead to").runs(&["nothing"], "[exit 1]").but(Ours, "[exit 127]", CODES),
        case("a file that is no program").runs(&["/etc/passwd"], "[exit 1]").but(Ours, "[exit 126]", CODES),
        case("a folder").runs(&["/etc"], "[exit 1]").but(Ours, "[exit 126]", CODES),
        case("no arguments").runs(&[], "[exit 1]"),
    ]);
}

const SETS: &str = "for set in $(grep Cap /proc/self/status | cut -f2); do echo -n \"${set#00000000} \"; done";

#[test]
fn capabilities_are_five_sets() {
    check(vec![
        case("bounding, effective and permitted").prints(SETS, "00000000 a80425fb a80425fb a80425fb 00000000"),
        case("all five").config(|c| c["process"]["capabilities"] = json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_KILL"],
                "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN"]}))
            .config(|c| c["process"]["user"] = json!({"uid": 33, "gid": 33}))
            .prints("grep Cap /proc/self/status", "CapInh:\t0000000000000001\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t00000000000000e1\nCapAmb:\t0000000000000001"),
        case("none at all").config(|c| c["process"]["capabilities"] = json!({})).prints("grep Cap /proc/self/status | grep -c 0000000000000000", "5"),
        case("no word of them").config(|c| drop(c["process"].as_object_mut().unwrap().remove("capabilities")))
            .prints("grep -E 'Cap(Prm|Bnd)' /proc/self/status | cut -f2 | sort -u", "0000000000000000"),
        case("a user other than root has them in the bounding set alone")
            .config(|c| c["process"]["user"]["uid"] = json!(33)).prints(SETS, "00000000 00000000 00000000 a80425fb 00000000"),
        case("one that there is not is left out with a warning").config(|c| c["process"]["capabilities"]["bounding"] = json!(["CAP_CHOWN", "CAP_FLY"]))
            .config(|c| c["process"]["capabilities"]["permitted"] = json!(["CAP_CHOWN"]))
            .config(|c| c["process"]["capabilities"]["effective"] = json!(["CAP_CHOWN"]))
            .prints("grep CapBnd /proc/self/status", "CapBnd:\t0000000000000001"),
        case("no new privileges").config(|c| c["process"]["noNewPrivileges"] = json!(true))
            .prints("grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
        case("new privileges").prints("grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0"),
    ]);
}

#[test]
fn the_process_has_limits_and_a_place_in_the_queues() {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    check(vec![
        case("limits").config(move |c| {
            c["process"]["rlimits"] = json!([limit("RLIMIT_NOFILE", 100, 200), limit("RLIMIT_CORE", 0, 0), limit("RLIMIT_FSIZE", 1 << 40, 1 << 41),
                limit("RLIMIT_STACK", 4 << 20, u64::MAX), limit("RLIMIT_NICE", 0, 0), limit("RLIMIT_MSGQUEUE", 4096, 8192)]);
        }).prints("grep -E 'Max (open files|core|file size|nice|msgq)' /proc/self/limits | sed 's/  */ /g; s/ $//'; ulimit -s; ulimit -Hs",
            "Max file size 1099511627776 2199023255552 bytes\nMax core file size 0 0 bytes\nMax open files 100 200 files\nMax msgqueue size 4096 8192 bytes\nMax nice priority 0 0\n4096\nunlimited"),
        case("a limit that there is not").config(move |c| c["process"]["rlimits"] = json!([limit("RLIMIT_FUN", 1, 1)])).refused(),
        case("a limit twice").config(move |c| c["process"]["rlimits"] = json!([limit("RLIMIT_CORE", 1, 1), limit("RLIMIT_CORE", 2, 2)])).refused()
            ,
        case("a soft limit above the hard one").config(move |c| c["process"]["rlimits"] = json!([limit("RLIMIT_NOFILE", 20, 10)])).refused(),
        case("who is ended first when memory runs out").config(|c| c["process"]["oomScoreAdj"] = json!(321)).prints("cat /proc/self/oom_score_adj", "321"),
        case("a score beyond what there is").config(|c| c["process"]["oomScoreAdj"] = json!(1001)).refused(),
        case("scheduler: batch, nicer").config(|c| c["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 7}))
            .prints("awk '{print $19, $41}' /proc/self/stat", "7 3").since_runc(1, 2),
        case("scheduler: a policy that there is not").config(|c| c["process"]["scheduler"] = json!({"policy": "SCHED_FAIR"})).refused().since_runc(1, 2),
        case("scheduler: real time").config(|c| {
            // Where the machine has groups of real time (v1), a new group has none of it.
            c["process"]["scheduler"] = json!({"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
        }).prints("awk '{print $41}' /proc/1/stat", "5").since_runc(1, 2),
        case("priority of input and output").config(|c| c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 6}))
            .prints("ionice -p $$", "best-effort: prio 6").since_runc(1, 2),
        case("priority of a class that there is not").config(|c| c["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_X", "priority": 6}))
            .refused().since_runc(1, 2),
        case("processors to start on, and to run on").config(|c| c["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "0-1"}))
            .prints("grep Cpus_allowed_list /proc/self/status | cut -f2", "0-1"),
        case("another machine to look like").config(|c| c["linux"]["personality"] = json!({"domain": "LINUX32"})).prints("uname -m", "i686").since_runc(1, 2),
        case("a personality that there is not").config(|c| c["linux"]["personality"] = json!({"domain": "BSD"})).refused().since_runc(1, 2),
    ]);
}

#[test]
fn names_settings_and_labels() {
    check(vec![
        case("host name")
            .config(|c| c["hostname"] = json!("box"))
            .prints("hostname; cat /proc/sys/kernel/hostname", "box\nbox"),
        case("a host name without a namespace for it")
            .config(|c| {
                c["hostname"] = json!("box");
                drop(c["linux"]["namespaces"].as_array_mut().unwrap().remove(2));
            })
            .refused(),
        case("domain name")
            .config(|c| c["domainname"] = json!("example"))
            .prints("cat /proc/sys/kernel/domainname", "example")
            .since_runc(1, 2),
        case("settings of its own namespaces")
            .config(|c| {
                c["linux"]["sysctl"] =
                    json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "11"})
            })
            .prints(
                "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max",
                "1\n1\n11",
            ),
        case("a setting with slashes")
            .config(|c| c["linux"]["sysctl"] = json!({"net/ipv4/ip_forward": "1"}))
            .prints("cat /proc/sys/net/ipv4/ip_forward", "1"),
        case("a setting of the whole machine")
            .config(|c| c["linux"]["sysctl"] = json!({"kernel.panic": "1"}))
            .refused(),
        case("a setting of the hosts network")
            .config(|c| {
                c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
                drop(c["linux"]["namespaces"].as_array_mut().unwrap().pop());
            })
            .refused(),
        case("a setting that there is not")
            .config(|c| c["linux"]["sysctl"] = json!({"net.ipv4.nothing": "1"}))
            .refused(),
        case("a value that the kernel refuses")
            .config(|c| c["linux"]["sysctl"] = json!({"net.ipv4.ip_default_ttl": "x"}))
            .refused(),
        case("an apparmor profile on a kernel without")
            .config(|c| c["process"]["apparmorProfile"] = json!("docker-default"))
            .refused(),
        case("a selinux label on a kernel without")
            .config(|c| c["process"]["selinuxLabel"] = json!("system_u:system_r:container_t:s0"))
            .refused(),
        case("a label of mounts on a kernel without selinux")
            .config(|c| c["linux"]["mountLabel"] = json!("system_u:object_r:container_file_t:s0"))
            .refused(),
        case("resctrl on a machine without")
            .config(|c| c["linux"]["intelRdt"] = json!({"closID": "x", "l3CacheSchema": "L3:0=f"}))
            .refused(),
    ]);
}

#[test]
fn versions_of_the_specification() {
    let version = |name, version: &'static str| case(name).config(move |c| c["ociVersion"] = json!(version));
    check(vec![
        version("the first", "1.0.0").prints("echo x", "x"),
        version("the one that we write", "1.2.0").prints("echo x", "x"),
        version("a later one of the same kind", "1.99.0").prints("echo x", "x"),
        version("one that is not out yet", "1.0.2-dev").prints("echo x", "x"),
        version("a whole new one", "2.0.0").refused().but(Runc, "", "1.1 does not look at it"),
        version("none", "").refused().but(Runc, "", ""),
        version("no version", "one").refused().but(Runc, "", ""),
    ]);
}
