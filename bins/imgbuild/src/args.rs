//! Variables of the build: `--build-arg` and ARG.
//!
//! An ARG before FROM counts in FROM; after FROM a name counts from its ARG on. ENV wins over ARG. The proxies'
//! names need no ARG, and are in no cache key and no history: they say where the build ran, not what it made.

use std::collections::{BTreeMap, BTreeSet};

/// Names that every build knows.
const PREDEFINED: [&str; 10] = [
    "ALL_PROXY",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The variables as they are at one point of a build.
#[derive(Debug, Clone, Default)]
pub struct BuildArgs {
    /// From the command line.
    given: BTreeMap<String, String>,
    /// ARGs before FROM, with their defaults.
    global: BTreeMap<String, Option<String>>,
    /// ARGs of the stage; `None` before FROM.
    stage: Option<BTreeMap<String, Option<String>>>,
    /// The given names that some ARG asked for.
    used: BTreeSet<String>,
}

impl BuildArgs {
    /// What `--build-arg` gave.
    pub fn new(given: BTreeMap<String, String>) -> BuildArgs {
        BuildArgs { given, ..BuildArgs::default() }
    }

    /// An ARG.
    pub fn declare(&mut self, name: &str, default: Option<&str>) {
        self.used.insert(name.to_owned());
        let args = self.stage.as_mut().unwrap_or(&mut self.global);
        args.insert(name.to_owned(), default.map(str::to_owned));
    }

    /// A FROM: the names before it are out of sight until an ARG asks for them.
    pub fn enter_stage(&mut self) {
        self.stage = Some(BTreeMap::new());
    }

    /// Whether FROM has been.
    pub fn in_stage(&self) -> bool {
        self.stage.is_some()
    }

    /// The value of a name here, if it has one.
    pub fn get(&self, name: &str) -> Option<String> {
        let args = self.stage.as_ref().unwrap_or(&self.global);
        if let Some(default) = args.get(name) {
            let given = self.given.get(name).or(default.as_ref());
            return given.or_else(|| self.global.get(name)?.as_ref()).cloned();
        }
        self.given.get(name).filter(|_| PREDEFINED.contains(&name)).cloned()
    }

    /// The names and values that a RUN's cache key has: all ARGs of the stage that have a value and are not
    /// covered by ENV (`is_env`), in order of their names.
    pub fn in_key(&self, is_env: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let names = self.stage.iter().flat_map(BTreeMap::keys).filter(|name| !is_env(name));
        names.filter_map(|name| Some((name.clone(), self.get(name)?))).collect()
    }

    /// The proxies that were given and that no ARG names: RUN has them beside its key's.
    pub fn predefined(&self) -> Vec<(String, String)> {
        let declared = |name: &str| self.stage.as_ref().is_some_and(|stage| stage.contains_key(name));
        let names = PREDEFINED.into_iter().filter(|name| !declared(name));
        names.filter_map(|name| Some((name.to_owned(), self.given.get(name)?.clone()))).collect()
    }

    /// The given names that nothing asked for.
    pub fn unused(&self) -> Vec<String> {
        let unused =
            self.given.keys().filter(|name| !self.used.contains(*name) && !PREDEFINED.contains(&name.as_str()));
        unused.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(given: &[(&str, &str)]) -> BuildArgs {
        BuildArgs::new(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn arg_counts_from_where_it_stands() {
        let mut args = args(&[("A", "given"), ("HTTP_PROXY", "p"), ("UNUSED", "x")]);
        assert_eq!(args.get("A"), None);
        args.declare("A", Some("default"));
        args.declare("V", Some("3"));
        assert_eq!((args.get("A").as_deref(), args.get("V").as_deref()), (Some("given"), Some("3")));
        args.enter_stage();
        assert_eq!((args.get("A"), args.get("V")), (None, None));
        args.declare("V", None);
        args.declare("B", Some("b"));
        args.declare("C", None);
        assert_eq!((args.get("V").as_deref(), args.get("B").as_deref(), args.get("C")), (Some("3"), Some("b"), None));
        assert_eq!(args.get("HTTP_PROXY").as_deref(), Some("p"));
        assert_eq!(args.in_key(|name| name == "B"), [("V".to_owned(), "3".to_owned())]);
        assert_eq!(args.predefined(), [("HTTP_PROXY".to_owned(), "p".to_owned())]);
        assert_eq!(args.unused(), ["UNUSED"]);
    }
}
