//! All containers with what is true of them now.

use crate::life;
use anyhow::Result;
use layout::Layout;
use layout::container::{Container, State};

/// A container and its state.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What was asked for.
    pub container: Container,
    /// What became of it.
    pub state: State,
}

/// All containers, newest first. One that cannot be read is told of, and does not hide the rest.
pub fn all(layout: &Layout) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for id in layout.container_ids()? {
        match life::state(layout, &id).and_then(|state| Ok(Listed { container: layout.read_container(&id)?, state })) {
            Ok(one) => listed.push(one),
            // It is removed at this moment.
            Err(_) if !layout.container(&id).exists() => {}
            Err(error) => eprintln!("ctr: list container {}: {error:#}", id.short()),
        }
    }
    listed.sort_by(|a, b| b.container.created.cmp(&a.container.created));
    Ok(listed)
}
