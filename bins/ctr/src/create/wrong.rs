//! An option that is written wrong. Docker's client finds it before it asks anybody, and ends with 125 whatever the command;
//! what only the engine behind it can refuse ends with the command's own code.

use anyhow::Result;

/// What is wrong with the form of an option.
#[derive(Debug)]
pub struct WrongOption(String);

impl std::fmt::Display for WrongOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongOption {}

/// Results of reading options.
pub trait OfOption<T> {
    /// The same, and an error is a [`WrongOption`].
    fn of_option(self) -> Result<T>;
}

impl<T> OfOption<T> for Result<T> {
    fn of_option(self) -> Result<T> {
        self.map_err(|error| WrongOption(format!("{error:#}")).into())
    }
}
