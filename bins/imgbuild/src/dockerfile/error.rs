//! What is wrong in a Dockerfile, and where.

use std::fmt;

/// A place in the file: both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Why a Dockerfile cannot be read. Prints docker's words; whoever reports it puts `file:line:column:` before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Where; nowhere in particular when something is missing from the whole file.
    pub position: Option<Position>,
    /// What.
    pub message: String,
}

impl ParseError {
    /// An error at a place.
    pub fn at(position: Position, message: impl Into<String>) -> ParseError {
        ParseError { position: Some(position), message: message.into() }
    }

    /// An error of the file as a whole.
    pub fn of_file(message: impl Into<String>) -> ParseError {
        ParseError { position: None, message: message.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "dockerfile parse error line {}: {}", position.line, self.message),
            None => write!(f, "failed to parse Dockerfile: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}
