//! Random names for containers that were given none: an adjective and a person of computing.

use anyhow::Result;

const ADJECTIVES: [&str; 40] = [
    "agile", "amber", "brisk", "calm", "candid", "clever", "cosmic", "curious", "daring", "deft", "eager", "early",
    "fluent", "frank", "gentle", "glad", "golden", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively",
    "lucid", "merry", "nimble", "patient", "plucky", "proud", "quick", "quiet", "rapid", "silver", "steady", "sunny",
    "tidy", "upbeat", "vivid", "witty",
];

const PEOPLE: [&str; 40] = [
    "allen",
    "babbage",
    "backus",
    "boole",
    "brooks",
    "cerf",
    "church",
    "clarke",
    "codd",
    "corbato",
    "dijkstra",
    "easley",
    "engelbart",
    "floyd",
    "goedel",
    "goldberg",
    "hamilton",
    "hamming",
    "hoare",
    "hopper",
    "iverson",
    "johnson",
    "kernighan",
    "knuth",
    "lamarr",
    "lamport",
    "liskov",
    "lovelace",
    "mccarthy",
    "moore",
    "naur",
    "neumann",
    "perlman",
    "postel",
    "ritchie",
    "shannon",
    "thompson",
    "turing",
    "wilkes",
    "wirth",
];

/// A random name; `attempt` beyond the first few adds a digit, so that a free one is found even when most are taken.
pub fn random(attempt: u32) -> Result<String> {
    let number = u64::from_str_radix(&layout::id::random_hex(8)?, 16)?;
    let adjective = ADJECTIVES[(number % ADJECTIVES.len() as u64) as usize];
    let person = PEOPLE[(number / 64 % PEOPLE.len() as u64) as usize];
    Ok(match attempt {
        0..6 => format!("{adjective}_{person}"),
        _ => format!("{adjective}_{person}{}", number >> 48),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_names_are_names() {
        for attempt in [0, 1, 7] {
            let name = super::random(attempt).unwrap();
            assert!(layout::container::is_name(&name), "{name}");
        }
    }
}
