//! Patterns of file names as Go's `filepath.Match` reads them, which is what docker's COPY uses; and the same
//! with `**`, which `.dockerignore` has.
//!
//! `*` is any characters but `/`, `?` one of them, `[a-z]` and `[^a-z]` one of a set, the backslash takes the
//! meaning from what follows. `**` is any number of folders. A pattern always matches a whole path.
//! <https://pkg.go.dev/path/filepath#Match>

use anyhow::{Result, bail};

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    One(char),
    /// `?`
    AnyOne,
    /// `[a-z]`; negated: `[^a-z]`
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `*`
    Star,
    /// `**` at the end: anything, slashes too.
    Rest,
    /// `**/`: nothing, or anything that ends in a slash.
    Folders,
}

impl Glob {
    /// Reads a pattern in which `**` is no more than `*`.
    ///
    /// # Errors
    /// A set that is not closed or is empty, a backslash at the end.
    pub fn new(pattern: &str) -> Result<Glob> {
        Self::read(pattern, false)
    }

    /// Reads a pattern in which `**` goes across folders.
    ///
    /// # Errors
    /// As [`Glob::new`].
    pub fn with_folders(pattern: &str) -> Result<Glob> {
        Self::read(pattern, true)
    }

    fn read(pattern: &str, folders: bool) -> Result<Glob> {
        let mut tokens = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            tokens.push(match c {
                '*' if folders && rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_none() { Token::Rest } else { Token::Folders }
                }
                '*' => Token::Star,
                '?' => Token::AnyOne,
                '[' => match read_set(&mut rest) {
                    Some(set) => set,
                    None => bail!("syntax error in pattern {pattern:?}: a [set] that is empty or not closed"),
                },
                '\\' => match rest.next() {
                    Some(c) => Token::One(c),
                    None => bail!("syntax error in pattern {pattern:?}: a backslash at the end"),
                },
                c => Token::One(c),
            });
        }
        Ok(Glob(tokens))
    }

    /// Whether the pattern matches the whole of `path`.
    pub fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        // reached[i]: the tokens so far can match exactly the first i characters. One pass a token; no backtracking.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            reached = token.advance(&reached, &path);
        }
        reached[path.len()]
    }
}

impl Token {
    /// From where the tokens before can end to where this one can.
    fn advance(&self, before: &[bool], path: &[char]) -> Vec<bool> {
        let mut after = vec![false; before.len()];
        match self {
            Token::Star => {
                after[0] = before[0];
                for (i, c) in path.iter().enumerate() {
                    after[i + 1] = before[i + 1] || after[i] && *c != '/';
                }
            }
            Token::Rest => {
                let first = before.iter().position(|reached| *reached).unwrap_or(before.len());
                after[first..].fill(true);
            }
            Token::Folders => {
                let mut begun = false;
                for (i, reached) in before.iter().enumerate() {
                    let after_slash = i > 0 && path[i - 1] == '/';
                    after[i] = *reached || begun && after_slash;
                    begun |= *reached;
                }
            }
            single => {
                for (i, c) in path.iter().enumerate() {
                    after[i + 1] = before[i] && single.takes(*c);
                }
            }
        }
        after
    }

    fn takes(&self, c: char) -> bool {
        match self {
            Token::One(wanted) => c == *wanted,
            Token::AnyOne => c != '/',
            Token::Set { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
            Token::Star | Token::Rest | Token::Folders => false,
        }
    }
}

/// Reads what follows a `[`, the closing bracket included; `None` when there is none.
fn read_set(rest: &mut std::iter::Peekable<std::str::Chars>) -> Option<Token> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Token::Set { negated, ranges });
        }
        let mut bound = || match rest.next()? {
            '\\' => rest.next(),
            ']' | '-' => None,
            c => Some(c),
        };
        let low = bound()?;
        let high = if rest.next_if_eq(&'-').is_some() {
            match rest.next()? {
                '\\' => rest.next()?,
                ']' | '-' => return None,
                c => c,
            }
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// Whether a text has any of the signs that make it a pattern.
pub fn is_pattern(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From the table of Go's own test of `filepath.Match`.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn bad_patterns_are_refused_as_in_go() {
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[]"] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn two_stars_go_across_folders() {
        for (pattern, path, expected) in [
            ("**", "a/b/c", true),
            ("**/", "a/b", true),
            ("**/b", "b", true),
            ("**/b", "a/b", true),
            ("**/b", "a/c/b", true),
            ("**/b", "ab", false),
            ("a/**", "a/b/c", true),
            ("a/**/d", "a/d", true),
            ("a/**/d", "a/b/c/d", true),
            ("a/**/d", "a/b/cd", false),
            ("**/*.txt", "x/y/a.txt", true),
            ("a**/b", "ax/b", true),
            ("*.txt", "x/a.txt", false),
        ] {
            assert_eq!(Glob::with_folders(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_without_signs_matches_itself_alone(path in "[a-z./]{1,12}", other in "[a-z./]{1,12}") {
            prop_assert!(!is_pattern(&path));
            prop_assert_eq!(Glob::new(&path).unwrap().matches(&other), path == other);
        }

        #[test]
        fn a_star_stands_for_any_name(start in "[a-z]{0,4}", middle in "[^/]{0,6}", end in "[a-z]{0,4}") {
            let (pattern, path) = (format!("{start}*{end}"), format!("{start}{middle}{end}"));
            prop_assert!(Glob::new(&pattern).unwrap().matches(&path));
        }
    }
}
