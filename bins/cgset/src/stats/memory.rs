//! Memory: the same numbers under other names.

use super::parse::{keyed, number, pairs};
use super::{Counter, Memory};
use crate::group::read_optional;
use anyhow::Result;
use serde_json::Value;
use std::path::Path;

/// From the folder of the v1 controller.
pub fn v1(folder: &Path) -> Result<Memory> {
    let at = |name: &str| number(&folder.join(name));
    let stat = read_optional(&folder.join("memory.stat"))?.unwrap_or_default();
    let oom = read_optional(&folder.join("memory.oom_control"))?.unwrap_or_default();
    let limit = at("memory.limit_in_bytes")?;
    let both = Counter {
        usage: at("memory.memsw.usage_in_bytes")?,
        peak: at("memory.memsw.max_usage_in_bytes")?,
        limit: at("memory.memsw.limit_in_bytes")?,
        failures: at("memory.memsw.failcnt")?,
    };
    Ok(Memory {
        usage: at("memory.usage_in_bytes")?,
        inactive_file: keyed(&stat, "total_inactive_file"),
        cache: keyed(&stat, "total_cache"),
        peak: at("memory.max_usage_in_bytes")?,
        limit,
        failures: at("memory.failcnt")?,
        swap: keyed(&stat, "total_swap"),
        swap_limit: both.limit.zip(limit).map(|(both, limit)| both.saturating_sub(limit)),
        memory_swap: Some(both).filter(|both| both.usage.is_some()),
        oom_kills: keyed(&oom, "oom_kill"),
        kernel: at("memory.kmem.usage_in_bytes")?,
        kernel_tcp: at("memory.kmem.tcp.usage_in_bytes")?,
        detail: pairs(&stat).map(|(key, number)| (key.to_owned(), Value::from(number))).collect(),
        ..Memory::default()
    })
}

/// From the folder in the v2 tree.
pub fn v2(folder: &Path) -> Result<Memory> {
    let at = |name: &str| number(&folder.join(name));
    let stat = read_optional(&folder.join("memory.stat"))?.unwrap_or_default();
    let events = read_optional(&folder.join("memory.events"))?.unwrap_or_default();
    let swap_events = read_optional(&folder.join("memory.swap.events"))?.unwrap_or_default();
    Ok(Memory {
        usage: at("memory.current")?,
        inactive_file: keyed(&stat, "inactive_file"),
        cache: keyed(&stat, "file"),
        peak: at("memory.peak")?,
        limit: at("memory.max")?,
        failures: keyed(&events, "max"),
        swap: at("memory.swap.current")?,
        swap_peak: at("memory.swap.peak")?,
        swap_limit: at("memory.swap.max")?,
        swap_failures: keyed(&swap_events, "max"),
        oom_events: keyed(&events, "oom"),
        oom_kills: keyed(&events, "oom_kill"),
        kernel: keyed(&stat, "kernel"),
        kernel_tcp: keyed(&stat, "sock"),
        detail: pairs(&stat).map(|(key, number)| (key.to_owned(), Value::from(number))).collect(),
        ..Memory::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::devices::tests::folder;

    #[test]
    fn the_same_numbers_come_from_either_generation() {
        let old = folder(&[
            ("memory.usage_in_bytes", "5000\n"),
            ("memory.max_usage_in_bytes", "6000\n"),
            ("memory.limit_in_bytes", "8000\n"),
            ("memory.memsw.limit_in_bytes", "9000\n"),
            ("memory.failcnt", "4\n"),
            ("memory.stat", "cache 1\ninactive_file 2\ntotal_swap 7\ntotal_inactive_file 3\ntotal_cache 9\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ]);
        let new = folder(&[
            ("memory.current", "5000\n"),
            ("memory.peak", "6000\n"),
            ("memory.max", "8000\n"),
            ("memory.swap.max", "1000\n"),
            ("memory.swap.current", "7\n"),
            ("memory.stat", "anon 1\ninactive_file 3\nfile 9\n"),
            ("memory.events", "low 0\nmax 4\noom 9\noom_kill 2\n"),
        ]);
        let (old, new) = (v1(old.path()).unwrap(), v2(new.path()).unwrap());
        for found in [&old, &new] {
            assert_eq!((found.usage, found.peak, found.limit), (Some(5000), Some(6000), Some(8000)));
            assert_eq!((found.inactive_file, found.cache, found.swap), (Some(3), Some(9), Some(7)));
            assert_eq!((found.swap_limit, found.failures, found.oom_kills), (Some(1000), Some(4), Some(2)));
        }
        assert_eq!((old.detail["total_cache"].as_u64(), new.detail["anon"].as_u64()), (Some(9), Some(1)));
        assert_eq!(new.oom_events, Some(9));
    }

    #[test]
    fn no_limit_is_a_word_on_v2_and_a_number_on_v1() {
        let old = folder(&[("memory.limit_in_bytes", "9223372036854771712\n")]);
        let new = folder(&[("memory.max", "max\n"), ("memory.current", "5\n")]);
        assert_eq!(v1(old.path()).unwrap().limit, None);
        assert_eq!(v2(new.path()).unwrap().limit, None);
    }
}
