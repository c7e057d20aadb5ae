//! Calls of the runtime: `unshare-run`, or any program with runc's command line in its place.

use layout::paths::ExecDir;
use layout::tool::{Call, Tool};
use layout::{ContainerId, Layout};

/// `unshare-run --root DIR`: how every call of the runtime begins.
pub fn runtime(layout: &Layout) -> Call {
    Call::new(Tool::UnshareRun).arg("--root").arg(layout.runtime_root())
}

/// Makes the container's process, which waits at the door.
pub fn create(layout: &Layout, id: &ContainerId, tty: bool) -> Call {
    let call = runtime(layout)
        .arg("create")
        .arg("--bundle")
        .arg(layout.container(id))
        .arg("--pid-file")
        .arg(layout.pid_file(id));
    let call = if tty { call.arg("--console-socket").arg(layout.console_socket(id)) } else { call };
    call.arg(id.as_str())
}

/// Lets it go.
pub fn start(layout: &Layout, id: &ContainerId) -> Call {
    runtime(layout).args(["start", id.as_str()])
}

/// Sends it a signal, by name without `SIG` or by number.
pub fn kill(layout: &Layout, id: &ContainerId, signal: &str) -> Call {
    runtime(layout).args(["kill", id.as_str(), signal])
}

/// Makes another process in it, which `dir` describes, and leaves that to its own.
pub fn exec(layout: &Layout, id: &ContainerId, dir: &ExecDir, tty: bool) -> Call {
    let call = runtime(layout)
        .args(["exec", "--detach", "--process"])
        .arg(dir.process_json())
        .arg("--pid-file")
        .arg(dir.pid_file());
    let call = if tty { call.arg("--tty").arg("--console-socket").arg(dir.console_socket()) } else { call };
    call.arg(id.as_str())
}

/// Freezes its processes.
pub fn pause(layout: &Layout, id: &ContainerId) -> Call {
    runtime(layout).args(["pause", id.as_str()])
}

/// Lets them go on.
pub fn resume(layout: &Layout, id: &ContainerId) -> Call {
    runtime(layout).args(["resume", id.as_str()])
}

/// Ends and forgets it, whatever is left of it.
pub fn delete(layout: &Layout, id: &ContainerId) -> Call {
    runtime(layout).args(["delete", "--force", id.as_str()])
}

/// A call as a word list, the program's name first: how the shim is told what to run.
pub fn words(call: &Call) -> Vec<String> {
    let args = call.args.iter().map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(call.tool.name().to_owned()).chain(args).collect()
}

/// Such a word list as a call again.
pub fn from_words(words: &[String]) -> anyhow::Result<Call> {
    let (program, args) = words.split_first().ok_or_else(|| anyhow::anyhow!("a command is missing"))?;
    let tool = Tool::ALL.into_iter().find(|tool| tool.name() == program);
    let tool = tool.ok_or_else(|| anyhow::anyhow!("{program} is none of the seven tools"))?;
    Ok(Call::new(tool).args(args))
}

/// The exit code for what a runtime said when it could not start the command. Runtimes exit with 1
/// whatever the reason, so docker goes by these words, and so do we.
pub fn exit_code_of(said: &str) -> u8 {
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    if !has(&["exec:", "exec "]) {
        layout::exit::TOOL
    } else if has(&["executable file not found", "no such file or directory", "No such file or directory"]) {
        layout::exit::NOT_FOUND
    } else if has(&["permission denied", "Permission denied", "is a directory", "Is a directory", "exec format error"])
    {
        layout::exit::CANNOT_EXECUTE
    } else {
        layout::exit::TOOL
    }
}
