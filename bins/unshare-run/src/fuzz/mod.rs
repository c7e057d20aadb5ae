//! Random input, for as long as there is time: [`config`] for whatever somebody may put into a configuration, [`paths`]
//! for whatever may be in the root that is mounted into.
//!
//! Each try has a seed of its own. One that fails says it: `FUZZ_SEED=N` tries that one, and no other. `FUZZ_SECONDS`
//! is how long each test goes on (`make fuzz`).

mod config;
mod paths;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Without `FUZZ_SECONDS`.
const SECONDS: u64 = 4;

/// Random numbers that the seed decides (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Random(u64);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit.max(1) as u64) as usize
    }

    /// Something of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Whether something happens that happens once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Tries it with one seed after the other until the time is over.
pub fn fuzz(name: &str, mut tried: impl FnMut(&mut Random)) {
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let wanted = number("FUZZ_SEED");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let first = wanted.unwrap_or(now);
    let end = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS));
    let mut count = 0;
    loop {
        let seed = first.wrapping_add(count);
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| tried(&mut Random(seed))));
        if let Err(panic) = result {
            eprintln!("{name}: failed: try it again with FUZZ_SEED={seed}");
            resume_unwind(panic);
        }
        // Nothing that is tried takes a hundredth of that.
        assert!(begin.elapsed() < Duration::from_secs(20), "{name}: FUZZ_SEED={seed} takes too long");
        count += 1;
        if wanted.is_some() || Instant::now() > end {
            break;
        }
    }
    println!("{name}: {count} tries, from FUZZ_SEED={first}");
}
