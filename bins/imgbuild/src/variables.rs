//! What `$x` stands for: the small language of words in a Dockerfile.
//!
//! It looks like a shell's and is docker's own: `$x`, `${x}`, `${x:-default}`, `${x:+if set}`, `${x:?complaint}`
//! (without the colon an empty value counts as set), single quotes that keep everything, double quotes that keep
//! white space, and the escape character, which takes the meaning from what follows it. Quotes and escapes that
//! were in the Dockerfile are taken out; what a variable holds is never read again.

use std::iter::Peekable;
use std::str::Chars;

/// Replaces the variables in `word` by what `lookup` gives for their names, and takes quotes and escapes out.
/// A variable that is not set is empty.
///
/// # Errors
/// A quote or brace that is not closed, a modifier that docker does not know, or the complaint of `${x:?...}`.
pub fn expand(word: &str, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expander = Expander { rest: word.chars().peekable(), escape, lookup };
    expander.until(None).map_err(|why| format!("failed to process {word:?}: {why}"))
}

struct Expander<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Expander<'_> {
    /// Reads up to `end`, which is taken off as well, or to the end of the word.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut out = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                c if Some(c) == end => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                '$' => out.push_str(&self.dollar()?),
                c if c == self.escape => out.extend(self.rest.next()),
                c => out.push(c),
            }
        }
        match end {
            Some(end) => Err(format!("syntax error: missing '{end}'")),
            None => Ok(out),
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        for c in self.rest.by_ref() {
            if c == '\'' {
                return Ok(());
            }
            out.push(c);
        }
        Err("unexpected end of statement while looking for matching single-quote".to_owned())
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(()),
                '$' => out.push_str(&self.dollar()?),
                c if c == self.escape => match self.rest.next() {
                    Some(c) if c == '"' || c == '$' || c == self.escape => out.push(c),
                    // Before anything else the escape character is an ordinary one.
                    Some(other) => out.extend([c, other]),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err("unexpected end of statement while looking for matching double-quote".to_owned())
    }

    /// What stands after a `$`.
    fn dollar(&mut self) -> Result<String, String> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braced();
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok((self.lookup)(&name).unwrap_or_default())
    }

    /// The name of a variable; one digit or sign is a name too (a shell's `$1`, `$@`), and never set.
    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(special) = self.rest.next_if(|c| c.is_ascii_digit() || "@*#?-$!".contains(*c)) {
            name.push(special);
            return name;
        }
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    /// What stands after `${`.
    fn braced(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("bad substitution".to_owned());
        }
        let value = (self.lookup)(&name);
        let colon = match self.rest.next() {
            Some('}') => return Ok(value.unwrap_or_default()),
            Some(':') => true,
            Some(modifier @ ('-' | '+' | '?')) => return self.modified(&name, value, modifier),
            Some(other) => return Err(format!("unsupported modifier ({other}) in substitution")),
            None => return Err("syntax error: missing '}'".to_owned()),
        };
        match self.rest.next() {
            // With the colon, a variable that is set to nothing counts as not set.
            Some(modifier) if colon => self.modified(&name, value.filter(|v| !v.is_empty()), modifier),
            _ => Err("syntax error: missing '}'".to_owned()),
        }
    }

    fn modified(&mut self, name: &str, value: Option<String>, modifier: char) -> Result<String, String> {
        let word = self.until(Some('}'))?;
        match (modifier, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('?', Some(value)) => Ok(value),
            ('?', None) if word.is_empty() => Err(format!("{name}: is not allowed to be unset")),
            ('?', None) => Err(format!("{name}: {word}")),
            (other, _) => Err(format!("unsupported modifier ({other}) in substitution")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "x" => Some("X".to_owned()),
            "empty" => Some(String::new()),
            "odd" => Some("'$x\" \\".to_owned()),
            _ => None,
        }
    }

    fn expanded(word: &str) -> Result<String, String> {
        expand(word, '\\', &lookup)
    }

    #[test]
    fn variables_are_replaced() {
        for (word, expected) in [
            ("a$x/b", "aX/b"),
            ("${x}y$nope.", "Xy."),
            ("${x:-d}${empty:-d}${empty-d}${nope:-d}${nope-d}", "Xddd"),
            ("${x:+s}|${empty:+s}|${empty+s}|${nope:+s}", "s||s|"),
            ("${nope:-a${x}'b c'}", "aXb c"),
            ("${x:?no}", "X"),
            ("$", "$"),
            ("a$/b", "a$/b"),
            ("$1$@", ""),
            ("${odd}", "'$x\" \\"),
        ] {
            assert_eq!(expanded(word).as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn quotes_and_escapes_are_taken_out() {
        for (word, expected) in [
            (r"'single $x'", "single $x"),
            (r#""double $x""#, "double X"),
            (r#"un\ quo\"ted"#, "un quo\"ted"),
            (r"\$lit", "$lit"),
            (r#""a\"b\n\$""#, r#"a"b\n$"#),
            (r"'a\'", r"a\"),
            (r"end\", "end"),
        ] {
            assert_eq!(expanded(word).as_deref(), Ok(expected), "{word}");
        }
        assert_eq!(expand("`$x \\\\a", '`', &lookup).as_deref(), Ok("$x \\\\a"));
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for (word, why) in [
            ("${x", "missing '}'"),
            ("${x:-a", "missing '}'"),
            ("'a", "single-quote"),
            ("\"a", "double-quote"),
            ("${}", "bad substitution"),
            ("${x%y}", "unsupported modifier (%)"),
            ("${nope:?give it}", "nope: give it"),
        ] {
            let error = expanded(word).unwrap_err();
            assert!(error.contains(why) && error.starts_with("failed to process "), "{word}: {error}");
        }
    }

    proptest! {
        #[test]
        fn words_without_signs_stay_as_they_are(word in "[a-zA-Z0-9 ./:=,~äß-]{0,16}") {
            prop_assert_eq!(expanded(&word), Ok(word));
        }

        #[test]
        fn single_quotes_keep_everything(inner in "[^']{0,16}") {
            prop_assert_eq!(expanded(&format!("'{inner}'")), Ok(inner));
        }

        #[test]
        fn a_value_is_never_read_again(value in ".{0,16}") {
            let given = value.clone();
            prop_assert_eq!(expand("${v}", '\\', &move |_| Some(given.clone())), Ok(value));
        }
    }
}
