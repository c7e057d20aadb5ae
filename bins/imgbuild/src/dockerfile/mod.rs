//! From the text of a Dockerfile to a list of instructions, in two passes.
//!
//! [`lexer`] joins continued lines and drops comments; [`parser`] reads each resulting line as one
//! [`instruction`] ([`reader`], [`words`]). Nothing is looked up or expanded here: what `$x` stands for depends on the steps before
//! (see [`crate::variables`]). The language: <https://docs.docker.com/reference/dockerfile/>.

pub mod error;
pub mod instruction;
pub mod lexer;
pub mod parser;
pub mod reader;
pub mod words;

pub use error::ParseError;
pub use instruction::{Command, Instruction, Transfer};
pub use parser::{Dockerfile, Step, parse};
