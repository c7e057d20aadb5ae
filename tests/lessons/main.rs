//! The lessons are tests: every console block runs, and every exercise fails unsolved and passes solved.
//!
//! All blocks of a lesson run in order in one shell, in an empty folder, and print what the lesson shows.
//! `LESSONS=overwrite cargo test -p ctr-tests --test lessons` writes what they print into the lessons, keeping
//! wildcards that still match; read the difference before you commit it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![deny(unsafe_code)]

mod console;
mod shell;

use ctr_tests::{Output, Sandbox};
use shell::Shell;
use snapbox::filter::NormalizeToExpected;
use snapbox::{Data, report};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LESSONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lessons");

/// Two tests a lesson, and the list of all lessons.
macro_rules! lessons {
    ($($name:ident $folder:literal)*) => {
        const FOLDERS: &[&str] = &[$($folder),*];
        $(mod $name {
            #[test]
            fn every_block_prints_what_the_lesson_shows() {
                super::run_blocks($folder);
            }
            #[test]
            fn the_exercise_fails_unsolved_and_passes_solved() {
                super::solve_exercise($folder);
            }
        })*
    };
}

lessons! {
    lesson_00 "00-preflight"
    lesson_01 "01-a-root-filesystem"
    lesson_02 "02-namespaces"
    lesson_03 "03-capabilities"
    lesson_04 "04-cgroups"
    lesson_05 "05-layers-and-images"
    lesson_06 "06-registries"
}

#[test]
fn every_lesson_is_complete_and_tested() {
    let mut folders: Vec<String> = fs::read_dir(LESSONS)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, FOLDERS, "the folders of lessons/, and the list in tests/lessons/main.rs");
    for folder in FOLDERS {
        for file in ["README.md", "check", "hint", "solution"] {
            let path = Path::new(LESSONS).join(folder).join(file);
            assert!(fs::metadata(&path).is_ok_and(|about| about.len() > 0), "{} is missing", path.display());
        }
    }
}

#[test]
fn the_script_behind_make_lesson_prepares_checks_hints_and_resets() {
    let sandbox = Sandbox::new();
    let run = |words: &[&str]| {
        let script = Path::new(LESSONS).join("run");
        sandbox.run(sandbox.command(script).args(words).env("LESSONS_WORK", sandbox.path().join("work")))
    };
    let folder = sandbox.path().join("work/00");
    run(&["lesson", "00"]).ok().shows("# Lesson 00").shows(folder.to_str().unwrap());
    assert!(folder.is_dir());
    let unsolved = run(&["check", "0"]);
    assert_eq!(unsolved.code, 1, "{unsolved}");
    run(&["hint", "00"]).ok();
    run(&["reset", "00"]).ok();
    assert!(!folder.exists());
    assert_eq!(run(&["lesson", "77"]).code, 2);
    assert_eq!(run(&["dance", "00"]).code, 2);
}

/// A program with a lesson's environment, in `$LESSON_DIR`.
///
/// Its mounts and its host name are its own: a lesson that is being written can go wrong, and `pivot_root` in the
/// machine's namespace would change the root of everybody. (unshare(1) makes the mounts private, too.)
fn in_lesson(sandbox: &Sandbox, program: &str) -> Command {
    let folder = lesson_dir(sandbox);
    fs::create_dir_all(&folder).unwrap();
    let mut command = sandbox.command("unshare");
    command.args(["--mount", "--uts", "--", program]);
    command.current_dir(&folder).env("LESSON_DIR", &folder);
    command.env("LC_ALL", "C.UTF-8").env("TERM", "dumb").env("COLUMNS", "120").env_remove("PS1");
    command
}

fn lesson_dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("lesson")
}

fn run_blocks(folder: &str) {
    let file = Path::new(LESSONS).join(folder).join("README.md");
    let name = format!("lessons/{folder}/README.md");
    let markdown = fs::read_to_string(&file).unwrap();
    let steps = console::parse(&markdown);
    assert!(!steps.is_empty(), "{name} has no console block");

    let sandbox = Sandbox::new();
    let mut shell = Shell::new(&sandbox);
    let mut outputs = Vec::new();
    let mut wrong = String::new();
    for step in &steps {
        let printed = match shell.run(&step.command) {
            Ok(printed) => printed,
            Err(trouble) => panic!("{wrong}{name}:{}: {}{trouble}", step.line, step.command),
        };
        let output = compare(&printed, &step.expected).unwrap_or_else(|(output, difference)| {
            wrong.push_str(&format!("{name}:{}: $ {}{difference}\n", step.line, step.command));
            output
        });
        outputs.push(output);
    }
    // The mounts are the shell's alone: nobody else could tell.
    let mounted =
        shell.run("awk -v dir=\"$LESSON_DIR/\" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo").unwrap();
    assert!(mounted.is_empty(), "{name} leaves mounted:\n{mounted}");
    drop(shell);
    assert_nothing_left(&sandbox);
    if std::env::var("LESSONS").is_ok_and(|mode| mode == "overwrite") {
        fs::write(&file, console::replace(&markdown, &steps, &outputs)).unwrap();
    } else {
        assert!(wrong.is_empty(), "{wrong}");
    }
}

/// What was printed, with the wildcards of `expected` where they match; as an error if it is not `expected`,
/// with the difference.
fn compare(printed: &str, expected: &str) -> Result<String, (String, String)> {
    let expected_data = Data::text(expected);
    let actual = NormalizeToExpected::new().redact().normalize(Data::text(printed), &expected_data);
    let text = actual.render().unwrap_or_default();
    if text == expected {
        return Ok(text);
    }
    let mut difference = String::new();
    let (left, right): (&dyn std::fmt::Display, &dyn std::fmt::Display) = (&"the lesson", &"this machine");
    let palette = report::Palette::plain();
    report::write_diff(&mut difference, &expected_data, &actual, Some(left), Some(right), palette).unwrap();
    Err((text, difference))
}

fn solve_exercise(folder: &str) {
    let sandbox = Sandbox::new();
    let run = |file: &str| -> Output {
        let script = Path::new(LESSONS).join(folder).join(file);
        sandbox.run(&mut in_lesson(&sandbox, script.to_str().unwrap()))
    };
    let before = run("check");
    assert_eq!(before.code, 1, "the check of an exercise that nobody has solved yet: {before}");
    assert!(!before.stdout.is_empty(), "the check fails and does not say what is missing");
    run("solution").ok();
    run("check").ok();
    assert_nothing_left(&sandbox);
}

#[test]
fn the_check_of_lesson_02_tells_what_a_box_lacks() {
    let sandbox = Sandbox::new();
    let run = |file: &str| {
        let script = Path::new(LESSONS).join("02-namespaces").join(file);
        sandbox.run(&mut in_lesson(&sandbox, script.to_str().unwrap()))
    };
    run("solution").ok();
    let file = lesson_dir(&sandbox).join("box");
    let solution = fs::read_to_string(&file).unwrap();
    for (right, wrong, lack) in [
        ("--mount ", "", "a new mnt namespace"),
        ("--uts ", "", "a new uts namespace"),
        ("--pid ", "", "a new pid namespace"),
        ("hostname box", ":", "the host name box"),
        ("umount -l /mnt", ":", "umount of the old root"),
        ("pivot_root . mnt\n    umount -l /mnt\n    cd /\n    exec \"$@\"", "exec chroot . \"$@\"", "pivot_root"),
        ("exec \"$@\"", "\"$@\" || exit 3", "exit 7 became 3"),
    ] {
        assert!(solution.contains(right), "the solution has changed: {right}");
        fs::write(&file, solution.replace(right, wrong)).unwrap();
        let check = run("check");
        assert!(check.code == 1 && check.stdout.contains(lack), "{right} => {wrong}: {check}");
    }
    assert_nothing_left(&sandbox);
}

#[test]
fn the_check_of_lesson_03_tells_what_is_too_strong() {
    let sandbox = Sandbox::new();
    let run = |file: &str| {
        let script = Path::new(LESSONS).join("03-capabilities").join(file);
        sandbox.run(&mut in_lesson(&sandbox, script.to_str().unwrap()))
    };
    run("solution").ok();
    let file = lesson_dir(&sandbox).join("weak");
    let solution = fs::read_to_string(&file).unwrap();
    for (right, wrong, lack) in [
        ("--reuid 65534 ", "", "user 65534"),
        ("--regid 65534 ", "", "group 65534"),
        ("--clear-groups", "--groups 4", "no further groups"),
        ("--ambient-caps \"$only\" ", "", "in the effective set"),
        ("--bounding-set \"$only\" ", "", "a bounding set"),
        ("--no-new-privs ", "", "no_new_privs"),
        ("-- \"$@\"", "-- \"$@\" || exit 3", "exit 7 became 3"),
    ] {
        assert!(solution.contains(right), "the solution has changed: {right}");
        let text = solution.replace(right, wrong);
        let text = if lack.contains("exit") { text.replace("exec ", "") } else { text };
        fs::write(&file, text).unwrap();
        let check = run("check");
        assert!(check.code == 1 && check.stdout.contains(lack), "{right} => {wrong}: {check}");
    }
    assert_nothing_left(&sandbox);
}

#[test]
fn the_check_of_lesson_04_tells_what_is_not_limited() {
    let sandbox = Sandbox::new();
    let run = |file: &str| {
        let script = Path::new(LESSONS).join("04-cgroups").join(file);
        sandbox.run(&mut in_lesson(&sandbox, script.to_str().unwrap()))
    };
    run("solution").ok();
    let file = lesson_dir(&sandbox).join("limited");
    let solution = fs::read_to_string(&file).unwrap();
    for (right, wrong, lack) in [
        ("echo 10 >", "echo 15 >", "could have 14 children"),
        ("echo 50M >", "echo 200M >", "the limit of 50 MB"),
        ("exit \"$code\"", "exit 0", "exit 7 became 0"),
    ] {
        assert!(solution.contains(right), "the solution has changed: {right}");
        fs::write(&file, solution.replace(right, wrong)).unwrap();
        let check = run("check");
        assert!(check.code == 1 && check.stdout.contains(lack), "{right} => {wrong}: {check}");
    }
    assert_nothing_left(&sandbox);
}

/// Solves an exercise in a wrong way, and expects its check to say what is wrong. `cases`: what the solution has, what it
/// has instead, and a part of what the check says then.
fn tells(folder: &str, cases: &[(&str, &str, &str)]) {
    let solution = fs::read_to_string(Path::new(LESSONS).join(folder).join("solution")).unwrap();
    for (right, wrong, lack) in cases {
        assert!(solution.contains(right), "the solution has changed: {right}");
        let sandbox = Sandbox::new();
        let script = sandbox.path().join("wrong");
        fs::write(&script, solution.replace(right, wrong)).unwrap();
        sandbox.run(in_lesson(&sandbox, "bash").arg(&script)).ok();
        let check = Path::new(LESSONS).join(folder).join("check");
        let check = sandbox.run(&mut in_lesson(&sandbox, check.to_str().unwrap()));
        assert!(check.code == 1 && check.stdout.contains(lack), "{right} => {wrong}: {check}");
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn the_check_of_lesson_05_tells_what_is_wrong_with_an_image() {
    tells(
        "05-layers-and-images",
        &[
            (": > parts/two/.wh.secret", ":", "/secret is still to be seen"),
            ("mine:latest", "yours:latest", "the name mine:latest"),
            ("layers: [$one, $two]", "layers: [$one]", "an image that can be loaded"),
            ("'hello from layer two'", "hi", "a file /hello"),
            ("{Cmd: [\"/hello\"]}", "{}", "the command"),
            ("echo \"sha256:$hex\"", "echo \"sha256:$hex\"; echo >> \"mine/blobs/sha256/$hex\"", "the right name for"),
        ],
    );
}

#[test]
fn the_check_of_lesson_06_tells_what_a_copy_lacks() {
    tells(
        "06-registries",
        &[
            ("continue # is there already", ":", "it sent blobs that the target had"),
            ("-T \"$work/manifest\"", "-T <(jq . \"$work/manifest\")", "the same digest"),
            ("jq -r '.config.digest, .layers[].digest'", "jq -r '.config.digest'", "an exit code of 0"),
        ],
    );
}

/// No mount in the sandbox that reached the machine, and no process with its environment.
fn assert_nothing_left(sandbox: &Sandbox) {
    assert!(sandbox.mounts().is_empty(), "still mounted: {:?}", sandbox.mounts());
    let ours = format!("CTR_ROOT={}\0", sandbox.root().display());
    let left = || {
        let processes = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.windows(ours.len()).any(|part| part == ours.as_bytes())
        });
        processes.map(|entry| fs::read_to_string(entry.path().join("comm")).unwrap_or_default()).collect::<Vec<_>>()
    };
    // A process that was just killed takes a moment.
    ctr_tests::poll_until(60, &format!("these to end: {:?}", left()), || left().is_empty().then_some(()));
}

#[test]
fn wildcards_stand_for_what_differs_from_machine_to_machine() {
    assert!(compare("pid 17 of box\n", "pid [..] of box\n").is_ok());
    assert!(compare("a\nb\nc\nd\n", "a\n...\nd\n").is_ok());
    let (text, difference) = compare("pid 17 of box\n", "pid [..] of fox\n").unwrap_err();
    assert!(text.contains("of box") && difference.contains("of fox"), "{difference}");
}
