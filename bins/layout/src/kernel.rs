//! Which kernel this is.

/// Major and minor version of the running kernel (uname(2)); what is no number counts as 0.
pub fn version() -> (u32, u32) {
    parse(&release())
}

/// The release as `uname -r` prints it: `6.1.0-42-cloud-amd64`.
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn parse(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_are_read_from_any_distributions_release() {
        for (release, version) in [
            ("6.1.0-42-cloud-amd64", (6, 1)),
            ("6.18.44-fc", (6, 18)),
            ("7-rc1", (7, 0)),
            ("5.14+", (5, 14)),
            ("", (0, 0)),
        ] {
            assert_eq!(parse(release), version, "{release}");
        }
    }
}
