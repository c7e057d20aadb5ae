//! Architectures, and the numbers that their system calls have.
//!
//! One machine runs programs of several: an x86-64 kernel those of i386 and, by a bit in the call's number, x32.
//! A filter that forgot one could be walked around, as the same call has another number there.

use anyhow::{Result, bail};
use syscalls::{aarch64, arm, x86, x86_64};

/// An architecture of a machine that this tool is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Architecture {
    X86_64,
    X86,
    /// x86-64 with 32-bit pointers. To the kernel its calls are those of x86-64, with [`X32_BIT`] set.
    X32,
    Aarch64,
    Arm,
}

/// The bit in the number of an x32 call.
pub const X32_BIT: u32 = 1 << 30;

/// The calls that x32 has at 512 and above, as they pass pointers in memory.
const X32_OWN: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The calls of x86-64 that x32 does not have.
const X32_NONE: [&str; 12] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uretprobe",
    "uselib",
    "vserver",
];

/// Where the calls of arm alone start.
const ARM_PRIVATE: u32 = 0xf_0001;

/// They, in this order.
const ARM_OWN: [&str; 6] = ["breakpoint", "cacheflush", "usr26", "usr32", "set_tls", "get_tls"];

/// Those whose calls no machine that this tool is built for can make.
const FOREIGN: [&str; 18] = [
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

impl Architecture {
    /// This machine's.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Architecture = Architecture::X86_64;
    /// This machine's.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Architecture = Architecture::Aarch64;

    /// Those of a profile that we know calls of. The others are names that say nothing here.
    pub fn listed(names: &[String]) -> Result<Vec<Architecture>> {
        let mut listed = Vec::new();
        for name in names {
            match name.as_str() {
                "SCMP_ARCH_NATIVE" => listed.push(Architecture::NATIVE),
                "SCMP_ARCH_X86_64" => listed.push(Architecture::X86_64),
                "SCMP_ARCH_X86" => listed.push(Architecture::X86),
                "SCMP_ARCH_X32" => listed.push(Architecture::X32),
                "SCMP_ARCH_AARCH64" => listed.push(Architecture::Aarch64),
                "SCMP_ARCH_ARM" => listed.push(Architecture::Arm),
                foreign if FOREIGN.contains(&foreign) => {}
                unknown => bail!("architectures: {unknown:?} is not known"),
            }
        }
        Ok(listed)
    }

    /// What the kernel calls it (linux/audit.h).
    pub fn audit(self) -> u32 {
        match self {
            Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::Arm => 0x4000_0028,
        }
    }

    /// What else a kernel of this architecture runs programs of.
    pub fn relatives(self) -> &'static [Architecture] {
        match self {
            Architecture::X86_64 => &[Architecture::X86],
            Architecture::Aarch64 => &[Architecture::Arm],
            _ => &[],
        }
    }

    /// Whether its arguments have 64 bits. Those of x32 are in the same registers as those of x86-64.
    pub fn is_wide(self) -> bool {
        !matches!(self, Architecture::X86 | Architecture::Arm)
    }

    /// Its calls: number and name, by rising number.
    pub fn calls(self) -> Box<dyn Iterator<Item = (u32, &'static str)>> {
        match self {
            Architecture::X86_64 => table(x86_64::Sysno::last().id(), |n| Some(x86_64::Sysno::new(n)?.name())),
            Architecture::X86 => table(x86::Sysno::last().id(), |n| Some(x86::Sysno::new(n)?.name())),
            Architecture::Aarch64 => table(aarch64::Sysno::last().id(), |n| Some(aarch64::Sysno::new(n)?.name())),
            Architecture::Arm => {
                let shared = table(arm::Sysno::last().id(), |n| Some(arm::Sysno::new(n)?.name()));
                Box::new(shared.chain((ARM_PRIVATE..).zip(ARM_OWN)))
            }
            Architecture::X32 => {
                let shared = Architecture::X86_64.calls();
                let shared = shared.filter(|(_, name)| !X32_OWN.contains(name) && !X32_NONE.contains(name));
                Box::new(shared.chain((512..).zip(X32_OWN)).map(|(number, name)| (X32_BIT | number, name)))
            }
        }
    }
}

/// The calls with the numbers 0 to `last`, as profiles name them.
fn table(last: i32, name: fn(usize) -> Option<&'static str>) -> Box<dyn Iterator<Item = (u32, &'static str)>> {
    let called = |name| match name {
        "r#break" => "break",      // a word of Rust's
        "fstatat" => "newfstatat", // on arm64; everywhere else, and in libseccomp, it has this name
        other => other,
    };
    Box::new((0..=last as usize).filter_map(move |number| Some((number as u32, called(name(number)?)))))
}
