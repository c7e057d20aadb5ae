//! `printf`: Go's verbs, <https://pkg.go.dev/fmt>, as far as the values of a template have a use for them.

use super::value::{Data, Shape, Value, kind};
use serde_json::Value as Json;

/// `%-08.3f`: how a value is to be written.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    sharp: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// Wider than any terminal: nobody gains by more, and it would take memory.
const MAX_WIDTH: usize = 10_000;

/// Fills the verbs of `format` in.
pub fn printf(format: &str, arguments: &[Value<'_>], data: &Data<'_>) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| "-+0# ".contains(*c)) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '0' => verb.zero = true,
                '#' => verb.sharp = true,
                _ => verb.space = true,
            }
        }
        verb.width = number(&mut chars, &mut arguments).unwrap_or(0);
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(number(&mut chars, &mut arguments).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match arguments.next() {
                None => out.push_str(&format!("%!{letter}(MISSING)")),
                Some(value) => out.push_str(&verb.write(letter, value, data)),
            },
        }
    }
    let extra: Vec<String> =
        arguments.map(|value| format!("{}={}", kind(value.json(data)), value.text(data))).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// A width: digits, or `*`, which takes it from the arguments.
fn number<'v, 'd: 'v>(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    arguments: &mut impl Iterator<Item = &'v Value<'d>>,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let Some(Value::Json(json, _)) = arguments.next() else { return None };
        return json.as_u64().map(|value| (value as usize).min(MAX_WIDTH));
    }
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits.parse().ok().map(|value: usize| value.min(MAX_WIDTH))
}

impl Verb {
    fn write(&self, letter: char, value: &Value<'_>, data: &Data<'_>) -> String {
        let json = value.json(data);
        let written = match (letter, json) {
            ('T', _) => Some(kind(json).to_owned()),
            ('s', Json::Number(_)) if matches!(value, Value::Json(_, Shape::Duration)) => Some(value.text(data)),
            ('v', _) => Some(self.signed(json, value.text(data))),
            ('d', Json::Number(number)) if !number.is_f64() => Some(self.signed(json, number.to_string())),
            ('t', Json::Bool(value)) => Some(value.to_string()),
            ('f' | 'F' | 'e' | 'g', Json::Number(number)) if number.is_f64() => {
                let float = number.as_f64().unwrap_or_default();
                Some(match (letter, self.precision) {
                    ('e', precision) => exponent(float, precision.unwrap_or(6)),
                    ('g', None) => float.to_string(),
                    (_, precision) => format!("{float:.*}", precision.unwrap_or(6)),
                })
            }
            ('x' | 'X' | 'o' | 'b' | 'c' | 'q' | 'U', Json::Number(number)) if !number.is_f64() => {
                self.integer(letter, number.as_i64().unwrap_or_default())
            }
            ('s' | 'q' | 'x' | 'X', Json::String(text)) => Some(self.string(letter, text)),
            ('s', Json::Array(_) | Json::Object(_)) => Some(value.text(data)),
            ('q', Json::Array(list)) => {
                let quoted = list.iter().map(|item| item.as_str().map_or(item.to_string(), |text| format!("{text:?}")));
                Some(format!("[{}]", quoted.collect::<Vec<_>>().join(" ")))
            }
            _ => None,
        };
        let wrong = || match json {
            Json::Null => format!("%!{letter}(<nil>)"),
            _ => format!("%!{letter}({}={})", kind(json), value.text(data)),
        };
        self.padded(written.unwrap_or_else(wrong), json.is_number())
    }

    fn signed(&self, json: &Json, text: String) -> String {
        match (json.is_number() && !text.starts_with('-'), self.plus, self.space) {
            (true, true, _) => format!("+{text}"),
            (true, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn integer(&self, letter: char, value: i64) -> Option<String> {
        let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
        let prefix = |text: &'static str| if self.sharp { text } else { "" };
        let character = u32::try_from(value).ok().and_then(char::from_u32);
        Some(match letter {
            'x' => format!("{sign}{}{size:x}", prefix("0x")),
            'X' => format!("{sign}{}{size:X}", prefix("0X")),
            'o' => format!("{sign}{}{size:o}", prefix("0")),
            'b' => format!("{sign}{}{size:b}", prefix("0b")),
            'c' => character?.to_string(),
            'q' => format!("{:?}", character?),
            _ => format!("U+{size:04X}"),
        })
    }

    fn string(&self, letter: char, text: &str) -> String {
        let cut: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
        match letter {
            'q' => super::super::quote::go(&cut),
            'x' => cut.bytes().map(|byte| format!("{byte:02x}")).collect(),
            'X' => cut.bytes().map(|byte| format!("{byte:02X}")).collect(),
            _ => cut,
        }
    }

    fn padded(&self, text: String, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match () {
            () if missing == 0 => text,
            () if self.minus => text + &" ".repeat(missing),
            () if self.zero && is_number => {
                let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
                format!("{sign}{}{digits}", "0".repeat(missing))
            }
            () if self.zero => "0".repeat(missing) + &text,
            () => " ".repeat(missing) + &text,
        }
    }
}

/// C's `%e`: an exponent of two digits at least, with its sign.
fn exponent(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    format!("{digits}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}
