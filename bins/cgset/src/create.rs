//! Making a group, and putting processes into it.

use crate::group::Group;
use crate::limits::Limits;
use crate::{delegate, delete, make_room, processes, v1, v2};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What is done beside that.
#[derive(Debug, Default)]
pub struct Options {
    /// Whose it is to be: a user, and a group of users.
    pub owner: Option<(u32, Option<u32>)>,
    /// Whether processes in the groups above are moved out of the way.
    pub make_room: bool,
}

/// Makes the group in every tree, sets its limits, and puts `pids` in: in this order, so that no process is ever
/// in it without them. Then tells it (`answer`).
///
/// # Errors
/// A group that is there already with processes in it. Whatever fails, what was made is removed again. That goes for
/// the answer too: a caller that is not there to take it will not remove the group either.
pub fn create(
    group: &Group,
    limits: &Limits,
    options: &Options,
    pids: &[i32],
    answer: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut made = Vec::new();
    let result = make(group, limits, options, &mut made)
        .and_then(|()| pids.iter().try_for_each(|pid| group.add(*pid)))
        .and_then(|()| answer());
    if result.is_err() {
        delete::undo(group, &made);
    }
    result
}

fn make(group: &Group, limits: &Limits, options: &Options, made: &mut Vec<PathBuf>) -> Result<()> {
    if options.make_room {
        make_room::make_room(group, made)?;
    }
    v1::create(group, made)?;
    v2::create(group, &limits.v2_controllers(group), made)?;
    for folder in group.folders() {
        // A folder that was made just now is empty.
        if !made.contains(&folder) && !processes::in_folder(&folder)?.is_empty() {
            bail!(
                "make group {}: it is there already, and processes are in it (change it with: cgset set)",
                group.name
            );
        }
    }
    limits.apply(group)?;
    match options.owner {
        Some((user, owner_group)) => delegate::delegate(group, user, owner_group),
        None => Ok(()),
    }
}

/// Changes the limits of a group that is there, and puts `pids` in.
pub fn set(group: &Group, limits: &Limits, pids: &[i32]) -> Result<()> {
    group.require()?;
    v2::create(group, &limits.v2_controllers(group), &mut Vec::new())?;
    limits.apply(group)?;
    pids.iter().try_for_each(|pid| group.add(*pid))
}

/// Puts processes into a group that is there.
pub fn add(group: &Group, pids: &[i32]) -> Result<()> {
    group.require()?;
    pids.iter().try_for_each(|pid| group.add(*pid))
}

/// Becomes `command`, inside the group. Returns only with the error.
pub fn exec(group: &Group, command: &[OsString]) -> anyhow::Error {
    let Some((program, args)) = command.split_first() else {
        return anyhow::anyhow!("run a program in {}: none was named", group.name);
    };
    // 0 is whoever writes it.
    if let Err(error) = group.require().and_then(|()| group.add(0)) {
        return error;
    }
    let error = Command::new(program).args(args).exec();
    let code = match error.kind() {
        io::ErrorKind::NotFound => layout::exit::NOT_FOUND,
        _ => layout::exit::CANNOT_EXECUTE,
    };
    layout::exit::coded(code, format!("run {}: {error}", program.display()))
}
