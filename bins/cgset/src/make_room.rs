//! Making room on v2: a group that is to pass controllers on may hold no process itself (cgroup-v2.rst, "No Internal
//! Process Constraint"). Those that are in one on the way down go into a group `init` inside it, as they do by hand in every
//! container that runs containers. The top of the tree is free of that rule, unless it is a container's.

use crate::group::{Group, errno};
use crate::processes;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The group that they go to.
const ROOM: &str = "init";

/// Moves the processes of the groups above `group` out of the way. What had to be made is added to `made`.
pub fn make_room(group: &Group, made: &mut Vec<PathBuf>) -> Result<()> {
    let (Some(top), Some(folder)) = (group.hierarchy.unified.clone(), group.unified_folder()) else { return Ok(()) };
    let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&top));
    // The real top of the tree has no such file: it may hold processes, and threads of the kernel that could not go.
    let mut bound: Vec<&Path> = above.filter(|above| above.join("cgroup.type").exists()).collect();
    bound.reverse();
    for above in bound {
        if !processes::in_folder(above)?.is_empty() {
            move_all(group, above, made)?;
        }
    }
    Ok(())
}

fn move_all(group: &Group, from: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    let room = from.join(ROOM);
    group.make_folder(&room, made)?;
    // What is born while we move is met in the next round.
    for _ in 0..100 {
        let pids = processes::in_folder(from)?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            if pid == 0 {
                bail!("make room in {}: a process in it is in a pid namespace out of sight", from.display());
            }
            match group.write(&room.join("cgroup.procs"), &pid.to_string()) {
                // It has ended by itself.
                Err(error) if errno(&error) == Some(libc::ESRCH) => {}
                result => result.with_context(|| format!("make room in {}", from.display()))?,
            }
        }
    }
    bail!("make room in {}: its processes make new ones faster than they can be moved", from.display())
}
