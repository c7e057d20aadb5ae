//! Running a program with a deadline, and saying what it should have printed.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Nothing that a test runs takes longer, even where the machine is emulated; what does hangs.
const DEADLINE: Duration = Duration::from_secs(200);
/// How long its output may stay open after its end: so long a busy machine may take to let us read the last of it.
const OUTPUT_ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What a program printed and ended with.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; 128 + n for signal n.
    pub code: u8,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `command` to its end with `input` on its standard input.
///
/// # Panics
/// When it cannot be run, when it hangs, and when its output stays open after its end: then something that it left
/// in the background holds it, and a shell that waits for it in a pipe would hang.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    run_within(command, input, DEADLINE, OUTPUT_ENDS_WITHIN).unwrap_or_else(|trouble| panic!("{trouble}"))
}

/// As [`run`]; as an error, in words, what took longer than it may.
fn run_within(command: &mut Command, input: &[u8], limit: Duration, output_ends: Duration) -> Result<Output, String> {
    let line = show(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("run {line}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Its own thread: a program that prints before it has read all of its input would block on us.
    std::thread::spawn(move || stdin.write_all(&input));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());

    let Some(status) = wait_within(&mut child, limit) else {
        child.kill().unwrap();
        child.wait().unwrap();
        let said = stderr.recv_timeout(Duration::from_secs(1)).map(|said| String::from_utf8_lossy(&said).into_owned());
        return Err(format!("{line}: still runs after {limit:?}; it said {said:?}"));
    };
    let text = |stream: mpsc::Receiver<Vec<u8>>, name| match stream.recv_timeout(output_ends) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Err(format!("{line}: ended ({status}), but somebody holds its {name} open")),
    };
    let (stdout, stderr) = (text(stdout, "standard output")?, text(stderr, "standard error")?);
    Ok(Output { code: layout::exit::from_status(status), stdout, stderr, line })
}

fn wait_within(child: &mut std::process::Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = std::time::Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if std::time::Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).map(|word| layout::tool::quote(&word)).collect::<Vec<_>>().join(" ")
}

impl Output {
    /// The exit code must be this one.
    #[track_caller]
    pub fn exits(self, code: u8) -> Output {
        assert!(self.code == code, "expected exit code {code}\n{self}");
        self
    }

    /// It must have gone well.
    #[track_caller]
    pub fn ok(self) -> Output {
        self.exits(0)
    }

    /// Standard output must be this, but for white space at the end.
    #[track_caller]
    pub fn prints(self, expected: &str) -> Output {
        assert!(self.stdout.trim_end() == expected.trim_end(), "expected to print {expected:?}\n{self}");
        self
    }

    /// Standard output must hold this.
    #[track_caller]
    pub fn shows(self, part: &str) -> Output {
        assert!(self.stdout.contains(part), "expected {part:?} in what it prints\n{self}");
        self
    }

    /// Standard error must hold this.
    #[track_caller]
    pub fn says(self, part: &str) -> Output {
        assert!(self.stderr.contains(part), "expected {part:?} in what it says\n{self}");
        self
    }

    /// Standard output without white space at its ends.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}\nexit code {}", self.line, self.code)?;
        write!(f, "--- standard output\n{}\n--- standard error\n{}", self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Output {
        run(Command::new("sh").args(["-c", script]), b"in\n")
    }

    #[test]
    fn output_input_and_codes_come_through() {
        sh("cat; echo err >&2; exit 7").exits(7).prints("in").says("err");
        sh("kill -TERM $$").exits(143);
    }

    #[test]
    fn a_background_process_that_keeps_the_output_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 2>&- & echo $! > pid"]).current_dir(dir.path());
        let trouble = run_within(&mut command, b"", DEADLINE, Duration::from_millis(100)).unwrap_err();
        assert!(trouble.contains("holds its standard output open"), "{trouble}");
        sh(&format!("kill {}", std::fs::read_to_string(dir.path().join("pid")).unwrap()));
    }

    #[test]
    fn a_program_that_hangs_is_noticed() {
        let mut command = Command::new("sleep");
        let trouble = run_within(command.arg("1000"), b"", Duration::from_millis(100), DEADLINE).unwrap_err();
        assert!(trouble.contains("sleep 1000: still runs after 100ms"), "{trouble}");
    }
}
