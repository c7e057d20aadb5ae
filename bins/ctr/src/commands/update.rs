//! `update`: other limits for containers that are there.

use super::Engine;
use crate::cli::{LimitOptions, Update};
use crate::update;
use anyhow::{Context, Result};
use layout::container::Container;
use layout::events;
use layout::exit;
use layout::lock::Lock;

impl Engine {
    pub(super) fn update(&self, args: &Update) -> Result<u8> {
        if args.restart.is_none() && args.limits == LimitOptions::default() {
            return Err(exit::coded(1, "you must provide one or more flags when using this command"));
        }
        update::read(args)?;
        let mut warnings = Vec::new();
        let code = self.each(&args.containers, |container| {
            let (done, told) = self.update_one(container, args)?;
            warnings.extend(told);
            Ok(done)
        })?;
        // As docker's: on standard output, and without the word.
        warnings.iter().for_each(|warning| println!("{warning}"));
        Ok(code)
    }

    fn update_one(&self, container: &Container, args: &Update) -> Result<(bool, Vec<String>)> {
        // Two updates, or one and a start, do not mix.
        let _operation = Lock::on_dir(&self.layout.container(&container.id))?
            .with_context(|| format!("No such container: {}", container.name))?;
        let container = self.layout.read_container(&container.id)?;
        let change = update::change(&self.layout, &container, args)?;
        let done = self.carry_out(&change.plan)?;
        if done {
            events::of_container(&self.layout, &container, "update", &[]);
        }
        Ok((done, if done { change.warnings } else { Vec::new() }))
    }
}
