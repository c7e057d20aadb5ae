//! The few forms in which the kernel writes numbers into control files.

use crate::group::read_optional;
use anyhow::{Context, Result};
use std::path::Path;

/// v1 has no word for no limit: it is the greatest multiple of the page size that a signed number holds, and there are
/// pages of many gigabytes.
const NO_LIMIT: u64 = i64::MAX as u64 - (1 << 36);

/// Whether a limit is none.
pub fn is_no_limit(limit: &str) -> bool {
    limit == "max" || limit.parse::<u64>().is_ok_and(|number| number >= NO_LIMIT)
}

/// A file that holds one number; `None` when it is missing, or says that there is no limit.
pub fn number(file: &Path) -> Result<Option<u64>> {
    match read_optional(file)? {
        None => Ok(None),
        Some(text) if is_no_limit(&text) => Ok(None),
        Some(text) => text.parse().map(Some).with_context(|| format!("read {}: {text:?} is no number", file.display())),
    }
}

/// Lines of `key number`.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, number) = line.split_once(' ')?;
        Some((key, number.trim().parse().ok()?))
    })
}

/// The number after a key in lines of `key number`.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    pairs(text).find(|(found, _)| *found == key).map(|(_, number)| number)
}

/// The number after a key in a line of `key=number key=number`.
pub fn assigned(line: &str, key: &str) -> Option<u64> {
    let words = line.split_whitespace().filter_map(|word| word.split_once('='));
    words.filter(|(found, _)| *found == key).find_map(|(_, number)| number.parse().ok())
}
