//! Image references: how people name images, and what the names mean.

use crate::Digest;
use anyhow::{Result, bail};
use std::fmt;

const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library/";
/// The longest name that registries take, domain included.
const MAX_NAME: usize = 255;

/// A reference as docker understands it: `busybox` is `docker.io/library/busybox:latest`.
///
/// The grammar is that of <https://pkg.go.dev/github.com/distribution/reference>: the first component is a
/// domain if it holds a dot or a colon, or is `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The registry: `docker.io`, `localhost:5000`.
    pub domain: String,
    /// The repository within it: `library/busybox`.
    pub path: String,
    /// The tag. A reference with neither tag nor digest means `latest`.
    pub tag: Option<String>,
    /// The digest of the manifest, when the reference pins one.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference and fills in what is left out: domain, `library/` and the tag `latest`.
    pub fn parse(text: &str) -> Result<Reference> {
        if is_hex_id(text) {
            bail!("invalid repository name ({text}), cannot specify 64-byte hexadecimal strings");
        }
        let invalid = |why: &str| anyhow::anyhow!("invalid reference format: {text:?}: {why}");
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => match digest.parse() {
                Ok(digest) => (rest, Some(digest)),
                Err(_) => bail!(invalid("what follows @ is not sha256: and 64 hexadecimal digits")),
            },
            None => (text, None),
        };
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].find(':') {
            Some(colon) => (&rest[..name_start + colon], Some(&rest[name_start + colon + 1..])),
            None => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            bail!(invalid("a tag is up to 128 letters, digits, dots, dashes and underscores"));
        }
        let (domain, path) = split_domain(name);
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            bail!(invalid("repository name must be lowercase"));
        }
        if !is_domain(domain) {
            bail!(invalid("the registry is no host name"));
        }
        if !path.split('/').all(is_path_component) {
            bail!(invalid("a name is lower-case letters and digits, with single separators . _ __ - between"));
        }
        let bare = domain == DEFAULT_DOMAIN && !path.contains('/');
        let path = if bare { format!("{DEFAULT_NAMESPACE}{path}") } else { path.to_owned() };
        if domain.len() + 1 + path.len() > MAX_NAME {
            bail!(invalid("repository name must not be more than 255 characters"));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Reference { domain: domain.to_owned(), path, tag, digest })
    }

    /// Reads the name that an image is to have: not a digest, and nothing that would be read as one.
    pub fn parse_name(text: &str) -> Result<Reference> {
        let name = Reference::parse(text)?;
        if name.digest.is_some() {
            bail!("invalid reference format: {text:?}: an image is named by a tag, its digest is computed");
        }
        if name.repository() == "sha256" {
            bail!("refusing to create an ambiguous tag using digest algorithm as name");
        }
        Ok(name)
    }

    /// The repository as people write it: `busybox`, `localhost:5000/app`.
    pub fn repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return format!("{}/{}", self.domain, self.path);
        }
        self.path.strip_prefix(DEFAULT_NAMESPACE).unwrap_or(&self.path).to_owned()
    }

    /// The whole reference as people write it: `busybox:latest`. This is what `index.json` keeps.
    pub fn familiar(&self) -> String {
        self.with_tag_and_digest(self.repository())
    }

    /// The whole reference with nothing left out: `docker.io/library/busybox:latest`.
    pub fn full(&self) -> String {
        self.with_tag_and_digest(format!("{}/{}", self.domain, self.path))
    }

    fn with_tag_and_digest(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

impl std::str::FromStr for Reference {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        Reference::parse(text)
    }
}

/// Whether it is how an image's id is written.
fn is_hex_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_DOMAIN, name),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, Some(port)),
        _ => (domain, None),
    };
    let label = |l: &str| {
        let bytes = l.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    port.is_none_or(|p| p.parse::<u16>().is_ok()) && host.split('.').all(label)
}

fn is_path_component(component: &str) -> bool {
    let mut rest = component;
    loop {
        let word = rest.bytes().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        if rest.is_empty() {
            return true;
        }
        let dashes = rest.bytes().take_while(|b| *b == b'-').count();
        let separator = match rest.as_bytes() {
            [b'_', b'_', ..] => 2,
            [b'_' | b'.', ..] => 1,
            _ => dashes,
        };
        if separator == 0 {
            return false;
        }
        rest = &rest[separator..];
    }
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in_as_docker_does() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("python:3-slim", "docker.io/library/python:3-slim", "python:3-slim"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("index.docker.io/library/a", "docker.io/library/a:latest", "a:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("reg.example.com/a/b__c-d", "reg.example.com/a/b__c-d:latest", "reg.example.com/a/b__c-d:latest"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.full(), reference.familiar()), (full.to_owned(), familiar.to_owned()));
            assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
        }
    }

    #[test]
    fn a_digest_needs_no_tag() {
        let digest = Digest::of(b"");
        let reference = Reference::parse(&format!("busybox@{digest}")).unwrap();
        assert_eq!((reference.tag, reference.digest), (None, Some(digest)));
    }

    #[test]
    fn bad_references_are_refused() {
        for bad in [
            "",
            ":",
            "a:",
            "A",
            "a//b",
            "/a",
            "a/",
            "-a",
            "a:b:c",
            "a@sha256:12",
            "a b",
            "a..b",
            "a___b",
            "../a",
            "h_ost.x/a",
            &"0".repeat(64),
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_name_of_an_image_is_no_digest() {
        let digest = Digest::of(b"");
        for bad in ["sha256", "sha256:1", &format!("a@{digest}"), digest.hex()] {
            assert!(Reference::parse_name(bad).is_err(), "{bad}");
        }
        for good in ["sha512:1", "me/sha256:1", &format!("{}:1", digest.hex())] {
            assert!(Reference::parse_name(good).is_ok(), "{good}");
        }
    }
}
