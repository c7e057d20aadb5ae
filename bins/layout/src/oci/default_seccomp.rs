//! Docker's system call filter: what a container may ask the kernel for unless told otherwise (seccomp(2)).
//!
//! It is a list of what is allowed: some 380 calls that programs need and that namespaces, groups and capabilities hold in
//! check. What is not on it fails as if not permitted: what reaches past namespaces (`bpf`, `keyctl`, `add_key`), what
//! reconfigures the machine (`kexec_load`, `swapon`), and what has a long history of holes (`io_uring_setup`,
//! `userfaultfd`). A capability brings the calls along that are good for nothing without it.
//!
//! The facts are those of <https://github.com/moby/profiles>, of 2026.

use super::runtime::{Seccomp, SeccompAction, SeccompArg, SeccompOp, SeccompRule};
use serde_json::Map;

/// Files, folders, and what can be done with open ones.
const FILES: &str = "
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync
    fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
    ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listmount listxattr listxattrat llistxattr _llseek
    lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2
    pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename
    renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount statx
    symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat
    utimensat_time64 utimes vmsplice write writev";

/// Waiting for several things at once.
const WAITING: &str = "
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect pipe pipe2 poll ppoll
    ppoll_time64 pselect6 pselect6_time64 select signalfd signalfd4";

/// Memory of its own.
const MEMORY: &str = "
    brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages";

/// Programs, processes and threads. (`clone` is below.)
const PROCESSES: &str = "
    capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
    getcpu getpgid getpgrp getpid getppid getpriority getrandom getrlimit get_robust_list getrusage getsid get_thread_area
    gettid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open
    pidfd_send_signal prctl prlimit64 process_mrelease process_vm_readv process_vm_writev ptrace restart_syscall
    riscv_hwprobe rseq sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield seccomp setpgid setpriority setrlimit set_robust_list setsid set_thread_area
    set_tid_address sysinfo times ugetrlimit uname uretprobe vfork wait4 waitid waitpid";

/// Who it is; capabilities rule what may be changed.
const IDENTITY: &str = "
    getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid getresuid32
    getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32
    setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32";

/// Signals.
const SIGNALS: &str = "
    kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
    rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn tgkill tkill";

/// Sockets. (`socket` is below.)
const SOCKETS: &str = "
    accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg send
    sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair";

/// Queues, semaphores and memory shared by name, all in the IPC namespace.
const IPC: &str = "
    ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget";

/// Clocks and timers.
const TIME: &str = "
    adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64";

/// What a capability allows beyond that.
const WITH_CAPABILITY: [(&str, &str); 14] = [
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
         lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
         sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYSLOG", "syslog"),
];

/// What only some processors have; by Rust's name of the machine's.
const WITH_PROCESSOR: [(&str, &str); 3] = [
    ("x86_64", "arch_prctl modify_ldt"),
    ("aarch64", "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"),
    ("riscv64", "riscv_flush_icache"),
];

/// The personalities that a program may take on: Linux's own, that of 32-bit machines, both with uname(2) telling
/// an old version, and "which one have I?".
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The families of sockets below this number are all allowed,
const FAMILIES_BELOW: u64 = 12;

/// and of those above only these: not the ones that kernels have given up, nor AF_ALG (38), which lets a program drive the kernel's
/// cryptography, nor AF_VSOCK (40), which reaches the virtual machine's host past all namespaces.
const FAMILIES: [u64; 25] =
    [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

/// All flags of clone(2) that make a namespace.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// The filter of a process with these capabilities in its bounding set, on this machine.
pub fn profile<S: AsRef<str>>(capabilities: &[S]) -> Seccomp {
    let held = |name: &str| capabilities.iter().any(|capability| capability.as_ref() == name);
    let machine = std::env::consts::ARCH;
    let mut names = Vec::new();
    for list in [FILES, WAITING, MEMORY, PROCESSES, IDENTITY, SIGNALS, SOCKETS, IPC, TIME] {
        names.extend(list.split_whitespace());
    }
    for (_, list) in WITH_CAPABILITY.iter().filter(|(capability, _)| held(capability)) {
        names.extend(list.split_whitespace());
    }
    for (_, list) in WITH_PROCESSOR.iter().filter(|(processor, _)| *processor == machine) {
        names.extend(list.split_whitespace());
    }
    let equal = |value: &u64| condition(SeccompOp::Equal, *value, 0);
    // Conditions on one argument are alternatives.
    let families = [condition(SeccompOp::Less, FAMILIES_BELOW, 0)].into_iter().chain(FAMILIES.iter().map(equal));
    let mut syscalls = vec![
        allow(&names, Vec::new()),
        allow(&["socket"], families.collect()),
        allow(&["personality"], PERSONALITIES.iter().map(equal).collect()),
    ];
    if !held("CAP_SYS_ADMIN") {
        syscalls.push(allow(&["clone"], vec![condition(SeccompOp::MaskedEqual, NEW_NAMESPACES, 0)]));
        // Its flags are in memory, where a filter cannot look. C libraries go back to clone when there is no clone3.
        let rule = allow(&["clone3"], Vec::new());
        syscalls.push(SeccompRule { action: SeccompAction::Errno, errno_ret: Some(libc::ENOSYS as u32), ..rule });
    }
    Seccomp {
        default_action: SeccompAction::Errno,
        default_errno_ret: Some(libc::EPERM as u32),
        architectures: architectures(machine).iter().map(|name| (*name).to_owned()).collect(),
        flags: Vec::new(),
        listener_path: String::new(),
        listener_metadata: String::new(),
        syscalls,
        extra: Map::new(),
    }
}

/// The machine's own architecture first, then those that it runs programs of.
fn architectures(machine: &str) -> &'static [&'static str] {
    match machine {
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "riscv64" => &["SCMP_ARCH_RISCV64"],
        _ => &[],
    }
}

fn allow(names: &[&str], args: Vec<SeccompArg>) -> SeccompRule {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    SeccompRule { names, action: SeccompAction::Allow, errno_ret: None, args }
}

/// On the first argument.
fn condition(op: SeccompOp, value: u64, value_two: u64) -> SeccompArg {
    SeccompArg { index: 0, value, value_two, op }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::defaults::CAPABILITIES;

    fn allowed(profile: &Seccomp) -> Vec<&str> {
        profile.syscalls[0].names.iter().map(String::as_str).collect()
    }

    #[test]
    fn no_call_is_listed_twice_and_the_dangerous_ones_not_at_all() {
        let profile = profile(&CAPABILITIES);
        let mut names = allowed(&profile);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for name in
            ["add_key", "bpf", "io_uring_setup", "kexec_load", "keyctl", "mount", "setns", "unshare", "userfaultfd"]
        {
            assert!(!names.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_capability_brings_its_calls_along() {
        let names = |capabilities: &[&str], name: &str| allowed(&profile(capabilities)).contains(&name);
        for (capability, name) in [("CAP_SYS_ADMIN", "mount"), ("CAP_SYSLOG", "syslog"), ("CAP_SYS_CHROOT", "chroot")] {
            assert!(names(&[capability], name) && !names(&[], name), "{name}");
        }
        assert!(names(&["CAP_SYS_ADMIN"], "clone3"));
        let rules = |capabilities: &[&str]| profile(capabilities).syscalls.len();
        assert_eq!((rules(&[]), rules(&["CAP_SYS_ADMIN"])), (5, 3));
    }
}
