//! The first pass: physical lines become logical ones.
//!
//! A line that ends in the escape character goes on in the next; comment lines vanish, also from the middle of
//! a continued line; the parser directives at the top (`# escape=`, `# syntax=`) are read. Each logical line
//! remembers where its pieces came from, so that an error can name line and column.

use super::error::{ParseError, Position};

/// One instruction's text, continuation lines joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The joined text, without the white space around it.
    pub text: String,
    /// Where its physical lines begin in `text` and in the file, in order.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    offset: usize,
    start: Position,
}

impl Line {
    /// The number of the line that the instruction starts on.
    pub fn number(&self) -> usize {
        self.position(0).line
    }

    /// Where the byte at `offset` of the text stands in the file.
    pub fn position(&self, offset: usize) -> Position {
        let piece = match self.pieces.iter().rev().find(|piece| piece.offset <= offset) {
            Some(piece) => piece,
            None => return Position { line: 1, column: 1 },
        };
        let before = self.text.get(piece.offset..offset.min(self.text.len())).unwrap_or_default();
        Position { line: piece.start.line, column: piece.start.column + before.chars().count() }
    }

    /// Adds a physical line's text that starts at `start` in the file.
    fn push(&mut self, text: &str, start: Position) {
        self.pieces.push(Piece { offset: self.text.len(), start });
        self.text.push_str(text);
    }
}

/// What the first pass yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexed {
    /// The logical lines.
    pub lines: Vec<Line>,
    /// The escape character: `\`, or a backtick when the file says so.
    pub escape: char,
    /// The first physical lines of instructions that have empty lines in them.
    pub empty_continuations: Vec<usize>,
}

/// Reads the text of a Dockerfile.
///
/// # Errors
/// A bad or repeated `# escape=` directive.
pub fn lex(source: &str) -> Result<Lexed, ParseError> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let escape = read_directives(source)?;
    let mut lexed = Lexed { lines: Vec::new(), escape, empty_continuations: Vec::new() };
    let mut open: Option<Line> = None;
    for (index, physical) in source.lines().enumerate() {
        if physical.trim_start().starts_with('#') {
            continue;
        }
        if physical.trim().is_empty() {
            // Docker goes on past empty lines inside of an instruction, and warns.
            if let Some(number) = open.as_ref().map(Line::number)
                && lexed.empty_continuations.last() != Some(&number)
            {
                lexed.empty_continuations.push(number);
            }
            continue;
        }
        // White space before an instruction does not count; inside of one (a shell's string) it may.
        let indent = if open.is_none() { physical.len() - physical.trim_start().len() } else { 0 };
        let start = Position { line: index + 1, column: physical[..indent].chars().count() + 1 };
        let (text, continued) = strip_continuation(&physical[indent..], escape);
        let mut line = open.take().unwrap_or(Line { text: String::new(), pieces: Vec::new() });
        line.push(text, start);
        if continued {
            open = Some(line);
        } else {
            lexed.lines.push(finish(line));
        }
    }
    lexed.lines.extend(open.map(finish));
    Ok(lexed)
}

fn finish(mut line: Line) -> Line {
    line.text.truncate(line.text.trim_end().len());
    line
}

/// Cuts off the escape character at the end, if it is one: white space may follow it, and two of them in a
/// row stand for one in the text.
fn strip_continuation(physical: &str, escape: char) -> (&str, bool) {
    match physical.trim_end_matches([' ', '\t', '\r']).strip_suffix(escape) {
        Some(text) if !text.ends_with(escape) => (text, true),
        _ => (physical, false),
    }
}

/// Reads `# name=value` lines from the top of the file, until the first line that is none.
fn read_directives(source: &str) -> Result<char, ParseError> {
    let mut escape = None;
    for (index, physical) in source.lines().enumerate() {
        let Some((name, value)) = directive(physical) else { break };
        let position = Position { line: index + 1, column: 1 };
        match name.to_ascii_lowercase().as_str() {
            "escape" if escape.is_some() => {
                return Err(ParseError::at(position, "only one escape parser directive can be used"));
            }
            "escape" => {
                let message = || format!("invalid escape token {value:?}: it must be ` or \\");
                escape = match value {
                    "\\" => Some('\\'),
                    "`" => Some('`'),
                    _ => return Err(ParseError::at(position, message())),
                };
            }
            // Which frontend to fetch, which lint rules to apply: there is one frontend here.
            "syntax" | "check" => {}
            _ => break,
        }
    }
    Ok(escape.unwrap_or('\\'))
}

fn directive(physical: &str) -> Option<(&str, &str)> {
    let (name, value) = physical.trim().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_name && !value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        lex(source).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn continued_lines_are_joined_and_comments_vanish() {
        assert_eq!(texts("# c\n\nFROM a\n  RUN x \\\n   y \\\n# inner\n  z  \n"), ["FROM a", "RUN x    y   z"]);
        assert_eq!(texts("FROM a\r\nRUN b \\\r\n c\r\n"), ["FROM a", "RUN b  c"]);
        assert_eq!(texts("\u{feff}FROM a"), ["FROM a"]);
        assert_eq!(texts("RUN a \\ \t\n b"), ["RUN a  b"], "white space may follow the escape character");
        assert_eq!(texts("RUN a \\"), ["RUN a"], "the file may end in a continuation");
        assert_eq!(texts("RUN a \\\\\nRUN b"), ["RUN a \\\\", "RUN b"], "an escaped escape continues nothing");
    }

    #[test]
    fn empty_lines_inside_of_an_instruction_are_noticed() {
        let lexed = lex("FROM a\nRUN b \\\n\n\n c\n").unwrap();
        assert_eq!(lexed.lines[1].text, "RUN b  c");
        assert_eq!(lexed.empty_continuations, [2]);
    }

    #[test]
    fn the_escape_directive_counts_at_the_top_only() {
        assert_eq!(lex("# escape=`\nRUN a `\n b\\").unwrap().lines[0].text, "RUN a  b\\");
        assert_eq!(lex("# syntax=docker/dockerfile:1\n#escape = `\nRUN a").unwrap().escape, '`');
        assert_eq!(lex("# a comment\n# escape=`\nRUN a").unwrap().escape, '\\');
        assert_eq!(lex("RUN a\n# escape=`").unwrap().escape, '\\');
        assert_eq!(lex("# escape=x").unwrap_err().position, Some(Position { line: 1, column: 1 }));
        assert!(lex("# escape=`\n# escape=`").is_err());
    }

    #[test]
    fn each_byte_knows_where_it_came_from() {
        let lexed = lex("FROM a\n\n  RUN ä \\\n  bc").unwrap();
        let line = &lexed.lines[1];
        assert_eq!((line.number(), line.text.as_str()), (3, "RUN ä   bc"));
        assert_eq!(line.position(0), Position { line: 3, column: 3 });
        assert_eq!(line.position(line.text.find(" ").unwrap()), Position { line: 3, column: 6 });
        assert_eq!(line.position(line.text.find('c').unwrap()), Position { line: 4, column: 4 });
    }
}
