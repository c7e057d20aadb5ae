//! The functions of a template: Go's own, and those that docker adds (`json split join title lower upper pad truncate`).

use super::value::{Data, Shape, Value, kind, to_json};
use super::{compare, escape, printf};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Each function with the fewest and the most arguments that it takes.
const KNOWN: [(&str, usize, usize); 26] = [
    ("and", 1, usize::MAX),
    ("or", 1, usize::MAX),
    ("not", 1, 1),
    ("eq", 1, usize::MAX),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("len", 1, 1),
    ("index", 1, usize::MAX),
    ("slice", 1, usize::MAX),
    ("print", 0, usize::MAX),
    ("printf", 1, usize::MAX),
    ("println", 0, usize::MAX),
    ("html", 0, usize::MAX),
    ("js", 0, usize::MAX),
    ("urlquery", 0, usize::MAX),
    ("json", 1, 1),
    ("split", 2, 2),
    ("join", 2, 2),
    ("title", 1, 1),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("pad", 3, 3),
    ("truncate", 2, 2),
];

/// Whether there is such a function.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, ..)| *known == name)
}

/// What Go says when a function gets too few arguments, or too many.
pub fn wrong_number(name: &str, got: usize) -> Option<String> {
    let (_, fewest, most) = KNOWN.iter().find(|(known, ..)| *known == name)?;
    let wanted = match (got < *fewest, got > *most) {
        (true, _) if most > fewest => format!("at least {fewest}"),
        (true, _) | (_, true) => fewest.to_string(),
        _ => return None,
    };
    Some(format!("wrong number of args for {name}: want {wanted} got {got}"))
}

/// Calls a function.
///
/// # Errors
/// Go's words for what it cannot do.
pub fn call<'d>(name: &str, arguments: &[Value<'d>], data: &Data<'d>) -> Result<Value<'d>, String> {
    let json = |i: usize| arguments.get(i).map_or(&Json::Null, |value| value.json(data));
    let text = || print(arguments, data);
    // Above a table's column its field's head stands as it is.
    let is_dockers = matches!(name, "json" | "split" | "join" | "title" | "lower" | "upper" | "pad" | "truncate");
    if let (true, Some(head)) = (is_dockers && data.heads, arguments.first()) {
        return Ok(head.clone());
    }
    Ok(match name {
        // Whoever was asked here did not decide: it is the last.
        "and" | "or" => arguments.last().cloned().unwrap_or_else(|| Value::none("")),
        "not" => Value::new(!arguments.first().is_some_and(Value::is_true)),
        "eq" | "ne" => {
            let others: Vec<&Json> = (1..arguments.len()).map(json).collect();
            if others.is_empty() {
                return Err("missing argument for comparison".to_owned());
            }
            Value::new(compare::is_equal(json(0), &others)? == (name == "eq"))
        }
        "lt" | "le" | "gt" | "ge" => {
            let order = compare::order(json(0), json(1))?;
            Value::new(match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "len" => Value::new(len(&arguments[0], data)?),
        "index" => index(arguments, data)?,
        "slice" => slice(arguments, data)?,
        "print" => Value::new(print(arguments, data)),
        "println" => {
            let words: Vec<String> = arguments.iter().map(|value| value.text(data)).collect();
            Value::new(format!("{}\n", words.join(" ")))
        }
        "printf" => Value::new(printf::printf(string(json(0))?, &arguments[1..], data)),
        "html" => Value::new(escape::html(&text())),
        "js" => Value::new(escape::js(&text())),
        "urlquery" => Value::new(escape::url_query(&text())),
        "json" => match (&arguments[0], data.document) {
            (Value::Root, Some(document)) => Value::new(to_json(document, false)),
            (Value::Root, None) => Value::new(to_json(data.fields, data.type_name.is_some())),
            (value, _) => Value::new(to_json(value.json(data), false)),
        },
        _ => dockers(name, json)?,
    })
}

/// The functions that docker adds.
fn dockers<'d, 'j>(name: &str, json: impl Fn(usize) -> &'j Json) -> Result<Value<'d>, String> {
    let number = |i: usize| json(i).as_u64().map_or(0, |value| value.min(10_000) as usize);
    let first = || string(json(0));
    Ok(match name {
        "split" => Value::new(first()?.split(string(json(1))?).map(Json::from).collect::<Vec<_>>()),
        "join" => {
            let separator = string(json(1))?;
            let words: Vec<&str> = match json(0) {
                Json::Array(list) => list.iter().map(|item| item.as_str().unwrap_or_default()).collect(),
                Json::Null => Vec::new(),
                other => return Err(format!("wrong type for value; expected []string; got {}", kind(other))),
            };
            Value::new(words.join(separator))
        }
        "lower" => Value::new(first()?.to_lowercase()),
        "upper" => Value::new(first()?.to_uppercase()),
        "title" => Value::new(title(first()?)),
        "pad" => match first()? {
            "" => Value::new(""),
            text => Value::new(format!("{}{text}{}", " ".repeat(number(1)), " ".repeat(number(2)))),
        },
        _ => Value::new(first()?.chars().take(number(1)).collect::<String>()),
    })
}

fn string(json: &Json) -> Result<&str, String> {
    json.as_str().ok_or_else(|| format!("wrong type for value; expected string; got {}", kind(json)))
}

/// Each word's first letter in upper case.
fn title(text: &str) -> String {
    let mut before = ' ';
    let mut out = String::new();
    for c in text.chars() {
        match before.is_alphanumeric() || before == '_' || before == '\'' {
            true => out.push(c),
            false => out.extend(c.to_uppercase()),
        }
        before = c;
    }
    out
}

/// Go's Sprint: a space between two operands of which neither is a string.
fn print(arguments: &[Value<'_>], data: &Data<'_>) -> String {
    let mut out = String::new();
    let mut before_is_text = true;
    for value in arguments {
        let is_text = value.json(data).is_string();
        if !out.is_empty() && !is_text && !before_is_text {
            out.push(' ');
        }
        out.push_str(&value.text(data));
        before_is_text = is_text;
    }
    out
}

fn len(value: &Value<'_>, data: &Data<'_>) -> Result<usize, String> {
    if let (Value::Root, Some(type_name)) = (value, data.type_name) {
        return Err(format!("len of type {}", type_name.trim_start_matches('*')));
    }
    match value.json(data) {
        Json::Null => Ok(0),
        Json::String(text) => Ok(text.len()),
        Json::Array(list) => Ok(list.len()),
        Json::Object(map) => Ok(map.len()),
        other => Err(format!("len of type {}", kind(other))),
    }
}

/// `index LIST 1`, `index MAP "key"`, and deeper.
fn index<'d>(arguments: &[Value<'d>], data: &Data<'d>) -> Result<Value<'d>, String> {
    let Some((first, keys)) = arguments.split_first() else { return Ok(Value::none("")) };
    let mut value = first.clone();
    for key in keys {
        if matches!(value, Value::Nil { .. }) {
            return Err("index of untyped nil".to_owned());
        }
        let key = key.json(data);
        value = match (value.json(data), key) {
            (Json::Object(map), Json::String(key)) if !map.contains_key(key) => {
                // Go gives the zero of what the map is of.
                match map.values().all(Json::is_string) {
                    true => Value::new(""),
                    false => Value::none(key),
                }
            }
            (Json::Object(_), Json::String(key)) => value.field(key, data).map(element)?,
            (Json::Array(list), Json::Number(_)) => {
                let at = place(key, list.len(), false)?;
                element(item(&value, at).unwrap_or_else(|| Value::none("")))
            }
            (Json::String(text), Json::Number(_)) => Value::new(text.as_bytes()[place(key, text.len(), false)?]),
            (Json::Array(_) | Json::String(_), other) => {
                return Err(format!("cannot index slice/array with type {}", kind(other)));
            }
            (Json::Object(_), other) => {
                return Err(format!("value has type {}; should be string", kind(other)));
            }
            (other, _) => return Err(format!("can't index item of type {}", kind(other))),
        };
    }
    Ok(value)
}

/// What is in a map or list is no map itself, unless its own key says so.
fn element(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Json(json, _) if json.is_null() => Value::Nil { text: "<nil>", key: String::new() },
        Value::Json(json, _) => Value::Json(json, Shape::Struct),
        other => other,
    }
}

fn item<'d>(list: &Value<'d>, at: usize) -> Option<Value<'d>> {
    match list {
        Value::Json(Cow::Borrowed(json), _) => Some(Value::Json(Cow::Borrowed(json.get(at)?), Shape::Struct)),
        Value::Json(Cow::Owned(json), _) => Some(Value::Json(Cow::Owned(json.get(at)?.clone()), Shape::Struct)),
        _ => None,
    }
}

/// A place in something of `length` elements, or just behind its end.
fn place(key: &Json, length: usize, end: bool) -> Result<usize, String> {
    let Some(number) = key.as_i64() else { return Err(format!("cannot index slice/array with type {}", kind(key))) };
    let at = usize::try_from(number).ok().filter(|at| *at < length || (end && *at == length));
    at.ok_or_else(|| format!("index out of range: {number}"))
}

/// `slice TEXT 1 3`, as `TEXT[1:3]`.
fn slice<'d>(arguments: &[Value<'d>], data: &Data<'d>) -> Result<Value<'d>, String> {
    let Some((first, bounds)) = arguments.split_first() else { return Ok(Value::none("")) };
    let length = match first.json(data) {
        Json::String(text) => text.len(),
        Json::Array(list) => list.len(),
        Json::Null => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let bound = |i: usize, default: usize| bounds.get(i).map_or(Ok(default), |b| place(b.json(data), length, true));
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match first.json(data) {
        Json::Array(list) => Value::new(list[from..to].to_vec()),
        Json::String(text) => Value::new(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()),
        _ => Value::none(""),
    })
}
