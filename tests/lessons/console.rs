//! The console blocks of a lesson: what is typed, and what it prints.
//!
//! ````text
//! ```console
//! $ echo one; echo two       a command; lines that begin with `> ` continue it
//! one                        what it prints, on either stream
//! [..]                       anything, within a line
//! ...                        any number of lines
//! [exit 3]                   last: the command's exit code, if it is not 0
//! ```
//! ````

use std::ops::Range;

/// One command of a lesson with what it prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// What is typed, without the prompts.
    pub command: String,
    /// Which line of the file the command is on, from 1.
    pub line: usize,
    /// What it should print, with wildcards.
    pub expected: String,
    /// The lines of the file that `expected` is, from 0.
    pub output: Range<usize>,
}

/// Finds the steps of a lesson, in order.
pub fn parse(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in markdown.lines().enumerate() {
        if line.starts_with("```") {
            inside = !inside && line == "```console";
        } else if !inside {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (command, expected) = (format!("{command}\n"), String::new());
            steps.push(Step { command, line: number + 1, expected, output: number + 1..number + 1 });
        } else if let Some(step) = steps.last_mut() {
            match line.strip_prefix("> ") {
                // Only right after the command: later it is output that begins like this.
                Some(more) if step.expected.is_empty() => step.command.extend([more, "\n"]),
                _ => step.expected.extend([line, "\n"]),
            }
            step.output.end = number + 1;
            if step.expected.is_empty() {
                step.output.start = number + 1;
            }
        }
    }
    steps
}

/// The lesson with other outputs: `outputs[n]` in place of what step n has.
pub fn replace(markdown: &str, steps: &[Step], outputs: &[String]) -> String {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut text = String::new();
    let mut copied = 0;
    for (step, output) in steps.iter().zip(outputs) {
        text.extend(lines[copied..step.output.start].iter().flat_map(|line| [line, "\n"]));
        text.push_str(output);
        copied = step.output.end;
    }
    text.extend(lines[copied..].iter().flat_map(|line| [line, "\n"]));
    text
}

const EXAMPLE: &str = "\
# Lesson

```sh
$ not this
```

```console
$ echo a; \\
> echo b
a
> b
$ true
$ false
[exit 1]
```
";

#[test]
fn the_steps_of_a_lesson_are_found() {
    let steps = parse(EXAMPLE);
    let seen: Vec<_> = steps.iter().map(|s| (s.command.as_str(), s.line, s.expected.as_str())).collect();
    assert_eq!(seen, [("echo a; \\\necho b\n", 8, "a\n> b\n"), ("true\n", 12, ""), ("false\n", 13, "[exit 1]\n")]);
}

#[test]
fn outputs_are_replaced_and_all_else_stays() {
    let steps = parse(EXAMPLE);
    let same: Vec<String> = steps.iter().map(|s| s.expected.clone()).collect();
    assert_eq!(replace(EXAMPLE, &steps, &same), EXAMPLE);
    let other = replace(EXAMPLE, &steps, &["x\n".into(), "y\n".into(), String::new()]);
    assert!(other.ends_with("> echo b\nx\n$ true\ny\n$ false\n```\n"), "{other}");
}
