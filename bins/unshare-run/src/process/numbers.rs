//! Lists of processors and of memory nodes, as the kernel prints them: `0-2,4`.

use anyhow::{Context, Result, bail};

/// The numbers of a list; spaces do not matter, nor does their order.
pub fn parse(list: &str, below: usize) -> Result<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number =
            |text: &str| text.trim().parse::<usize>().with_context(|| format!("{part:?} is no number, nor two"));
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last >= below {
            bail!("{part:?}: it must be a rising range below {below}");
        }
        numbers.extend(first..=last);
    }
    if numbers.is_empty() {
        bail!("{list:?}: it names no number");
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists_are_as_the_kernel_prints_them() {
        assert_eq!(parse("0-2,4", 8).unwrap(), [0, 1, 2, 4]);
        assert_eq!(parse(" 7 , 1 - 2,", 8).unwrap(), [7, 1, 2]);
        for bad in ["", ",", "x", "1-", "-1", "2-1", "0-8", "1-2-3", "99999999999999999999"] {
            assert!(parse(bad, 8).is_err(), "{bad}");
        }
    }
}
