//! Filling a template in: each piece writes its text, with the dot and the variables as they are at that point.

use super::funcs;
use super::node::{Branch, Command, Node, Pipe, Term, TermKind};
use super::value::{Data, Shape, Value};
use super::{Error, Result};
use serde_json::Value as Json;
use std::borrow::Cow;

/// Fills a template in; `text` is what it was parsed from.
pub fn execute(text: &str, nodes: &[Node], data: &Data<'_>) -> Result<String> {
    let mut run = Run { text, data, out: String::new(), variables: vec![("$".to_owned(), Value::Root)] };
    run.list(nodes, &Value::Root)?;
    Ok(run.out)
}

/// What is to be done after a piece.
#[derive(PartialEq, Eq)]
enum Flow {
    GoOn,
    Break,
    Continue,
}

struct Run<'t, 'd> {
    text: &'t str,
    data: &'d Data<'d>,
    out: String,
    variables: Vec<(String, Value<'d>)>,
}

impl<'d> Run<'_, 'd> {
    fn error(&self, at: usize, context: impl ToString, message: impl AsRef<str>) -> Error {
        Error::execute(self.text, at, &context.to_string(), message.as_ref())
    }

    fn list(&mut self, nodes: &[Node], dot: &Value<'d>) -> Result<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => {
                    self.out.push_str(text);
                    Flow::GoOn
                }
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.variables.is_empty() {
                        self.out.push_str(&value.text(self.data));
                    }
                    Flow::GoOn
                }
                Node::Branch { kind, pipe, body, otherwise } => {
                    let known = self.variables.len();
                    let flow = self.branch(*kind, pipe, body, otherwise, dot);
                    self.variables.truncate(known);
                    flow?
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::GoOn {
                return Ok(flow);
            }
        }
        Ok(Flow::GoOn)
    }

    fn branch(
        &mut self,
        kind: Branch,
        pipe: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value<'d>,
    ) -> Result<Flow> {
        if kind == Branch::Range {
            return self.range(pipe, body, otherwise, dot);
        }
        let value = self.pipe(pipe, dot)?;
        match (value.is_true(), kind) {
            (true, Branch::With) => self.list(body, &value),
            (true, _) => self.list(body, dot),
            (false, _) => self.list(otherwise, dot),
        }
    }

    /// Each element with its key, once.
    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Value<'d>) -> Result<Flow> {
        // The variables are set by each turn.
        let silent = Pipe { variables: Vec::new(), ..pipe.clone() };
        let over = self.pipe(&silent, dot)?;
        let elements = self.elements(&over).ok_or_else(|| {
            let at = pipe.commands.first().map_or(0, |command| command.at);
            self.error(at, &silent, format!("range can't iterate over {}", over.text(self.data)))
        })?;
        if elements.is_empty() {
            return self.list(otherwise, dot);
        }
        for (key, element) in elements {
            let known = self.variables.len();
            match &pipe.variables[..] {
                [one] => self.set(pipe, one, element.clone()),
                [first, second] => {
                    self.set(pipe, first, key);
                    self.set(pipe, second, element.clone());
                }
                _ => {}
            }
            let flow = self.list(body, &element)?;
            self.variables.truncate(known);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::GoOn)
    }

    /// The elements of a list or a map with their keys; `None` of what has none.
    fn elements(&self, over: &Value<'d>) -> Option<Vec<(Value<'d>, Value<'d>)>> {
        // A null within is a list without elements.
        let of = |json: Cow<'d, Json>| match json.is_null() {
            true => Value::Nil { text: "[]", key: String::new() },
            false => Value::Json(json, Shape::Struct),
        };
        let pair = |key: &str, json: Cow<'d, Json>| (Value::new(key), of(json));
        let elements: Vec<_> = match over {
            Value::Nil { .. } => Vec::new(),
            Value::Json(Cow::Borrowed(Json::Array(list)), _) => {
                list.iter().enumerate().map(|(i, json)| (Value::new(i), of(Cow::Borrowed(json)))).collect()
            }
            Value::Json(Cow::Owned(Json::Array(list)), _) => {
                list.iter().cloned().enumerate().map(|(i, json)| (Value::new(i), of(Cow::Owned(json)))).collect()
            }
            Value::Json(Cow::Borrowed(Json::Object(map)), Shape::Map) => {
                return Some(sorted(map.iter().map(|(key, json)| (key, pair(key, Cow::Borrowed(json))))));
            }
            Value::Json(Cow::Owned(Json::Object(map)), Shape::Map) => {
                return Some(sorted(map.iter().map(|(key, json)| (key, pair(key, Cow::Owned(json.clone()))))));
            }
            _ => return None,
        };
        Some(elements)
    }

    fn set(&mut self, pipe: &Pipe, name: &str, value: Value<'d>) {
        let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        match known {
            Some((_, old)) if pipe.assigns => *old = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value<'d>) -> Result<Value<'d>> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value.take())?);
        }
        let value = value.unwrap_or_else(|| Value::none(""));
        for name in &pipe.variables {
            self.set(pipe, name, value.clone());
        }
        Ok(value)
    }

    /// A function with its arguments, or a value by itself; `last` comes from the command before the `|`.
    fn command(&mut self, command: &Command, dot: &Value<'d>, last: Option<Value<'d>>) -> Result<Value<'d>> {
        let Some((first, words)) = command.words.split_first() else { return Ok(Value::none("")) };
        if let TermKind::Function(name) = &first.kind {
            return self.function(command, name, words, dot, last);
        }
        let has_arguments = !words.is_empty() || last.is_some();
        match &first.kind {
            TermKind::Field(names) if has_arguments && self.is_label(names, dot) => {
                let mut arguments = words.iter().map(|word| self.term(word, dot)).collect::<Result<Vec<_>>>()?;
                arguments.extend(last);
                self.label(first, &arguments)
            }
            TermKind::Field(names) | TermKind::Variable(_, names) | TermKind::Chain(_, names) if has_arguments => {
                let name = names.last().map_or("", String::as_str);
                self.term(first, dot)?;
                Err(self.error(first.at, first, format!("{name} is not a method but has arguments")))
            }
            _ if has_arguments => {
                Err(self.error(first.at, first, format!("can't give argument to non-function {first}")))
            }
            TermKind::Nil => Err(self.error(first.at, first, "nil is not a command")),
            _ => self.term(first, dot),
        }
    }

    fn is_label(&self, names: &[String], dot: &Value<'d>) -> bool {
        matches!(names, [name] if name == "Label") && matches!(dot, Value::Root) && self.data.labels.is_some()
    }

    /// `.Label "KEY"`; above a column, the key's last part in words.
    fn label(&self, term: &Term, arguments: &[Value<'d>]) -> Result<Value<'d>> {
        let [key] = arguments else {
            let count = arguments.len();
            return Err(self.error(term.at, term, format!("wrong number of args for Label: want 1 got {count}")));
        };
        let key = key.text(self.data);
        if self.data.heads {
            return Ok(Value::new(key.rsplit('.').next().unwrap_or_default().replace(['-', '_'], " ")));
        }
        let found = self.data.labels.and_then(|labels| labels.get(&key));
        Ok(Value::new(found.cloned().unwrap_or_default()))
    }

    fn function(
        &mut self,
        command: &Command,
        name: &str,
        words: &[Term],
        dot: &Value<'d>,
        last: Option<Value<'d>>,
    ) -> Result<Value<'d>> {
        let mut arguments = Vec::new();
        for word in words {
            let value = self.term(word, dot)?;
            // These two look no further than they have to.
            let decides = match name {
                "and" => !value.is_true(),
                "or" => value.is_true(),
                _ => false,
            };
            if decides {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(last);
        if let Some(wrong) = funcs::wrong_number(name, arguments.len()) {
            let at = command.words.first().map_or(command.at, |word| word.at);
            return Err(self.error(at, name, wrong));
        }
        funcs::call(name, &arguments, self.data)
            .map_err(|message| self.error(command.at, command, format!("error calling {name}: {message}")))
    }

    fn term(&mut self, term: &Term, dot: &Value<'d>) -> Result<Value<'d>> {
        Ok(match &term.kind {
            TermKind::Dot => dot.clone(),
            TermKind::Nil => Value::Nil { text: "<nil>", key: String::new() },
            TermKind::Bool(value) => Value::new(*value),
            TermKind::Int(value, _) => Value::new(*value),
            TermKind::Float(value, _) => Value::new(*value),
            TermKind::Str(value, _) => Value::new(value.as_str()),
            TermKind::Field(names) if self.is_label(names, dot) => return self.label(term, &[]),
            TermKind::Field(names) => self.fields(term, dot.clone(), names)?,
            TermKind::Variable(name, names) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map_or_else(|| Value::none(name), |(_, value)| value.clone());
                self.fields(term, value, names)?
            }
            TermKind::Chain(inner, names) => {
                let value = self.term(inner, dot)?;
                self.fields(term, value, names)?
            }
            TermKind::Pipe(pipe) => self.pipe(pipe, dot)?,
            // A function without arguments, as an argument.
            TermKind::Function(name) => {
                let command = Command { at: term.at, words: vec![term.clone()] };
                self.function(&command, name, &[], dot, None)?
            }
        })
    }

    fn fields(&self, term: &Term, mut value: Value<'d>, names: &[String]) -> Result<Value<'d>> {
        for name in names {
            value = value.field(name, self.data).map_err(|message| self.error(term.at, term, message))?;
        }
        Ok(value)
    }
}

/// Maps are gone through by their keys' order.
fn sorted<'k, T>(pairs: impl Iterator<Item = (&'k String, T)>) -> Vec<T> {
    let map: std::collections::BTreeMap<_, _> = pairs.collect();
    map.into_values().collect()
}
