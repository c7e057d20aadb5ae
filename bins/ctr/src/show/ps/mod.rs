//! `ctr ps`.

mod filter;
pub mod list;
pub mod ports;
mod row;

pub use filter::parse_filters;
pub use row::{Columns, command_line, local_volumes, network, row, status};

use super::format::{Format, Listing};
use crate::cli;
use anyhow::Result;
use layout::Layout;
use list::Listed;

/// The columns of `docker ps`.
pub static LISTING: Listing = Listing {
    type_name: "*formatter.ContainerContext",
    columns: &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("CreatedAt", "CREATED AT"),
        ("RunningFor", "CREATED"),
        ("Ports", "PORTS"),
        ("State", "STATE"),
        ("Status", "STATUS"),
        ("Size", "SIZE"),
        ("Names", "NAMES"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Networks", "NETWORKS"),
    ],
    words: ["failed to parse template", "failed to execute template"],
};

/// Lists containers, newest first.
pub fn ps(layout: &Layout, args: &cli::Ps) -> Result<u8> {
    let format = Format::choose(&LISTING, args.format.as_deref(), args.quiet)?;
    let filter = filter::Filter::parse(layout, &args.filter)?;
    let last = if args.latest { Some(1) } else { usize::try_from(args.last).ok().filter(|last| *last > 0) };
    let wanted = |listed: &Listed| filter.takes(listed);
    let is_all = args.all || last.is_some() || filter.names_states();
    let mut listed = list::all(layout)?;
    listed.retain(|one| (is_all || one.state.status.is_up()) && wanted(one));
    listed.truncate(last.unwrap_or(usize::MAX));

    let shown = match args.size {
        true => vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"],
        false => vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
    };
    let uses = |field: &str| format.uses(field) || (format.is_table() && shown.contains(&field));
    let columns = Columns::new(layout, uses, args.no_trunc, !listed.is_empty())?;
    let rows: Vec<_> = listed.iter().map(|one| row(layout, one, &columns)).collect();
    format.print(&shown, &rows)?;
    Ok(0)
}
