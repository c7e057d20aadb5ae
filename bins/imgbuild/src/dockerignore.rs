//! `.dockerignore`: which files of the folder are not part of the context.
//!
//! It is not `.gitignore`: every pattern is anchored at the context's root (`*.txt` does not match `a/b.txt`,
//! `**/*.txt` does), and the last line that matches decides, where `!pattern` takes files back in.
//! <https://docs.docker.com/build/concepts/context/#dockerignore-files>

use crate::glob::Glob;
use crate::paths::clean;
use anyhow::{Context as _, Result};

/// The lines of a `.dockerignore`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// The pattern as text, without `!`.
    text: String,
    glob: Glob,
    /// Whether it takes files back in.
    includes: bool,
}

impl Ignore {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A pattern that is malformed, with its line.
    pub fn read(text: &str) -> Result<Ignore> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (includes, pattern) = match line.trim().strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line.trim()),
            };
            // The root of the context is the root of the patterns: `/a`, `./a` and `a` are the same.
            let text = clean(&format!("/{pattern}"))[1..].to_owned();
            let glob = Glob::with_folders(&text).with_context(|| format!("read .dockerignore line {}", index + 1))?;
            // A lone `/` or `.` would be the whole context: docker excludes nothing by it.
            if !text.is_empty() {
                rules.push(Rule { text, glob, includes });
            }
        }
        Ok(Ignore { rules })
    }

    /// Whether the file at `path` (relative to the context, `/` between names) is left out. A pattern that matches
    /// a folder matches everything in it.
    pub fn excludes(&self, path: &str) -> bool {
        let ancestors = || path.match_indices('/').map(|(at, _)| &path[..at]);
        let matches = |rule: &Rule| rule.glob.matches(path) || ancestors().any(|folder| rule.glob.matches(folder));
        // The last rule that matches decides.
        self.rules.iter().rev().find(|rule| matches(rule)).is_some_and(|rule| !rule.includes)
    }

    /// Whether something below an excluded folder may be taken back in, so that it has to be walked: docker
    /// looks at the `!` patterns that begin with the folder's own name.
    pub fn may_include_below(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        self.rules.iter().any(|rule| rule.includes && format!("{}/", rule.text).starts_with(&below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_excluded_as_docker_does() {
        for (rules, path, excluded) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "d/a.txt", false),
            ("**/*.txt", "d/e/a.txt", true),
            ("d", "d/e/f", true),
            ("d/", "d/e", true),
            ("/d", "d", true),
            ("./d/../e", "e", true),
            ("*", "d/e", true),
            ("*/e", "d/e/f", true),
            ("*/e", "e", false),
            ("*.txt\n!b.txt", "b.txt", false),
            ("!b.txt\n*.txt", "b.txt", true),
            ("d\n!d/keep", "d/keep", false),
            ("d\n!d/keep", "d/other", true),
            ("d\n!d/keep\nd/keep/x", "d/keep/x", true),
            ("# a comment\n\n  a  ", "a", true),
            (" # no comment", "a", false),
            ("! b\nb", "b", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            (".", "a", false),
            ("/", "a", false),
            ("", "a", false),
            ("**", "a/b", true),
            ("\u{feff}a", "a", true),
            ("a\r\nb\r\n", "b", true),
        ] {
            assert_eq!(Ignore::read(rules).unwrap().excludes(path), excluded, "{rules:?} {path}");
        }
    }

    #[test]
    fn excluded_folders_are_walked_only_for_what_may_come_back() {
        let ignore = Ignore::read("a\nb\n!a/keep/**\n!c").unwrap();
        assert!(ignore.may_include_below("a") && ignore.may_include_below("a/keep"));
        assert!(!ignore.may_include_below("b") && !ignore.may_include_below("a/other"));
    }

    #[test]
    fn a_malformed_pattern_names_its_line() {
        let error = format!("{:#}", Ignore::read("a\n[").unwrap_err());
        assert!(error.starts_with("read .dockerignore line 2: syntax error in pattern"), "{error}");
    }
}
