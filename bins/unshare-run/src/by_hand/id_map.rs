//! The user and group numbers that are set aside for a user (subuid(5)): `NAME:FIRST:COUNT`, a line each.
//!
//! Nobody else on the machine has these numbers, so who has them inside of a user namespace is nobody outside.

use anyhow::{Context, Result, bail};
use layout::oci::runtime::IdMapping;
use std::path::Path;

/// The first range in `file`, `/etc/subuid` or `/etc/subgid`, for a user: where it begins and how long it is.
pub fn set_aside(file: &Path, uid: u32) -> Result<(u32, u32)> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.with_context(|| format!("read {}", file.display()))?,
    };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = name_of(&passwd, uid).unwrap_or_default();
    match range_of(&text, &name, uid) {
        Some(range) => Ok(range),
        None => {
            let who = if name.is_empty() { uid.to_string() } else { name };
            bail!(
                "--map-auto: {} sets no numbers aside for {who}; root can do so by a line like {who}:100000:65536",
                file.display()
            )
        }
    }
}

/// `INSIDE:OUTSIDE:COUNT`, as in unshare(1).
pub fn parse_range(text: &str) -> Result<IdMapping> {
    let numbers: Vec<u32> = text.split(':').map_while(|part| part.parse().ok()).collect();
    match (numbers.as_slice(), text.split(':').count()) {
        (&[container_id, host_id, size], 3) if size > 0 => Ok(IdMapping { container_id, host_id, size }),
        _ => bail!("map {text:?}: it must have the form INSIDE:OUTSIDE:COUNT, in numbers, as 0:100000:65536"),
    }
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    users.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid))).map(|fields| fields[0].to_owned())
}

fn range_of(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    let lines = text.lines().map(|line| line.split(':').map(str::trim).collect::<Vec<_>>());
    let mut mine = lines.filter(|fields| {
        fields.len() == 3 && ((!name.is_empty() && fields[0] == name) || fields[0].parse() == Ok(uid))
    });
    mine.find_map(|fields| {
        let (first, count): (u32, u32) = (fields[1].parse().ok()?, fields[2].parse().ok()?);
        (count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_or_number() {
        let text = "# none\nyou:1:2\nme:x:5\nme:100000:65536\n1001:300000:10\n";
        assert_eq!(range_of(text, "me", 1000), Some((100_000, 65536)));
        assert_eq!(range_of(text, "", 1001), Some((300_000, 10)));
        assert_eq!(range_of(text, "", 1000), None);
        assert_eq!(range_of("me:4294967295:2\nme:5:0\n", "me", 0), None);
        assert_eq!(name_of("root:x:0:0::/root:/bin/sh\nme:x:1000:100::/:\n", 1000).unwrap(), "me");
        assert_eq!(parse_range("0:7:2").unwrap(), IdMapping { container_id: 0, host_id: 7, size: 2 });
        assert!(["", "0:1", "0:1:0", "0:x:1", "0:1:2:3"].iter().all(|text| parse_range(text).is_err()));
        let missing = set_aside(Path::new("/no/subuid"), 4_000_000).unwrap_err();
        assert!(missing.to_string().contains("4000000:100000:65536"), "{missing}");
    }
}
