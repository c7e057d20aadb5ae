//! Finding and running a sibling tool: the only way that one tool uses another.

use anyhow::{Context, Result, bail};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The seven tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Tool {
    UnshareRun,
    Cgset,
    Mkrootfs,
    Layerfs,
    Portfwd,
    Imgbuild,
    Ctr,
}

impl Tool {
    /// All of them, in the order of the lessons.
    pub const ALL: [Tool; 7] =
        [Tool::UnshareRun, Tool::Cgset, Tool::Mkrootfs, Tool::Layerfs, Tool::Portfwd, Tool::Imgbuild, Tool::Ctr];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Tool::UnshareRun => "unshare-run",
            Tool::Cgset => "cgset",
            Tool::Mkrootfs => "mkrootfs",
            Tool::Layerfs => "layerfs",
            Tool::Portfwd => "portfwd",
            Tool::Imgbuild => "imgbuild",
            Tool::Ctr => "ctr",
        }
    }

    /// The variable that swaps this tool for another program: `CTR_UNSHARE_RUN=/usr/sbin/runc`.
    pub fn variable(self) -> String {
        let upper = self.name().to_ascii_uppercase().replace('-', "_");
        if self == Tool::Ctr { "CTR_CTR".to_owned() } else { format!("CTR_{upper}") }
    }

    /// Whether another program stands in for this tool.
    pub fn is_swapped(self) -> bool {
        std::env::var_os(self.variable()).is_some_and(|v| !v.is_empty())
    }

    /// Where the program is: its own variable, else `$CTR_BIN_DIR`, else the folder of the running
    /// executable ([`own_program`]), else `PATH`.
    pub fn find(self) -> Result<PathBuf> {
        if let Some(program) = std::env::var_os(self.variable()).filter(|v| !v.is_empty()) {
            return search_path(&program).with_context(|| {
                format!("find {}: {} names {}, which is not there", self.name(), self.variable(), program.display())
            });
        }
        if let Some(dir) = std::env::var_os("CTR_BIN_DIR").filter(|v| !v.is_empty()) {
            let program = Path::new(&dir).join(self.name());
            if !is_program(&program) {
                bail!("find {}: CTR_BIN_DIR names {}, where it is not", self.name(), dir.display());
            }
            return std::path::absolute(&program).with_context(|| format!("resolve {}", program.display()));
        }
        if let Ok(own) = own_program() {
            let sibling = own.with_file_name(self.name());
            if is_program(&sibling) {
                return Ok(sibling);
            }
        }
        search_path(OsStr::new(self.name())).with_context(|| {
            format!(
                "find {}: it is neither beside this program nor in PATH; set CTR_BIN_DIR to its folder",
                self.name()
            )
        })
    }
}

/// The variable that tells a program where its file is, when it does not run from there: `unshare-run` executes itself
/// from a mount that is in no folder.
pub const PROGRAM_VARIABLE: &str = "CTR_PROGRAM";

/// The running program's file.
pub fn own_program() -> std::io::Result<PathBuf> {
    match std::env::var_os(PROGRAM_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok(path.into()),
        None => std::env::current_exe(),
    }
}

/// Our variables that name relative paths, made absolute: a tool may go to another folder before it uses them.
fn relative_variables() -> Result<Vec<(String, PathBuf)>> {
    let places = ["CTR_ROOT", "CTR_RUN", "CTR_BIN_DIR"].map(str::to_owned);
    let mut found = Vec::new();
    for (is_place, name) in
        places.into_iter().map(|name| (true, name)).chain(Tool::ALL.map(|tool| (false, tool.variable())))
    {
        let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty()) else { continue };
        let path = Path::new(&value);
        // A bare program name is no path: it is sought in PATH.
        if path.is_relative() && (is_place || path.components().count() > 1) {
            found.push((name, std::path::absolute(path).with_context(|| format!("resolve {}", path.display()))?));
        }
    }
    Ok(found)
}

/// Looks a program up as a shell would: a path is taken as it is, a name is sought in `PATH`.
fn search_path(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return is_program(path).then(|| std::path::absolute(path).ok()).flatten();
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(path)).find(|p| is_program(p))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// One call of a sibling tool: it can be run, and it can be shown as a line of shell.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which tool.
    pub tool: Tool,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Call {
    /// A call without arguments yet.
    pub fn new(tool: Tool) -> Call {
        Call { tool, args: Vec::new() }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Call {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Call {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// The call as a command that is ready to be spawned.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.tool.find()?);
        command.args(&self.args);
        for (name, path) in relative_variables()? {
            command.env(name, path);
        }
        Ok(command)
    }

    /// Runs it with this process's own standard streams and waits.
    pub fn status(&self) -> Result<ExitStatus> {
        self.command()?.status().with_context(|| format!("run {}", self.tool.name()))
    }

    /// Runs it and gives what it prints to standard output.
    ///
    /// # Errors
    /// When it cannot be run or fails; what it said on standard error is the message, and its exit code is kept.
    pub fn output(&self) -> Result<Vec<u8>> {
        let output =
            self.command()?.stdin(Stdio::null()).output().with_context(|| format!("run {}", self.tool.name()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(crate::exit::coded(crate::exit::from_status(output.status), self.failure(said.trim_end(), output.status)))
    }

    /// Runs it, drops what it prints, and keeps what it says when it fails.
    pub fn run(&self) -> Result<()> {
        self.output().map(drop)
    }

    /// What a failed call says. A tool that calls itself does not say its name twice.
    fn failure(&self, said: &str, status: ExitStatus) -> String {
        if said.is_empty() {
            return format!("{}: {status}", self.tool.name());
        }
        let own = std::env::current_exe().ok().is_some_and(|exe| exe.file_name() == Some(OsStr::new(self.tool.name())));
        let prefix = format!("{}: ", self.tool.name());
        if own { said.strip_prefix(&prefix).unwrap_or(said).to_owned() } else { said.to_owned() }
    }

    /// The call as a line of shell: by the program's plain name, or by the path of what stands in for it.
    pub fn to_shell(&self) -> String {
        let program = match self.tool.find() {
            Ok(path) if self.tool.is_swapped() => quote(&path.to_string_lossy()),
            _ => self.tool.name().to_owned(),
        };
        let words = self.args.iter().map(|arg| quote(&arg.to_string_lossy()));
        std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_shell())
    }
}

/// The lines that a script needs before it calls the tools by name, so that it finds the same programs as we do.
pub fn script_environment() -> String {
    let mut lines = String::new();
    let mut export = |name: &str, value: &str| lines.push_str(&format!("export {name}={value}\n"));
    for tool in Tool::ALL.into_iter().filter(|tool| tool.is_swapped()) {
        if let Ok(program) = tool.find() {
            export(&tool.variable(), &quote(&program.to_string_lossy()));
        }
    }
    // Beside us, or where CTR_BIN_DIR says; only if a shell would not find that by itself.
    let found = Tool::Ctr.find().ok();
    if let Some(dir) = found.as_deref().and_then(Path::parent)
        && search_path(OsStr::new(Tool::Ctr.name())).as_deref().and_then(Path::parent) != Some(dir)
    {
        export("PATH", &format!("{}:$PATH", quote(&dir.to_string_lossy())));
    }
    lines
}

/// A word quoted so that a shell reads back exactly this word.
pub fn quote(word: &str) -> String {
    // The only word that cannot be quoted holds a NUL, which no argument can.
    shlex::try_quote(word).map_or_else(|_| word.replace('\0', ""), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_as_a_shell_would_read_it() {
        let call = Call::new(Tool::Layerfs).arg("mount").args(["a b", "it's", "$HOME", ""]);
        let line = call.to_shell();
        assert_eq!(shlex::split(&line).unwrap(), ["layerfs", "mount", "a b", "it's", "$HOME", ""]);
    }

    #[test]
    fn each_tool_has_a_variable_of_its_own() {
        let names: std::collections::BTreeSet<_> = Tool::ALL.iter().map(|t| t.variable()).collect();
        assert!(names.len() == 7 && names.contains("CTR_UNSHARE_RUN") && names.contains("CTR_IMGBUILD"));
    }
}
