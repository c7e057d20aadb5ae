//! Go's text/template, as docker's users write it in `--format`, <https://pkg.go.dev/text/template>.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`lex`] | from text to tokens |
//! | [`parse`], [`node`] | from tokens to the pieces of a template |
//! | [`value`] | values, and how Go prints them |
//! | [`funcs`], [`compare`], [`printf`], [`escape`] | functions: Go's own, and those that docker adds |
//! | [`exec`] | filling a template in |
//!
//! Not there: templates that call others (`define`, `template`, `block`), `call`, complex numbers.

mod compare;
mod escape;
mod exec;
mod funcs;
mod lex;
mod node;
mod parse;
mod printf;
#[cfg(test)]
mod tests;
mod value;

pub use value::{Data, Shape, to_json};

use node::Node;

/// A template that was read.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is none; Go's words, with the line.
    pub fn parse(text: &str) -> Result<Template> {
        Ok(Template { text: text.to_owned(), nodes: parse::parse(text)? })
    }

    /// Fills it in.
    ///
    /// # Errors
    /// Go's words, with the place in the template, when it names what is not there.
    pub fn render(&self, data: &Data<'_>) -> Result<String> {
        exec::execute(&self.text, &self.nodes, data)
    }

    /// Whether it names this field of the data, or the data as a whole: what costs something is then found out.
    pub fn uses(&self, field: &str) -> bool {
        let mut used = false;
        Node::each_field(&self.nodes, &mut |names| used |= names.first().is_none_or(|name| name == field));
        used
    }
}

/// What is wrong with a template, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The sentence.
    message: String,
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `template: :LINE: MESSAGE`
    fn parse(text: &str, at: usize, message: impl Into<String>) -> Error {
        let line = 1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count();
        Error { message: format!("template: :{line}: {}", message.into()) }
    }

    /// `template: :LINE:BYTE: executing "" at <CONTEXT>: MESSAGE`
    fn execute(text: &str, at: usize, context: &str, message: &str) -> Error {
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let byte = before.iter().rposition(|byte| *byte == b'\n').map_or(at, |newline| at - newline - 1);
        Error { message: format!("template: :{line}:{byte}: executing \"\" at <{context}>: {message}") }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
