//! `ctr images --filter`: which images, and which of their names.

use anyhow::{Result, bail};
use layout::images::{self, summary::Summary};
use layout::{Layout, Reference, time};

/// What was asked for. Of several conditions all must hold; of several patterns one.
#[derive(Debug, Default)]
pub struct ImageFilter {
    dangling: Option<bool>,
    labels: Vec<(String, Option<String>)>,
    patterns: Vec<String>,
    /// Made before, and after, these times.
    before: Vec<Option<String>>,
    since: Vec<Option<String>>,
}

impl ImageFilter {
    /// Reads the options; `name` is the argument without one.
    pub fn parse(layout: &Layout, filters: &[String], name: Option<&str>) -> Result<ImageFilter> {
        let mut found = ImageFilter { patterns: name.map(str::to_owned).into_iter().collect(), ..Default::default() };
        let created = |wanted: &str| images::find(layout, wanted).map(|image| image.config.created);
        for filter in filters {
            let Some((key, value)) = filter.split_once('=') else {
                bail!(
                    "invalid argument {filter:?} for \"-f, --filter\" flag: bad format of filter (expected name=value)"
                );
            };
            match (key.trim().to_ascii_lowercase().as_str(), value.trim()) {
                ("dangling", "true" | "1") => found.dangling = Some(true),
                ("dangling", "false" | "0") => found.dangling = Some(false),
                ("dangling", value) => bail!("Invalid filter 'dangling=[{value}]'"),
                ("label", value) => found.labels.push(match value.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (value.to_owned(), None),
                }),
                ("reference", pattern) => found.patterns.push(pattern.to_owned()),
                ("before", image) => found.before.push(created(image)?),
                ("since", image) => found.since.push(created(image)?),
                (key, _) => bail!("Invalid filter '{key}'"),
            }
        }
        if !found.patterns.iter().all(|pattern| is_pattern(pattern.as_bytes())) {
            bail!("syntax error in pattern");
        }
        Ok(found)
    }

    /// Whether an image is to be shown.
    pub fn takes(&self, image: &Summary) -> bool {
        let is_dangling = image.names.is_empty() && image.repo_digests.is_empty();
        let label = |key: &str| image.labels.get(key);
        let has = |(key, value): &(String, Option<String>)| {
            label(key).is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        let made = |image: Option<&str>| image.and_then(time::parse);
        let own = made(image.created.as_deref());
        self.dangling.is_none_or(|wanted| wanted == is_dangling)
            && self.labels.iter().all(has)
            && self.before.iter().all(|other| own < made(other.as_deref()))
            && self.since.iter().all(|other| own > made(other.as_deref()))
    }

    /// Whether one of its names is to be shown. Nameless images have none that could fit.
    pub fn takes_name(&self, name: Option<&Reference>) -> bool {
        self.patterns.is_empty() || name.is_some_and(|name| self.patterns.iter().any(|pattern| fits(name, pattern)))
    }

    /// The same for a name that is no reference.
    pub fn takes_foreign(&self, name: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern == name)
    }
}

/// The repository with any tag, or name and tag, as people write them or in full, with docker's wildcards.
fn fits(name: &Reference, pattern: &str) -> bool {
    let repository = name.repository();
    let full = format!("{}/{}", name.domain, name.path);
    let tagged = |repository: &str| name.tag.as_ref().map(|tag| format!("{repository}:{tag}"));
    let mut forms = vec![repository.clone(), full.clone(), name.familiar()];
    forms.extend(tagged(&repository));
    forms.extend(tagged(&full));
    forms.iter().any(|form| matches(pattern.as_bytes(), form.as_bytes()))
}

/// Go's path.Match: `*` and `?` stand for anything but a slash, `[a-z]` for one of several.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            let most = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=most).any(|taken| matches(rest, &text[taken..]))
        }
        (Some((b'?', rest)), Some((byte, text))) => *byte != b'/' && matches(rest, text),
        (Some((b'[', rest)), Some((byte, text))) => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => is_one_of(&rest[..end], *byte) && matches(&rest[end + 1..], text),
            None => false,
        },
        (Some((b'\\', [wanted, rest @ ..])), Some((byte, text))) => wanted == byte && matches(rest, text),
        (Some((wanted, rest)), Some((byte, text))) => wanted == byte && matches(rest, text),
        _ => false,
    }
}

/// Whether all that is opened is closed: a `[` has its `]`, and after a backslash something comes.
fn is_pattern(pattern: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'[', rest @ ..] => {
            rest.iter().position(|byte| *byte == b']').is_some_and(|end| end > 0 && is_pattern(&rest[end + 1..]))
        }
        [b'\\', rest @ ..] => !rest.is_empty() && is_pattern(&rest[1..]),
        [_, rest @ ..] => is_pattern(rest),
    }
}

fn is_one_of(set: &[u8], byte: u8) -> bool {
    let (set, wanted) = match set {
        [b'^', set @ ..] => (set, false),
        set => (set, true),
    };
    let mut rest = set;
    let mut found = false;
    while let [first, after @ ..] = rest {
        match after {
            [b'-', last, after @ ..] => {
                found |= (*first..=*last).contains(&byte);
                rest = after;
            }
            after => {
                found |= *first == byte;
                rest = after;
            }
        }
    }
    found == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filtered_by_repository_by_tag_or_by_pattern() {
        let name = Reference::parse("python:3-slim").unwrap();
        for (pattern, expected) in [
            ("python", true),
            ("python:3-slim", true),
            ("docker.io/library/python:3-slim", true),
            ("py*", true),
            ("*:3-*", true),
            ("p[x-z]thon", true),
            ("p[^y]thon", false),
            ("python:latest", false),
            ("ls", false),
            ("", false),
        ] {
            assert_eq!(fits(&name, pattern), expected, "{pattern}");
        }
        let other = Reference::parse("localhost:5000/a/b").unwrap();
        assert!(fits(&other, "localhost:5000/*/b") && !fits(&other, "*"));
    }
}
