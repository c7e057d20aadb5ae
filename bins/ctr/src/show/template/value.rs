//! Values, and what Go thinks of them: how they are printed, whether they count as empty, which fields they have.

use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a template is filled in with.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Its fields: a JSON object.
    pub fields: &'a Json,
    /// What Go calls its type, for errors; without one it is a map, and errors say which key it lacks.
    pub type_name: Option<&'static str>,
    /// What `.Label "KEY"` finds, where there is such a method.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// What the field of a name is in Go. JSON does not tell a map from a struct, and has one null only.
    pub shape: fn(&str) -> Shape,
    /// What a field is that the JSON leaves out, as Go prints it; `None` for a name that is no field.
    pub absent: fn(&str) -> Option<&'static str>,
    /// What `{{json .}}` prints, where that is not the fields.
    pub document: Option<&'a Json>,
    /// Whether the heads of a table's columns are filled in.
    pub heads: bool,
}

impl<'a> Data<'a> {
    /// A plain map.
    pub fn map(fields: &'a Json) -> Data<'a> {
        let shape = |_: &str| Shape::Map;
        Data { fields, type_name: None, labels: None, shape, absent: |_| None, document: None, heads: false }
    }
}

/// What a JSON value is in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object with keys of its own: `map[a:1 b:2]`.
    Map,
    /// An object of fixed fields: `{1 2}`. A null is a list without elements.
    Struct,
    /// As [`Shape::Struct`], and a null is no object.
    Pointer,
    /// A number of nanoseconds that is printed as a length of time: `1m30s`.
    Duration,
}

/// A value.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// The data itself.
    Root,
    /// A value of the data, or one that was computed.
    Json(Cow<'a, Json>, Shape),
    /// Nothing.
    Nil {
        /// How Go prints it: `<no value>`, `<nil>`, `[]`, `map[]`.
        text: &'static str,
        /// The key that it was sought under.
        key: String,
    },
}

impl<'a> Value<'a> {
    /// A key that a map lacks.
    pub fn none(key: &str) -> Value<'a> {
        Value::Nil { text: "<no value>", key: key.to_owned() }
    }

    /// A computed value.
    pub fn new(value: impl Into<Json>) -> Value<'a> {
        Value::Json(Cow::Owned(value.into()), Shape::Struct)
    }

    /// The JSON value, null where there is none.
    pub fn json<'b>(&'b self, data: &'b Data<'_>) -> &'b Json {
        match self {
            Value::Root => data.fields,
            Value::Json(json, _) => json,
            Value::Nil { .. } => &Json::Null,
        }
    }

    /// Whether `if` takes it.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Root => true,
            Value::Nil { .. } => false,
            Value::Json(json, shape) => match &**json {
                Json::Null => false,
                Json::Bool(value) => *value,
                Json::Number(number) => number.as_f64() != Some(0.0),
                Json::String(text) => !text.is_empty(),
                Json::Array(values) => !values.is_empty(),
                Json::Object(fields) => *shape != Shape::Map || !fields.is_empty(),
            },
        }
    }

    /// As Go prints it.
    pub fn text(&self, data: &Data<'_>) -> String {
        match self {
            Value::Root => text_of(data.fields, Shape::Map, data.shape),
            Value::Nil { text, .. } => (*text).to_owned(),
            Value::Json(json, shape) => text_of(json, *shape, data.shape),
        }
    }

    /// The value of a field.
    ///
    /// # Errors
    /// Go's words: there is no such field.
    pub fn field(&self, name: &str, data: &Data<'a>) -> Result<Value<'a>, String> {
        let found = match self {
            Value::Root => data.fields.get(name).map(Cow::Borrowed),
            Value::Json(Cow::Borrowed(json), _) => json.get(name).map(Cow::Borrowed),
            Value::Json(Cow::Owned(json), _) => json.get(name).cloned().map(Cow::Owned),
            // Nothing more is known of the fields of what is not there.
            Value::Nil { text: "<no value>", .. } => return Ok(Value::none(name)),
            Value::Nil { key, .. } => return Err(format!("map has no entry for key {key:?}")),
        };
        match found {
            Some(json) if json.is_null() => Ok(Value::Nil { text: nil((data.shape)(name)), key: name.to_owned() }),
            Some(json) => Ok(Value::Json(json, (data.shape)(name))),
            None => self.without(name, data),
        }
    }

    fn without(&self, name: &str, data: &Data<'a>) -> Result<Value<'a>, String> {
        match self {
            Value::Json(json, Shape::Map) if json.is_object() => return Ok(Value::none(name)),
            Value::Json(json, _) if !json.is_object() => {
                let kind = if data.type_name.is_some() { kind(json) } else { "interface {}" };
                return Err(format!("can't evaluate field {name} in type {kind}"));
            }
            _ => {}
        }
        match ((data.absent)(name), self, data.type_name) {
            (Some(text), ..) => Ok(Value::Nil { text, key: name.to_owned() }),
            (None, Value::Root, Some(type_name)) => Err(format!("can't evaluate field {name} in type {type_name}")),
            _ => Err(format!("map has no entry for key {name:?}")),
        }
    }
}

/// How Go prints what is not there.
fn nil(shape: Shape) -> &'static str {
    match shape {
        Shape::Map => "map[]",
        Shape::Struct => "[]",
        Shape::Duration => "0s",
        Shape::Pointer => "<nil>",
    }
}

/// What Go calls the type of a value.
pub fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "nil",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int",
        Json::String(_) => "string",
        Json::Array(_) => "[]string",
        Json::Object(_) => "map[string]string",
    }
}

/// A value as Go's `%v` prints it.
fn text_of(json: &Json, shape: Shape, shapes: fn(&str) -> Shape) -> String {
    match json {
        Json::Null => nil(shape).to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| text_of(value, Shape::Struct, shapes)).collect();
            format!("[{}]", values.join(" "))
        }
        Json::Object(fields) if shape == Shape::Map => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields =
                sorted.into_iter().map(|(key, value)| format!("{key}:{}", text_of(value, Shape::Struct, shapes)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| text_of(value, shapes(key), shapes));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
        }
        Json::Number(number) if shape == Shape::Duration => {
            layout::duration::format(number.as_i64().unwrap_or_default())
        }
        // A whole number of this kind has no point.
        Json::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}

/// JSON as docker's `json` writes it, or, `for_html`, as Go's encoder does by itself: what HTML would take for a tag is escaped.
pub fn to_json(value: &Json, for_html: bool) -> String {
    let plain = value.to_string();
    if !for_html {
        return plain;
    }
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            '<' | '>' | '&' => escaped.push_str(&format!("\\u{:04x}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}
