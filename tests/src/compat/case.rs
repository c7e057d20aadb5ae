//! The files of cases.
//!
//! ```text
//! == a name can be taken once                 a case; it ends where the next begins
//! # said by the engine, not by the client     a remark
//! $ docker create --name web base             a command line, for sh(1); `docker` is the engine that it is played on
//! > > id                                      more of it
//! $ docker create --name web base             the next
//! | text                                      what docker prints to standard output, a line each, normalised
//! ! Conflict. The container name ...          and to standard error
//! ? 1                                         its exit code, if that is not 0
//! ~ no-daemon                                 decided: ctr answers otherwise, for the reason of this name in lessons/DIFFERENCES.md
//! | other text                                namely this
//! ```

use anyhow::{Result, bail};
use std::fmt::Write;

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The remarks at its top, a line each.
    pub remarks: Vec<String>,
    /// What it holds.
    pub cases: Vec<Case>,
}

/// Command lines that are played one after the other in an empty folder, on an engine with one image, `base`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// A sentence: what it proves.
    pub title: String,
    /// In their order.
    pub steps: Vec<Step>,
}

/// A command line and what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is said about it, a line each.
    pub remarks: Vec<String>,
    /// For sh(1); may have several lines.
    pub command: String,
    /// What docker answers.
    pub docker: Answer,
    /// The name of the reason why `ctr` answers otherwise, and what it answers.
    pub differs: Option<(String, Answer)>,
}

/// What a command line printed and ended with, [normalised](super::normal).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code.
    pub code: u8,
}

impl Step {
    /// What `ctr` is to answer.
    pub fn expected(&self) -> &Answer {
        self.differs.as_ref().map_or(&self.docker, |(_, answer)| answer)
    }

    /// Where an answer is to be read into: the last that was begun.
    fn answer(&mut self) -> &mut Answer {
        match &mut self.differs {
            Some((_, answer)) => answer,
            None => &mut self.docker,
        }
    }
}

impl File {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<File> {
        let mut file = File { remarks: Vec::new(), cases: Vec::new() };
        let mut remarks: Vec<String> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            let at_the_top = file.cases.is_empty();
            let step = file.cases.last_mut().and_then(|case| case.steps.last_mut());
            match (mark, step) {
                ("", _) if at_the_top => file.remarks.append(&mut remarks),
                ("", _) => {}
                ("#", _) => remarks.push(rest.to_owned()),
                ("==", _) => file.cases.push(Case { title: rest.to_owned(), steps: Vec::new() }),
                ("$", _) => {
                    let Some(case) = file.cases.last_mut() else { bail!("line {}: not in a case", number + 1) };
                    let remarks = std::mem::take(&mut remarks);
                    let command = rest.to_owned();
                    case.steps.push(Step { remarks, command, docker: Answer::default(), differs: None });
                }
                (">", Some(step)) => step.command.extend(["\n", rest]),
                ("~", Some(step)) => step.differs = Some((rest.to_owned(), Answer::default())),
                ("|", Some(step)) => step.answer().stdout.extend([rest, "\n"]),
                ("!", Some(step)) => step.answer().stderr.extend([rest, "\n"]),
                ("?", Some(step)) => step.answer().code = rest.parse()?,
                _ => bail!("line {}: no mark of case files: {line:?}", number + 1),
            }
        }
        Ok(file)
    }
}

impl std::fmt::Display for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        marked(&mut text, '#', &self.remarks.join("\n"))?;
        for case in &self.cases {
            write!(text, "\n== {}\n", case.title)?;
            for step in &case.steps {
                marked(&mut text, '#', &step.remarks.join("\n"))?;
                let (first, more) = step.command.split_once('\n').unwrap_or((&step.command, ""));
                writeln!(text, "$ {first}")?;
                marked(&mut text, '>', more)?;
                write!(text, "{}", step.docker)?;
                if let Some((reason, answer)) = &step.differs {
                    write!(text, "~ {reason}\n{answer}")?;
                }
            }
        }
        f.write_str(text.trim_start())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        marked(f, '|', &self.stdout)?;
        marked(f, '!', &self.stderr)?;
        if self.code != 0 { writeln!(f, "? {}", self.code) } else { Ok(()) }
    }
}

/// Each line after a mark.
fn marked(out: &mut impl Write, mark: char, text: &str) -> std::fmt::Result {
    text.lines().try_for_each(|line| {
        let space = if line.is_empty() { "" } else { " " };
        writeln!(out, "{mark}{space}{line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# About names.

== a name can be taken once
$ docker create --name web base > id
# the second
$ docker create \\
> --name web base
| a
|
| b
! Conflict
? 1
~ reason
? 2

== another
$ docker ps
| none
";

    #[test]
    fn a_file_is_read_and_written_as_it_was() {
        let file = File::parse(TEXT).unwrap();
        assert_eq!(file.to_string(), TEXT);
        let step = &file.cases[0].steps[1];
        assert_eq!(step.command, "docker create \\\n--name web base");
        assert_eq!(step.docker, Answer { stdout: "a\n\nb\n".into(), stderr: "Conflict\n".into(), code: 1 });
        assert_eq!(step.expected().code, 2);
    }

    #[test]
    fn what_is_no_case_is_pointed_at() {
        assert_eq!(File::parse("$ docker ps\n").unwrap_err().to_string(), "line 1: not in a case");
        assert!(File::parse("== a\nb\n").unwrap_err().to_string().starts_with("line 2: no mark"));
    }
}
