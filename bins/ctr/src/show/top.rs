//! `ctr top`: the host's own `ps`, of which only the container's processes are shown.

use super::table;
use crate::{cli, life, spec};
use anyhow::{Context, Result, bail};
use layout::tool::{Call, Tool};
use layout::{Layout, events, exit};
use std::process::Command;

/// Docker's columns here are wider than elsewhere.
const WIDTH: usize = 20;

/// Prints the processes of a container as the host sees them.
pub fn top(layout: &Layout, args: &cli::Top) -> Result<u8> {
    let id = layout.find_container(args.container())?;
    if !life::state(layout, &id)?.status.is_up() {
        bail!("Container {id} is not running");
    }
    // Asked first: whoever is born meanwhile is not shown, nobody is shown who is a stranger.
    let group = spec::cgroup(&layout.read_container(&id)?);
    let pids = Call::new(Tool::Cgset).args(["processes", "--json", &group]).output()?;
    let pids: Vec<i64> = serde_json::from_slice(&pids).context("read what cgset prints")?;
    let options: Vec<&str> = match args.options() {
        [] => vec!["-ef"],
        options => options.iter().map(String::as_str).collect(),
    };
    let listed = Command::new("ps").args(&options).output().context("run ps")?;
    if !listed.status.success() {
        // It says what is wrong, then how it is used.
        let said = String::from_utf8_lossy(&listed.stderr);
        match said.trim().lines().next() {
            Some(said) => bail!("ps: {said}"),
            None => bail!("ps: exit status {}", exit::from_status(listed.status)),
        }
    }
    events::of_container(layout, &layout.read_container(&id)?, "top", &[]);
    print!("{}", table::render_with(&rows(&String::from_utf8_lossy(&listed.stdout), &pids)?, WIDTH));
    Ok(0)
}

/// The head, and the lines of these processes, by column. What the last column holds may have spaces.
fn rows(listed: &str, pids: &[i64]) -> Result<Vec<Vec<String>>> {
    let mut lines = listed.lines();
    let head: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let Some(column) = head.iter().position(|title| title == "PID") else {
        bail!("Couldn't find PID field in ps output");
    };
    let count = head.len();
    let mut rows = vec![head];
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_ours = words.get(column).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid));
        if is_ours {
            let (cells, rest) = words.split_at(words.len().min(count - 1));
            rows.push(cells.iter().map(|cell| (*cell).to_owned()).chain([rest.join(" ")]).collect());
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_processes_are_shown() {
        let listed = "UID   PID CMD\nroot    7 sleep 1 2\nroot    8 sh\nroot   77 other\n";
        let rows = rows(listed, &[7, 77]).unwrap();
        let expected = [vec!["UID", "PID", "CMD"], vec!["root", "7", "sleep 1 2"], vec!["root", "77", "other"]];
        assert_eq!(rows, expected);
        assert!(super::rows("UID CMD\n", &[]).unwrap_err().to_string().contains("Couldn't find PID"));
    }
}
