//! `list`: the containers of a root folder.

use super::state::View;
use crate::cli::{List, ListFormat};
use crate::state::all;
use anyhow::{Context, Result};
use std::path::Path;

/// `list`. A container whose state cannot be read is passed over: it may be going away at this moment.
pub fn list(root: &Path, options: &List) -> Result<String> {
    let views: Vec<View> =
        all(root)?.iter().filter_map(|dir| dir.state().ok().map(|state| View::of(dir, state))).collect();
    if options.quiet {
        return Ok(views.iter().map(|view| view.id.as_str()).collect::<Vec<_>>().join("\n"));
    }
    if options.json || options.format == ListFormat::Json {
        return serde_json::to_string(&views).context("encode the list");
    }
    Ok(table(&views))
}

/// Columns as wide as their widest word, and three spaces between: runc's table.
fn table(views: &[View]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned).to_vec();
    let row = |view: &View| {
        vec![
            view.id.clone(),
            view.pid.to_string(),
            view.status.as_str().to_owned(),
            view.bundle.display().to_string(),
            view.created.clone(),
            view.owner.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(views.iter().map(row)).collect();
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        if column < 5 { widest.max(9) + 3 } else { 0 }
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Status;

    #[test]
    fn the_table_is_runcs() {
        let view = View {
            oci_version: "1.2.0".to_owned(),
            id: "t1".to_owned(),
            pid: 16450,
            status: Status::Created,
            bundle: "/bundle".into(),
            rootfs: "/bundle/rootfs".into(),
            created: "2026-11-21T04:03:50.900596546Z".to_owned(),
            annotations: Default::default(),
            owner: "root".to_owned(),
        };
        assert_eq!(
            table(&[view]),
            "ID          PID         STATUS      BUNDLE      CREATED                          OWNER\n\
             t1          16450       created     /bundle     2026-11-21T04:03:50.900596546Z   root"
        );
    }
}
