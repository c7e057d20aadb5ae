//! What a template consists of. Each piece can be written as it would stand in a template, for errors that name it.

use std::fmt::{Display, Formatter, Result};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Text as it is.
    Text(String),
    /// `{{pipeline}}`: its value is printed, unless it sets a variable.
    Action(Pipe),
    /// `if`, `with`, `range`.
    Branch {
        /// Which.
        kind: Branch,
        /// What decides.
        pipe: Pipe,
        /// What comes when it is not empty.
        body: Vec<Node>,
        /// And otherwise.
        otherwise: Vec<Node>,
    },
    /// `break` out of the range.
    Break,
    /// `continue` with the range's next.
    Continue,
}

/// The kinds of branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// `{{if pipeline}}`
    If,
    /// `{{with pipeline}}`: it is the dot within.
    With,
    /// `{{range pipeline}}`: each element is the dot once.
    Range,
}

/// `$x := command | command`
#[derive(Debug, Clone, PartialEq)]
pub struct Pipe {
    /// The variables that it makes, or sets.
    pub variables: Vec<String>,
    /// Whether it sets variables that are there already: `=`.
    pub assigns: bool,
    /// Its commands; the value of each is the last argument of the next.
    pub commands: Vec<Command>,
}

/// A function or a value, with arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Where it stands.
    pub at: usize,
    /// What it is, and its arguments.
    pub words: Vec<Term>,
}

/// One word of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Where it stands.
    pub at: usize,
    /// What it is.
    pub kind: TermKind,
}

/// What a word can be.
#[derive(Debug, Clone, PartialEq)]
pub enum TermKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// A whole number, and how it was written.
    Int(i64, String),
    /// Another number, and how it was written.
    Float(f64, String),
    /// A string, and how it was written.
    Str(String, String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`
    Variable(String, Vec<String>),
    /// `(pipeline).A.B`
    Chain(Box<Term>, Vec<String>),
    /// `(pipeline)`
    Pipe(Box<Pipe>),
    /// A function's name.
    Function(String),
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        let commands: Vec<String> = self.commands.iter().map(Command::to_string).collect();
        f.write_str(&commands.join(" | "))
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let words: Vec<String> = self.words.iter().map(Term::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let fields = |names: &[String]| names.iter().map(|name| format!(".{name}")).collect::<String>();
        match &self.kind {
            TermKind::Dot => f.write_str("."),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Bool(value) => write!(f, "{value}"),
            TermKind::Int(_, text) | TermKind::Float(_, text) | TermKind::Str(_, text) => f.write_str(text),
            TermKind::Field(names) => f.write_str(&fields(names)),
            TermKind::Variable(name, names) => write!(f, "{name}{}", fields(names)),
            TermKind::Chain(term, names) => write!(f, "{term}{}", fields(names)),
            TermKind::Pipe(pipe) => write!(f, "({pipe})"),
            TermKind::Function(name) => f.write_str(name),
        }
    }
}

impl Node {
    /// Calls `visit` with the names of each chain of fields in the template, and with none for a dot by itself.
    pub fn each_field(nodes: &[Node], visit: &mut impl FnMut(&[String])) {
        for node in nodes {
            match node {
                Node::Action(pipe) => pipe.each_field(visit),
                Node::Branch { pipe, body, otherwise, .. } => {
                    pipe.each_field(visit);
                    Node::each_field(body, visit);
                    Node::each_field(otherwise, visit);
                }
                Node::Text(_) | Node::Break | Node::Continue => {}
            }
        }
    }
}

impl Pipe {
    fn each_field(&self, visit: &mut impl FnMut(&[String])) {
        self.commands.iter().flat_map(|command| &command.words).for_each(|word| word.each_field(visit));
    }
}

impl Term {
    fn each_field(&self, visit: &mut impl FnMut(&[String])) {
        match &self.kind {
            TermKind::Dot => visit(&[]),
            TermKind::Field(names) | TermKind::Variable(_, names) => visit(names),
            TermKind::Chain(term, _) => term.each_field(visit),
            TermKind::Pipe(pipe) => pipe.each_field(visit),
            _ => {}
        }
    }
}
