//! `eq ne lt le gt ge`: only what is of one kind can be compared.

use serde_json::Value as Json;
use std::cmp::Ordering;

/// What can be compared.
#[derive(Debug, PartialEq, PartialOrd)]
enum Basic<'a> {
    Nil,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(&'a str),
}

fn basic(json: &Json) -> Result<Basic<'_>, String> {
    Ok(match json {
        Json::Null => Basic::Nil,
        Json::Bool(value) => Basic::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Basic::Int(value.into()),
            (None, Some(value)) => Basic::Int(value.into()),
            _ => Basic::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Basic::Text(text),
        Json::Array(_) | Json::Object(_) => return Err(format!("non-comparable type {}", super::value::kind(json))),
    })
}

/// Whether the first is equal to one of the others.
pub fn is_equal(first: &Json, others: &[&Json]) -> Result<bool, String> {
    let first = basic(first)?;
    for other in others {
        let other = basic(other)?;
        let same_kind = std::mem::discriminant(&first) == std::mem::discriminant(&other);
        match (&first, &other) {
            _ if same_kind && first == other => return Ok(true),
            // What is not there is equal to nothing else.
            (Basic::Nil, _) | (_, Basic::Nil) => {}
            _ if same_kind => {}
            _ => return Err("incompatible types for comparison".to_owned()),
        }
    }
    Ok(false)
}

/// Which of two comes first.
pub fn order(a: &Json, b: &Json) -> Result<Ordering, String> {
    let (a, b) = (basic(a)?, basic(b)?);
    match (&a, &b) {
        (Basic::Int(_), Basic::Int(_)) | (Basic::Float(_), Basic::Float(_)) | (Basic::Text(_), Basic::Text(_)) => {
            Ok(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
        }
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Nil, _) | (_, Basic::Nil) => {
            Err("invalid type for comparison".to_owned())
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}
