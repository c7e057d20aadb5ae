//! `ps`: the processes of a container, as the host's ps(1) shows them.

use super::pause::find;
use crate::cli::{ListFormat, Ps};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// Lists them.
pub fn ps(root: &Path, options: &Ps) -> Result<String> {
    let what = || format!("ps of {}", options.id);
    let (state, _) = find(root, &options.id).with_context(what)?;
    let pids = state.cgroup_folders.processes().with_context(what)?;
    if options.format == ListFormat::Json {
        return serde_json::to_string(&pids).with_context(what);
    }
    table(&pids, &options.options).with_context(what)
}

fn table(pids: &BTreeSet<i32>, options: &[String]) -> Result<String> {
    let mut command = Command::new("ps");
    match options.is_empty() {
        true => command.arg("-ef"),
        false => command.args(options),
    };
    let output = command.stdin(Stdio::null()).output().context("run ps")?;
    if !output.status.success() {
        bail!("ps: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    of_these(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The heading of a table of processes, and the lines with these numbers in the column of that name.
fn of_these(text: &str, pids: &BTreeSet<i32>) -> Result<String> {
    let heading = text.lines().next().unwrap_or_default();
    let Some(column) = heading.split_whitespace().position(|name| name == "PID") else {
        bail!("ps prints no column PID, which tells whose line it is");
    };
    let ours = |line: &&str| {
        let number = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        number.is_some_and(|number| pids.contains(&number))
    };
    let lines = text.lines().skip(1).filter(ours);
    Ok(std::iter::once(heading).chain(lines).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_says_which_lines_are_ours() {
        let text = "USER  PID COMMAND\nroot    1 init 7\nroot    7 sh\n7       3 ps\n";
        assert_eq!(of_these(text, &BTreeSet::from([7, 9])).unwrap(), "USER  PID COMMAND\nroot    7 sh");
        assert!(of_these("USER COMMAND\nroot sh\n", &BTreeSet::from([7])).is_err());
    }
}
