//! `linux.seccomp`: which system calls the process may make (config-linux.md "Seccomp", seccomp(2)).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A filter: the first rule that fits a call decides, and the default where none does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seccomp {
    /// What becomes of a call that no rule is about.
    pub default_action: SeccompAction,
    /// The error that it gets, if that is what becomes of it; EPERM otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_X86_64`, ...: whose system calls are meant; the machine's own where none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_LOG`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The socket that the descriptor for `SCMP_ACT_NOTIFY` is sent to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listener_path: String,
    /// What is sent along.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<SeccompRule>,
    /// Keys not named here.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SeccompAction {
    /// The thread ends.
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A ptrace(2)r is asked.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// It is allowed, and logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Whoever holds the listener decides (seccomp_unotify(2)).
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// What becomes of some calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompRule {
    /// The calls, by name; names that a kernel or an architecture does not know are skipped.
    pub names: Vec<String>,
    /// What becomes of them.
    pub action: SeccompAction,
    /// The error, if that is what becomes of them; EPERM otherwise. For `SCMP_ACT_TRACE` the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// What all has to be true of the arguments; two conditions on the same argument are alternatives, as in libseccomp's callers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<SeccompArg>,
}

/// A condition on one argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompArg {
    /// Which: 0 to 5.
    pub index: u32,
    /// What it is compared with; with `SCMP_CMP_MASKED_EQ` the mask.
    pub value: u64,
    /// With `SCMP_CMP_MASKED_EQ` what the masked argument is compared with.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: SeccompOp,
}

/// A comparison of unsigned numbers of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SeccompOp {
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}
