//! The keys that leave a container running: docker's Ctrl-P Ctrl-Q, or others (`--detach-keys ctrl-x,a`).

use anyhow::{Result, bail};

/// What is typed to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    /// What has been typed of them: held back until it is clear whether the rest follows.
    held: Vec<u8>,
}

impl Default for DetachKeys {
    fn default() -> DetachKeys {
        DetachKeys { keys: vec![0x10, 0x11], held: Vec::new() }
    }
}

impl DetachKeys {
    /// Reads docker's way to write keys: with commas between, each one character, or `ctrl-` and one of `a`-`z`, `@`, `[`, `\`,
    /// `]`, `^`, `_`, or `DEL`. Nothing at all means the default.
    ///
    /// # Errors
    /// `Invalid detach keys (X) provided`, docker's words.
    pub fn parse(text: &str) -> Result<DetachKeys> {
        if text.is_empty() {
            return Ok(DetachKeys::default());
        }
        match text.split(',').map(key).collect() {
            Some(keys) => Ok(DetachKeys { keys, held: Vec::new() }),
            None => bail!("Invalid detach keys ({text}) provided"),
        }
    }

    /// What of the bytes goes to the container, and whether the user leaves.
    pub fn pass(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(bytes.len() + self.held.len());
        for &byte in bytes {
            self.held.push(byte);
            // The first byte that is held cannot be the beginning of the keys any more.
            while !self.keys.starts_with(&self.held) {
                passed.push(self.held.remove(0));
            }
            if self.held.len() == self.keys.len() {
                return (passed, true);
            }
        }
        (passed, false)
    }
}

impl std::fmt::Display for DetachKeys {
    /// As [`DetachKeys::parse`] reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, &byte) in self.keys.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            match byte {
                1..=26 => write!(f, "ctrl-{}", (byte - 1 + b'a') as char)?,
                0 | 27..=31 => write!(f, "ctrl-{}", (byte + b'@') as char)?,
                0x7f => f.write_str("DEL")?,
                _ => write!(f, "{}", byte as char)?,
            }
        }
        Ok(())
    }
}

/// One key as the byte that a terminal sends for it (ascii(7)).
fn key(word: &str) -> Option<u8> {
    match (word.as_bytes(), word.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([byte], _) => Some(*byte),
        (b"DEL", _) => Some(0x7f),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some([sign @ (b'@' | b'['..=b'_')])) => Some(sign - b'@'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_docker_has_them_written() {
        let keys = |text: &str| DetachKeys::parse(text).unwrap().keys;
        assert_eq!(keys("ctrl-p,ctrl-q"), [16, 17]);
        assert_eq!(keys(""), [16, 17]);
        assert_eq!(keys("ctrl-x,a"), [24, b'a']);
        assert_eq!(keys("ctrl-@,ctrl-[,ctrl-\\,ctrl-_,DEL"), [0, 27, 28, 31, 127]);
        for text in ["ctrl-p,ctrl-q", "ctrl-x,a", "ctrl-@,ctrl-[,ctrl-\\,ctrl-_,DEL"] {
            assert_eq!(DetachKeys::parse(text).unwrap().to_string(), text);
        }
        for bad in ["foo", "ctrl-", "a,,b", "ctrl-1", "ctrl-A", ","] {
            let error = DetachKeys::parse(bad).unwrap_err().to_string();
            assert_eq!(error, format!("Invalid detach keys ({bad}) provided"));
        }
    }

    #[test]
    fn what_is_no_detach_key_goes_to_the_container() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.pass(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.pass(&[16]), (vec![], false));
        assert_eq!(keys.pass(&[16, b'x']), (vec![16, 16, b'x'], false));
        assert_eq!(keys.pass(&[b'y', 16, 17, b'z']), (vec![b'y'], true));
        let mut overlapping = DetachKeys::parse("a,a,b").unwrap();
        assert_eq!(overlapping.pass(b"aaab"), (b"a".to_vec(), true));
    }
}
