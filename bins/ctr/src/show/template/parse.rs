//! From tokens to the pieces of a template: Go's text/template, <https://pkg.go.dev/text/template>.

use super::funcs;
use super::lex::{KEYWORDS, Kind, Token, lex};
use super::node::{Branch, Command, Node, Pipe, Term, TermKind};
use super::{Error, Result};

/// How deep parentheses and branches may be nested; nobody writes that by hand.
const MAX_DEPTH: usize = 100;

/// Reads a template.
///
/// # Errors
/// Go's words, as in `template: :1: function "nosuch" not defined`.
pub fn parse(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { text, tokens: lex(text)?, next: 0, variables: vec!["$".to_owned()], depth: 0, ranges: 0 };
    let (nodes, end) = parser.list()?;
    match end {
        Until::Nothing => Ok(nodes),
        Until::End => Err(parser.error("unexpected {{end}}")),
        Until::Else => Err(parser.error("unexpected {{else}}")),
    }
}

/// What ends a list of pieces.
#[derive(PartialEq, Eq)]
enum Until {
    Nothing,
    End,
    Else,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// The variables that are known here.
    variables: Vec<String>,
    depth: usize,
    /// How many ranges we are within.
    ranges: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        // The last token is the end, which is never passed.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek_past_space(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_past_space(&mut self) -> Token {
        self.peek_past_space();
        self.take()
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::parse(self.text, self.peek().at, message)
    }

    fn unexpected(&self, token: &Token, context: &str) -> Error {
        let shown = match &token.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Word(word) if KEYWORDS.contains(&word.as_str()) => format!("<{word}>"),
            _ if token.text.chars().count() > 10 => format!("{:?}...", token.text.chars().take(10).collect::<String>()),
            _ => format!("{:?}", token.text),
        };
        Error::parse(self.text, token.at, format!("unexpected {shown} in {context}"))
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        let done = work(self);
        self.depth -= 1;
        done
    }

    /// Pieces up to the end of the template, to `{{end}}` or to `{{else`, of which the word is taken.
    fn list(&mut self) -> Result<(Vec<Node>, Until)> {
        let mut nodes = Vec::new();
        loop {
            let token = self.take();
            match token.kind {
                Kind::Text(text) => nodes.push(Node::Text(text)),
                Kind::End => {
                    self.next -= 1;
                    return Ok((nodes, Until::Nothing));
                }
                _ => match self.peek_past_space().kind.clone() {
                    Kind::Word(word) if word == "end" => {
                        self.take();
                        self.close("end")?;
                        return Ok((nodes, Until::End));
                    }
                    Kind::Word(word) if word == "else" => {
                        self.take();
                        return Ok((nodes, Until::Else));
                    }
                    _ => nodes.push(self.action()?),
                },
            }
        }
    }

    fn close(&mut self, context: &str) -> Result<()> {
        let token = self.take_past_space();
        if token.kind == Kind::Close { Ok(()) } else { Err(self.unexpected(&token, context)) }
    }

    fn action(&mut self) -> Result<Node> {
        let word = match &self.peek().kind {
            Kind::Word(word) => word.clone(),
            _ => String::new(),
        };
        let branch = match word.as_str() {
            "if" => Branch::If,
            "with" => Branch::With,
            "range" => Branch::Range,
            "break" | "continue" => {
                self.take();
                if self.ranges == 0 {
                    return Err(self.error(format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                self.close(&format!("{{{{{word}}}}}"))?;
                return Ok(if word == "break" { Node::Break } else { Node::Continue });
            }
            "block" | "define" | "template" => {
                return Err(self.error(format!("{word}: there is one template only, and it calls no other")));
            }
            _ => return Ok(Node::Action(self.pipe("command", &Kind::Close, false)?)),
        };
        self.take();
        let known = self.variables.len();
        let node = self.deeper(|parser| parser.branch(branch, &word));
        self.variables.truncate(known);
        node
    }

    fn branch(&mut self, kind: Branch, context: &str) -> Result<Node> {
        let pipe = self.pipe(context, &Kind::Close, kind == Branch::Range)?;
        self.ranges += usize::from(kind == Branch::Range);
        let (body, mut end) = self.list()?;
        self.ranges -= usize::from(kind == Branch::Range);
        let mut otherwise = Vec::new();
        if end == Until::Else {
            let again = match &self.peek_past_space().kind {
                Kind::Word(word) if kind == Branch::If && word == "if" => Some(Branch::If),
                Kind::Word(word) if kind == Branch::With && word == "with" => Some(Branch::With),
                _ => None,
            };
            if let Some(kind) = again {
                // `{{else if}}` shares its `{{end}}` with the branch before.
                self.take();
                otherwise.push(self.deeper(|parser| parser.branch(kind, context))?);
                return Ok(Node::Branch { kind, pipe, body, otherwise });
            }
            self.close("else")?;
            (otherwise, end) = self.list()?;
        }
        match end {
            Until::End => Ok(Node::Branch { kind, pipe, body, otherwise }),
            Until::Else => Err(self.error("expected end; found {{else}}")),
            Until::Nothing => Err(self.error("unexpected EOF")),
        }
    }

    /// A pipeline, its end too; with `two`, it may declare two variables.
    fn pipe(&mut self, context: &str, end: &Kind, two: bool) -> Result<Pipe> {
        let (variables, assigns) = self.declarations(context, two)?;
        let mut commands = Vec::new();
        loop {
            let token = self.peek_past_space().clone();
            if token.kind == *end {
                self.take();
                break;
            }
            match token.kind {
                Kind::Close | Kind::RightParen | Kind::End => return Err(self.unexpected(&token, context)),
                _ => commands.push(self.command()?),
            }
        }
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        // `{{.A | 3}}`: what a value goes to must be able to take one.
        for (number, command) in commands.iter().enumerate().skip(1) {
            if !matches!(
                command.words.first().map(|word| &word.kind),
                Some(TermKind::Function(_) | TermKind::Field(_) | TermKind::Variable(..) | TermKind::Chain(..))
            ) {
                let text = format!("non executable command in pipeline stage {}", number + 1);
                return Err(self.error(text));
            }
        }
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipe { variables, assigns, commands })
    }

    fn declarations(&mut self, context: &str, two: bool) -> Result<(Vec<String>, bool)> {
        let start = self.next;
        let mut variables = Vec::new();
        while let Kind::Variable(name) = self.peek_past_space().kind.clone() {
            self.take();
            variables.push(name);
            match self.peek_past_space().kind {
                Kind::Declare | Kind::Assign => {
                    let assigns = self.take().kind == Kind::Assign;
                    let unknown = variables.iter().find(|name| assigns && !self.variables.contains(name));
                    if let Some(name) = unknown {
                        return Err(self.error(format!("undefined variable {name:?}")));
                    }
                    return Ok((variables, assigns));
                }
                Kind::Comma if two && variables.len() == 1 => {
                    self.take();
                }
                Kind::Comma if variables.len() == 1 => {
                    return Err(self.error(format!("too many declarations in {context}")));
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    /// A command, and the `|` after it.
    fn command(&mut self) -> Result<Command> {
        let mut command = Command { at: self.peek_past_space().at, words: Vec::new() };
        loop {
            self.peek_past_space();
            if let Some(word) = self.operand()? {
                command.words.push(word);
            }
            let token = self.peek().clone();
            match token.kind {
                Kind::Space => {}
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.take();
                    break;
                }
                _ => return Err(self.unexpected(&token, "operand")),
            }
        }
        if command.words.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(command)
    }

    /// A word, and fields of it.
    fn operand(&mut self) -> Result<Option<Term>> {
        let Some(mut term) = self.term()? else { return Ok(None) };
        let at = self.peek().at;
        let mut names = Vec::new();
        while let Kind::Field(name) = self.peek().kind.clone() {
            self.take();
            names.push(name);
        }
        if names.is_empty() {
            return Ok(Some(term));
        }
        // As in Go, a chain of fields stands where its second name does.
        match &mut term.kind {
            TermKind::Field(first) | TermKind::Variable(_, first) => {
                first.extend(names);
                term.at = at;
            }
            TermKind::Bool(_)
            | TermKind::Int(..)
            | TermKind::Float(..)
            | TermKind::Str(..)
            | TermKind::Nil
            | TermKind::Dot => return Err(self.error(format!("unexpected . after term {:?}", term.to_string()))),
            _ => term = Term { at, kind: TermKind::Chain(Box::new(term), names) },
        }
        Ok(Some(term))
    }

    fn term(&mut self) -> Result<Option<Term>> {
        let Token { kind, at, text } = self.peek().clone();
        let kind = match kind {
            Kind::Dot => TermKind::Dot,
            Kind::Field(name) => TermKind::Field(vec![name]),
            Kind::Variable(name) if !self.variables.contains(&name) => {
                return Err(self.error(format!("undefined variable {name:?}")));
            }
            Kind::Variable(name) => TermKind::Variable(name, Vec::new()),
            Kind::Word(word) => match word.as_str() {
                "true" => TermKind::Bool(true),
                "false" => TermKind::Bool(false),
                "nil" => TermKind::Nil,
                word if KEYWORDS.contains(&word) => return Ok(None),
                word if funcs::is_known(word) => TermKind::Function(word.to_owned()),
                word => return Err(self.error(format!("function {word:?} not defined"))),
            },
            Kind::Str(value) => TermKind::Str(value, text),
            Kind::Char(c) => TermKind::Int(i64::from(u32::from(c)), text),
            Kind::Number(number) => match number_of(&number) {
                Some(kind) => kind,
                None => return Err(self.error(format!("bad number syntax: {number:?}"))),
            },
            Kind::LeftParen => {
                self.take();
                let pipe = self.deeper(|parser| parser.pipe("parenthesized pipeline", &Kind::RightParen, false))?;
                return Ok(Some(Term { at, kind: TermKind::Pipe(Box::new(pipe)) }));
            }
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(Term { at, kind }))
    }
}

/// Go's numbers: `12`, `-3`, `0x1f`, `0b1`, `0o7`, `1_000`, `1.5`, `1e3`.
fn number_of(text: &str) -> Option<TermKind> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let based = [("0x", 16), ("0b", 2), ("0o", 8)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, radix)));
    let (digits, radix) = based.unwrap_or((digits, 10));
    if let Ok(value) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        return Some(TermKind::Int(value, text.to_owned()));
    }
    let value: f64 = plain.parse().ok()?;
    Some(TermKind::Float(value, text.to_owned()))
}
