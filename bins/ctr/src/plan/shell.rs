//! A step as the shell says it.

use super::{Step, tell};
use layout::tool::{Call, Tool, quote};
use std::path::Path;

impl Step {
    /// The step as shell.
    pub(super) fn to_shell(&self) -> String {
        let path = |p: &Path| quote(&p.to_string_lossy());
        match self {
            Step::Note(text) => format!("# {text}"),
            Step::MakeDir { path: p, mode } => format!("mkdir -m {mode:o} {}", path(p)),
            Step::MakeDirs(p) => format!("mkdir -p {}", path(p)),
            Step::Mount { kind, device, options, target } => {
                let option = |flag: &str, value: &str| match value {
                    "" => String::new(),
                    value => format!("{flag} {} ", quote(value)),
                };
                format!("mount {}{}{} {}", option("-t", kind), option("-o", options), quote(device), path(target))
            }
            Step::Write { path: p, content, mode: 0o644 } => here_document(content, p),
            Step::Write { path: p, content, mode } => {
                format!("{}\nchmod {mode:o} {}", here_document(content, p), path(p))
            }
            Step::Link { target, link } => format!("ln -s {} {}", path(target), path(link)),
            Step::Rename { from, to } => format!("mv -T {} {}", path(from), path(to)),
            Step::MountTmpfs { place, data } => {
                format!("mount -t tmpfs -o nosuid,nodev,noexec,{data} shm {}", path(place))
            }
            Step::RemoveFile(p) => format!("rm -f {}", path(p)),
            Step::RemoveTree(p) => format!("rm -rf {}", path(p)),
            Step::Call(call) => format!("{} >/dev/null", call.to_shell()),
            Step::Foreground(call) => call.to_shell(),
            Step::Aside(call) => format!("{} >&2", call.to_shell()),
            Step::Between { work, after } => {
                let after: Vec<String> = after.iter().map(Step::to_shell).collect();
                format!("trap {} EXIT\n{}", quote(&after.join("\n")), work.to_shell())
            }
            Step::Print(line) => format!("echo {}", quote(line)),
            Step::Start { id, attach, command } => {
                let how = attach.iter().flat_map(|manner| [vec!["--attach".to_owned()], manner.to_args()].concat());
                Call::new(Tool::Ctr)
                    .args(["shim", "start"])
                    .args(how)
                    .args([id.as_str(), "--"])
                    .args(command)
                    .to_shell()
            }
            Step::Exec { id, exec, wanted } => wanted.to_call(id, exec).to_shell(),
            Step::Tell { id, what, call } => tell(id, *what, call).to_shell(),
            Step::WaitEnd { id, within, otherwise } => {
                let wait = format!("ctr wait {id} >/dev/null");
                match (within, otherwise) {
                    (Some(time), Some(step)) => {
                        // To timeout(1), 0 is for ever.
                        let seconds = time.as_secs_f64().max(0.001);
                        format!("timeout {seconds} {wait} || {{ {}; {wait}; }}", step.to_shell())
                    }
                    _ => wait,
                }
            }
        }
    }
}

/// `cat >FILE <<'END'`: the content as it is, by a delimiter that no line of it is.
fn here_document(content: &str, path: &Path) -> String {
    let file = quote(&path.to_string_lossy());
    if content.is_empty() {
        return format!(": >{file}");
    }
    if !content.ends_with('\n') {
        return format!("printf %s {} >{file}", quote(content));
    }
    let mut end = "END".to_owned();
    while content.lines().any(|line| line == end) {
        end.push('_');
    }
    format!("cat >{file} <<'{end}'\n{content}{end}")
}
