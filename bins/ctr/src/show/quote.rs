//! Quoted strings as Go writes them (`%q`): what `docker ps` shows of a command.

use std::fmt::Write;

/// The text in quotes: control characters, quotes and backslashes are escaped, other letters are not.
pub fn go(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || c == '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_cannot_be_read_is_escaped() {
        assert_eq!(super::go("it's \"a\"\n\u{e9}\u{1}\\"), r#""it's \"a\"\né\x01\\""#);
    }
}
