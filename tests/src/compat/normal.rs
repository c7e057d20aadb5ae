//! What of an answer is compared. Two things are taken out: what differs each time, and docker's way of saying that an error is one.
//!
//! Docker begins an error with `Error response from daemon: ` or `Error: `, and `docker run` has `docker: ` before and a stop and a line `See
//! 'docker run --help'.` after it. `ctr` begins it with `ctr: `, as each of the tools does with its own name. The sentence is
//! the same, and it alone is compared. Of a command line that makes no sense, the parsers tell in words of their own: of this
//! only the exit code is.

use super::{Answer, Kind};
use crate::Output;
use regex_lite::Regex;
use std::sync::LazyLock;

/// In place of what is said of a command line that makes no sense.
const USAGE: &str = "<usage>\n";

/// What differs each time, and what is in its place. The lengths of ids stay, as columns depend on them.
const EACH_TIME: [(&str, &str); 12] = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "xxxxxxxxxxxx"),
    (r"\b2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} UTC", "<time>"),
    (r"\b(Less than a second|About an? (minute|hour)|\d+ (second|minute|hour)s?)\b", "<age>"),
    (r"\b\d+(\.\d+)?[MG]i?B\b", "<size>"),
    (r"\b172\.\d+\.\d+\.\d+\b", "<address>"),
    (r"\b02:42(:[0-9a-f]{2}){4}\b", "<mac>"),
    (r"\b(dir|file|multi):[0-9a-f]+", "<files>"),
    (r"to \d+\.\d\d, as there are only \d+ CPUs", "to <n>, as there are only <n> CPUs"),
    (r"available: 0(-\d+)?", "available: <cpus>"),
    // As ages have several lengths, so have columns.
    (r" {3,}", "   "),
];

/// What docker says in other words than `ctr`, wherever it stands: decided, see lessons/DIFFERENCES.md.
const DOCKERS_WORDS: [(&str, &str); 4] = [
    // The programs that a sentence has come through.
    (r"(failed to create shim task: )?OCI runtime (create|exec) failed: (runc create failed: |exec failed: )?", ""),
    (r"unable to start container process: (error during container init: )?", ""),
    (r"(?m): unknown(\.?)\r?$", "$1"),
    // As newer versions of docker print it.
    (r":::", "[::]:"),
];

type Patterns = Vec<(Regex, &'static str)>;
static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| compile(&EACH_TIME));
static WORDS: LazyLock<Patterns> = LazyLock::new(|| compile(&DOCKERS_WORDS));

fn compile(patterns: &[(&str, &'static str)]) -> Patterns {
    patterns.iter().map(|(pattern, to)| (Regex::new(pattern).expect("a pattern"), *to)).collect()
}

fn replace(patterns: &Patterns, text: String) -> String {
    patterns.iter().fold(text, |text, (pattern, to)| pattern.replace_all(&text, *to).into_owned())
}

/// What is compared of what a command line printed in `folder`.
pub fn answer(kind: Kind, said: &Output, folder: &str) -> Answer {
    let (stdout, stderr) = match kind {
        Kind::Docker => (replace(&WORDS, said.stdout.clone()), dockers_errors(&replace(&WORDS, said.stderr.clone()))),
        Kind::Ctr => (said.stdout.clone(), our_errors(&said.stderr)),
    };
    let each_time = |text: String| {
        let text = replace(&PATTERNS, text.replace(folder, "<folder>"));
        text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    };
    Answer { stdout: each_time(stdout), stderr: each_time(stderr), code: said.code }
}

fn dockers_errors(text: &str) -> String {
    // Its client's own log, of what it had still to do when the daemon said no.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("time=\"")).collect();
    let help = lines.iter().position(|line| line.starts_with("See 'docker ") && line.contains(" --help'"));
    let (said, help) = lines.split_at(help.unwrap_or(lines.len()));
    // What the engine says of `docker run` has the same line after it.
    let from_run = |line: &&str| line.starts_with("docker: ") && !line.contains("is not a docker command");
    let of_the_parser = !help.is_empty() && !said.iter().any(from_run) || text.contains("\nUsage:  docker ");
    if of_the_parser { USAGE.to_owned() } else { said.iter().map(|line| sentence(line, DOCKERS)).collect() }
}

fn our_errors(text: &str) -> String {
    let of_an_option = text.contains("invalid argument \"") && text.contains("\" flag: ");
    let tells_of_help = ["\nUsage: ", "\nFor more information, try", "\nSee 'ctr --help'"];
    let of_the_parser = of_an_option || tells_of_help.iter().any(|words| text.contains(words));
    if of_the_parser { USAGE.to_owned() } else { text.lines().map(|line| sentence(line, OURS)).collect() }
}

/// How docker begins the line of an error.
const DOCKERS: &str = r"^(docker: )?(Error response from daemon: |Error: |error: )?";
/// And how the tools do: each with its name, and the builder with the place in the file.
const OURS: &str = r"^((ctr|imgbuild|layerfs|unshare-run|cgset|portfwd): )*(Error: )?(\S+:\d+:(\d+:)? )?";

/// The sentence of a line, and of an error without a stop.
fn sentence(line: &str, prefix: &str) -> String {
    let bare = Regex::new(prefix).expect("a pattern").replace(line, "");
    let bare = if bare.len() < line.len() { bare.strip_suffix('.').unwrap_or(&bare) } else { &bare };
    format!("{bare}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stderr(kind: Kind, text: &str) -> String {
        let said = Output { line: String::new(), code: 1, stdout: String::new(), stderr: text.to_owned() };
        answer(kind, &said, "/tmp/case").stderr
    }

    #[test]
    fn an_error_is_its_sentence() {
        let of_run = "docker: Error response from daemon: No such thing: a.\nSee 'docker run --help'.\n";
        assert_eq!(stderr(Kind::Docker, of_run), "No such thing: a\n");
        assert_eq!(stderr(Kind::Docker, "Error response from daemon: No such thing: a\n"), "No such thing: a\n");
        assert_eq!(stderr(Kind::Docker, "Error: No such thing: a\n"), "No such thing: a\n");
        assert_eq!(stderr(Kind::Ctr, "ctr: No such thing: a\n"), "No such thing: a\n");
    }

    #[test]
    fn of_a_wrong_command_line_it_is_only_said_that_it_is_one() {
        assert_eq!(stderr(Kind::Docker, "unknown flag: --x\nSee 'docker run --help'.\n"), USAGE);
        assert_eq!(stderr(Kind::Ctr, "error: unexpected argument '--x' found\n\nUsage: ctr run\n"), USAGE);
        assert_eq!(stderr(Kind::Ctr, "ctr: 'x' is not a ctr command.\nSee 'ctr --help'\n"), USAGE);
    }

    #[test]
    fn what_differs_each_time_is_taken_out() {
        let line =
            "0eca6eedeaec   base   Up 2 minutes   0.0.0.0:80->80/tcp      at 172.17.0.2 since 2026-11-21T18:31:26.5Z";
        let same = "xxxxxxxxxxxx   base   Up <age>   0.0.0.0:80->80/tcp   at <address> since <time>\n";
        assert_eq!(stderr(Kind::Ctr, line), same);
        assert_eq!(stderr(Kind::Ctr, "0001-01-01T00:00:00Z /tmp/case/a"), "0001-01-01T00:00:00Z <folder>/a\n");
    }
}
