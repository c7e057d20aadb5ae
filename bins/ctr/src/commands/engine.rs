//! What the commands have in common: where everything is, and whether to do or to explain.

use crate::create::wrong::WrongOption;
use crate::plan::Plan;
use crate::plan::Step;
use anyhow::Result;
use layout::container::Container;
use layout::tool::Call;
use layout::{Layout, events, exit};

/// What a command works with.
pub struct Engine {
    /// Where everything is.
    pub layout: Layout,
    /// Whether to print what would be done (`--explain`).
    pub explain: bool,
}

/// Prints what a command that changes nothing has to explain.
pub fn reads_only() -> Result<u8> {
    println!("# this command calls no tool and changes nothing: it reads the layout (lessons/LAYOUT.md) and prints");
    Ok(0)
}

impl Engine {
    /// Does something with each container and prints the name as it was given when the work says so. One that
    /// fails does not keep the others from it; the exit code is then 1, as docker's.
    pub fn each(&self, names: &[String], mut work: impl FnMut(&Container) -> Result<bool>) -> Result<u8> {
        self.each_name(names, |name| work(&self.find(name)?))
    }

    /// As [`Engine::each`], for work that finds the containers itself.
    pub fn each_name(&self, names: &[String], mut work: impl FnMut(&str) -> Result<bool>) -> Result<u8> {
        let mut code = 0;
        for name in names {
            match work(name) {
                Ok(true) => println!("{name}"),
                Ok(false) => {}
                Err(error) => {
                    eprintln!("ctr: {error:#}");
                    code = 1;
                }
            }
        }
        Ok(code)
    }

    /// A container by its name or id.
    pub fn find(&self, name: &str) -> Result<Container> {
        self.layout.find_container(name).and_then(|id| self.layout.read_container(&id))
    }

    /// A command that one tool does as a whole, with our streams.
    pub fn pass_on(&self, call: Call) -> Result<u8> {
        let mut plan = Plan::default();
        plan.push(Step::Foreground(call));
        if self.explain {
            return self.explained(&plan);
        }
        Ok(failed_as_docker(plan.execute(&self.layout)?))
    }

    pub fn carry_out(&self, plan: &Plan) -> Result<bool> {
        if self.explain {
            self.explained(plan)?;
            return Ok(false);
        }
        plan.execute(&self.layout).map(|_| true)
    }

    pub fn explained(&self, plan: &Plan) -> Result<u8> {
        print!("{}", plan.to_script(&self.layout));
        Ok(0)
    }

    /// Notes what was done to a container, if it was done: it ended with 0, and was not only explained.
    pub fn note(&self, container: &Container, action: &str, code: u8) {
        if code == 0 && !self.explain {
            events::of_container(&self.layout, container, action, &[]);
        }
    }

    /// A command that only shows something. It fails with 1, unless its error says another code.
    pub fn show(&self, print: impl FnOnce(&Layout) -> Result<u8>) -> Result<u8> {
        if self.explain {
            return reads_only();
        }
        print(&self.layout).map_err(|error| match error.downcast_ref::<exit::Coded>() {
            Some(_) => error,
            None => ends_with_one(error),
        })
    }
}

/// Docker ends most commands that fail with 1; 125 is for `run`, where the other codes are the container's, and for options
/// that cannot be read.
pub fn ends_with_one(error: anyhow::Error) -> anyhow::Error {
    if error.is::<WrongOption>() {
        return error;
    }
    exit::coded(1, format!("{error:#}"))
}

/// The tools fail with 125; docker's commands about images do with 1.
pub fn failed_as_docker(code: u8) -> u8 {
    if code == exit::TOOL { 1 } else { code }
}
