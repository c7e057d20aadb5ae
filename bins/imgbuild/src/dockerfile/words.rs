//! How an instruction's arguments are cut into words. Each word comes with its offset, for error messages.

/// A word and the byte that it starts at.
pub type Word<'a> = (usize, &'a str);

/// Words between white space; quotes mean nothing.
pub fn plain(text: &str) -> Vec<Word<'_>> {
    let start_of = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(|word| (start_of(word), word)).collect()
}

/// Words between white space that is neither quoted nor escaped. Quotes and escapes stay in the words: they are
/// taken out when variables are expanded ([`crate::variables`]).
pub fn quoted(text: &str, escape: char) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(start.take().map(|start| (start, &text[start..at])));
            continue;
        }
        start.get_or_insert(at);
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            // Nothing is special between single quotes.
            (Some('\''), _) => {}
            (_, c) if c == escape => drop(chars.next()),
            _ => {}
        }
    }
    words.extend(start.map(|start| (start, &text[start..])));
    words
}

/// The exec form: a JSON array of strings.
#[derive(Debug, PartialEq, Eq)]
pub enum ExecForm {
    /// It is one.
    Strings(Vec<String>),
    /// It is an array, of other things too: docker refuses it.
    NotStrings,
    /// It is no JSON array: docker takes it as the shell form, even if it starts with a bracket.
    Absent,
}

/// Reads the exec form.
pub fn exec_form(text: &str) -> ExecForm {
    if !text.trim_start().starts_with('[') {
        return ExecForm::Absent;
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text) else { return ExecForm::Absent };
    let strings: Option<Vec<String>> = values.into_iter().map(|v| v.as_str().map(str::to_owned)).collect();
    strings.map_or(ExecForm::NotStrings, ExecForm::Strings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        quoted(text, '\\').into_iter().map(|(_, word)| word).collect()
    }

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        assert_eq!(split(r#"a=b c="d e" f=g\ h"#), ["a=b", r#"c="d e""#, r"f=g\ h"]);
        assert_eq!(split(r#"'a "b' "c'd" "e\" f" g"#), [r#"'a "b'"#, r#""c'd""#, r#""e\" f""#, "g"]);
        assert_eq!(split(r"'a\' b"), [r"'a\'", "b"], "no escapes between single quotes");
        assert_eq!(split("  "), Vec::<&str>::new());
        assert_eq!(split(r#""open end"#), [r#""open end"#]);
        assert_eq!(split(r"end\"), [r"end\"]);
    }

    #[test]
    fn the_exec_form_is_json() {
        assert_eq!(exec_form(r#" ["a", "b\"c"] "#), ExecForm::Strings(vec!["a".into(), "b\"c".into()]));
        assert_eq!(exec_form("[]"), ExecForm::Strings(vec![]));
        assert_eq!(exec_form(r#"["a", 3]"#), ExecForm::NotStrings);
        for text in ["['a']", "[ -f x ] && y", "a", r#"["a"] x"#, r#"["a",]"#] {
            assert_eq!(exec_form(text), ExecForm::Absent, "{text}");
        }
    }

    proptest! {
        #[test]
        fn words_are_pieces_of_the_text_in_order(text in "[ab'\"\\\\ \t]{0,24}") {
            let mut end = 0;
            for (start, word) in quoted(&text, '\\') {
                prop_assert!(start >= end && !word.is_empty());
                prop_assert!(text[end..start].trim().is_empty());
                prop_assert_eq!(&text[start..start + word.len()], word);
                end = start + word.len();
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
