//! `--ulimit`: limits of each process (setrlimit(2)), by docker's names.

use anyhow::{Context, Result, bail};
use layout::container::{HostConfig, Ulimit};
use rustix::process::{Resource, getrlimit};
use rustix::thread::CapabilitySet;

/// The names, as in `RLIMIT_NOFILE` without its beginning.
const NAMES: [(&str, Resource); 15] = [
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// Fills in the limits; the last of a name counts. Gives warnings.
pub fn fill(host: &mut HostConfig, wanted: &[String]) -> Result<Vec<String>> {
    let mut limits: Vec<Ulimit> = Vec::new();
    for text in wanted {
        let limit = parse(text).with_context(|| format!("invalid argument \"{text}\" for \"--ulimit\" flag"))?;
        limits.retain(|old| old.name != limit.name);
        limits.push(limit);
    }
    let warnings = if may_raise() { Vec::new() } else { limits.iter().filter_map(cannot_be).collect() };
    host.ulimits = Some(limits).filter(|limits| !limits.is_empty());
    Ok(warnings)
}

/// Whether we may raise hard limits.
fn may_raise() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE))
}

/// A hard limit above ours, which the container then has instead.
fn cannot_be(limit: &Ulimit) -> Option<String> {
    let (name, resource) = NAMES.iter().find(|(name, _)| *name == limit.name)?;
    let ours = getrlimit(*resource).maximum?;
    // -1 is no limit, which is more than any.
    (limit.hard as u64 > ours).then(|| {
        format!("This host may not raise the hard limit of {name}: it stays at {ours} instead of {}.", limit.hard)
    })
}

/// Reads `NAME=SOFT[:HARD]`; -1 is no limit.
fn parse(text: &str) -> Result<Ulimit> {
    let Some((name, values)) = text.split_once('=') else { bail!("invalid ulimit argument: {text}") };
    if !NAMES.iter().any(|(known, _)| *known == name) {
        bail!("invalid ulimit type: {name}");
    }
    let number = |text: &str| match text.parse::<i64>() {
        Ok(number) => Ok(number),
        Err(_) => bail!("strconv.ParseInt: parsing \"{text}\": invalid syntax"),
    };
    let (soft, hard) = match values.split(':').collect::<Vec<_>>()[..] {
        [both] => (number(both)?, number(both)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => bail!("too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"),
    };
    if hard != -1 {
        if soft == -1 {
            bail!("ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}");
        }
        if soft > hard {
            bail!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}");
        }
    }
    Ok(Ulimit { name: name.to_owned(), hard, soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits_are_read_as_docker_reads_them() {
        let limit = |text| parse(text).map(|limit| (limit.soft, limit.hard)).map_err(|error| format!("{error:#}"));
        assert_eq!(limit("nofile=100"), Ok((100, 100)));
        assert_eq!(limit("nofile=100:200"), Ok((100, 200)));
        assert_eq!(limit("core=0:-1"), Ok((0, -1)));
        for (text, words) in [
            ("nofile", "invalid ulimit argument: nofile"),
            ("x=1", "invalid ulimit type: x"),
            ("nofile=1:2:3", "too many limit value arguments - 1:2:3"),
            ("nofile=100:50", "ulimit soft limit must be less than or equal to hard limit: 100 > 50"),
            ("nofile=-1:50", "ulimit soft limit must be less than or equal to hard limit"),
            ("nofile=a", "parsing \"a\": invalid syntax"),
        ] {
            assert!(limit(text).unwrap_err().contains(words), "{text}");
        }
    }
}
