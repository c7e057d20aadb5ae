//! Exit codes and the one line that a tool says when it fails.

use std::process::ExitCode;

/// The tool itself failed (docker's code for "the daemon, or the command line").
pub const TOOL: u8 = 125;
/// The command was found but cannot be executed.
pub const CANNOT_EXECUTE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// The exit code that docker writes down for a container that was not started, where the tool ends with `code`: 128 unless it is
/// the command's fault.
pub fn never_ran(code: u8) -> u8 {
    if code == TOOL { 128 } else { code }
}

/// The exit code of a process that a signal ended.
pub fn from_signal(signal: i32) -> u8 {
    128u8.wrapping_add(signal as u8)
}

/// The exit code of a wait status.
pub fn from_status(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => from_signal(signal),
        (None, None) => TOOL,
    }
}

/// An error with an exit code of its own; any other error is [`TOOL`].
#[derive(Debug)]
pub struct Coded {
    /// What the tool exits with.
    pub code: u8,
    /// What it says.
    pub message: String,
}

impl std::fmt::Display for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Coded {}

/// An error that ends the tool with `code`.
pub fn coded(code: u8, message: impl Into<String>) -> anyhow::Error {
    Coded { code, message: message.into() }.into()
}

/// An error that ends the tool with `code` and without a word: another tool, which it called, has said why.
pub fn silent(code: u8) -> anyhow::Error {
    coded(code, "")
}

/// Whether an error is a [`silent`] one.
pub fn is_silent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Coded>().is_some_and(|coded| coded.message.is_empty())
}

/// The code that an error asks for.
pub fn code_of(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<Coded>().map_or(TOOL, |coded| coded.code)
}

/// Has this process end quietly, as any program in a pipe does, when nobody reads what it prints
/// (`ctr ps | head -1`): Rust ignores SIGPIPE, and printing would then be a panic. For the `main` of tools that
/// print; a process that serves sockets must not call it.
pub fn end_with_the_reader() {
    crate::sys::default_sigpipe();
}

/// Prints `tool: operation object: cause` and gives the exit code: the end of every `main`.
pub fn report(tool: &str, result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !is_silent(&error) {
                eprintln!("{tool}: {error:#}");
            }
            ExitCode::from(code_of(&error))
        }
    }
}
