//! A case: a change to the configuration, a look from inside, and what has to be seen, with each runtime.
//!
//! What runc does is what is expected of both. Where they are to differ, the case says so with the reason
//! ([`Case::but`]), and fails when the difference is gone or is another one.

use crate::bundle::{Bundle, Runtime};
use ctr_tests::Output;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

type Prepare = Box<dyn Fn(&mut Bundle)>;
type Look = Box<dyn Fn(&Bundle) -> String>;

/// One case.
pub struct Case {
    name: &'static str,
    prepare: Vec<Prepare>,
    look: Option<Look>,
    expected: String,
    exceptions: Vec<(Runtime, String)>,
    known_to_runc_since: Option<(u32, u32)>,
    harms_runc: bool,
}

/// A case, to be filled in.
pub fn case(name: &'static str) -> Case {
    Case {
        name,
        prepare: Vec::new(),
        look: None,
        expected: String::new(),
        exceptions: Vec::new(),
        known_to_runc_since: None,
        harms_runc: false,
    }
}

/// How a command that was refused is seen: exit code 1 and nothing printed.
pub const REFUSED: &str = "[exit 1]";

impl Case {
    /// Changes `config.json`.
    pub fn config(self, change: impl Fn(&mut Value) + 'static) -> Case {
        self.bundle(move |bundle| change(&mut bundle.config))
    }

    /// Changes the bundle: makes files in it.
    pub fn bundle(mut self, change: impl Fn(&mut Bundle) + 'static) -> Case {
        self.prepare.push(Box::new(change));
        self
    }

    /// Runs `sh -c SCRIPT` in the container. `expected` is what it prints and, if that is not 0, its exit code as
    /// `[exit N]`.
    pub fn prints(self, script: &'static str, expected: &str) -> Case {
        self.bundle(|bundle| bundle.script(script)).sees(expected, |bundle| seen(&bundle.run()))
    }

    /// The same for a program of its own, without a shell.
    pub fn runs(self, args: &'static [&'static str], expected: &str) -> Case {
        self.config(move |config| config["process"]["args"] = args.into()).sees(expected, |bundle| seen(&bundle.run()))
    }

    /// `run` is refused with exit code 1, and ours has one line to say about it.
    pub fn refused(self) -> Case {
        self.sees(REFUSED, |bundle| seen_of_refusal(bundle.runtime, &bundle.run()))
    }

    /// Does something with the bundle, and looks.
    pub fn sees(mut self, expected: &str, look: impl Fn(&Bundle) -> String + 'static) -> Case {
        self.expected = expected.to_owned();
        self.look = Some(Box::new(look));
        self
    }

    /// With this runtime something else is to be seen.
    pub fn but(mut self, runtime: Runtime, seen: &str, _because: &'static str) -> Case {
        self.exceptions.push((runtime, seen.to_owned()));
        self
    }

    /// Not to be tried with runc, to which it does harm.
    pub fn ours_alone(mut self, _because: &'static str) -> Case {
        self.harms_runc = true;
        self
    }

    /// Older versions of runc do not have it and must be seen to do anything else. (Debian 12 has 1.1.5.)
    pub fn since_runc(mut self, major: u32, minor: u32) -> Case {
        self.known_to_runc_since = Some((major, minor));
        self
    }

    /// Runs it with one runtime; gives what is wrong.
    fn verdict(&self, runtime: Runtime) -> Option<String> {
        if runtime == Runtime::Runc && self.harms_runc {
            return None;
        }
        let mut bundle = Bundle::new(runtime);
        self.prepare.iter().for_each(|prepare| prepare(&mut bundle));
        let look = self.look.as_ref().expect("a case looks at something");
        let seen =
            catch_unwind(AssertUnwindSafe(|| look(&bundle))).unwrap_or_else(|panic| match panic.downcast::<String>() {
                Ok(text) => format!("panicked: {text}"),
                Err(_) => "panicked".to_owned(),
            });
        let exception = self.exceptions.iter().find(|(who, _)| *who == runtime);
        let expected = exception.map_or(self.expected.as_str(), |(_, expected)| expected);
        let lacking = runtime == Runtime::Runc && self.known_to_runc_since.is_some_and(|since| runc_version() < since);
        match (lacking, seen == expected) {
            (false, true) | (true, false) => None,
            (true, true) => Some(format!("{}: runc has this already: {seen:?}", self.name)),
            (false, false) => {
                Some(format!("{} ({runtime:?})\n  expected {expected:?}\n  seen     {seen:?}", self.name))
            }
        }
    }
}

/// On a machine that is all software (`CTR_TESTS_SLOW`, the test VM) a start of runc takes a second. There every so many
/// cases are held against it; ours has to do what each expects there too.
const SAMPLE: usize = 12;

/// Runs a table of cases with both runtimes. `CASE=WORDS` runs those alone whose names hold the words.
#[track_caller]
pub fn check(cases: Vec<Case>) {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let slow = std::env::var_os("CTR_TESTS_SLOW").is_some();
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate().filter(|(_, case)| case.name.contains(&wanted)) {
        let with_runc = !slow || i % SAMPLE == 0;
        wrong.extend(
            Runtime::BOTH.iter().filter(|r| with_runc || **r == Runtime::Ours).filter_map(|r| case.verdict(*r)),
        );
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// What a run printed and, if that is not 0, its exit code.
pub fn seen(output: &Output) -> String {
    let text = output.stdout.trim_end();
    // What was said goes along where something went wrong, to be read by whoever looks into it.
    if output.code != 0 && std::env::var_os("CASE").is_some() {
        eprintln!("{output}");
    }
    match (output.code, text) {
        (0, text) => text.to_owned(),
        (code, "") => format!("[exit {code}]"),
        (code, text) => format!("{text}\n[exit {code}]"),
    }
}

/// The same, for what is to be refused: ours says why in one line.
pub fn seen_of_refusal(runtime: Runtime, output: &Output) -> String {
    let lines: Vec<&str> = output.stderr.lines().collect();
    let one_line = lines.len() == 1 && lines[0].starts_with("unshare-run: ") && !lines[0].contains("panicked");
    if runtime == Runtime::Ours && output.code != 0 && !one_line {
        return format!("said {:?}", output.stderr);
    }
    seen(output)
}

/// Major and minor version of the installed runc.
fn runc_version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let said = std::process::Command::new("runc").arg("--version").output().expect("run runc (make setup)");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let mut numbers = version.expect("a version").split(['.', '+', '-', '~']).map(|n| n.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    })
}
