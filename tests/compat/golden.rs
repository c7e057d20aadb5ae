//! `ctr` answers as docker does: all cases, against what docker once answered (so that no docker is needed here).

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::compat::{Answer, Case, Engine, Kind, differences, files, folder};
use std::collections::BTreeSet;
use std::sync::Mutex;

#[test]
fn ctr_answers_as_docker_does() {
    let files = files(&folder()).unwrap();
    let cases: Vec<&Case> = files.iter().flat_map(|(_, file)| &file.cases).collect();
    let answers = play_all(4, &cases);
    let found: Vec<String> =
        cases.iter().zip(&answers).flat_map(|(case, answers)| differences(Kind::Ctr, case, answers)).collect();
    assert!(found.is_empty(), "{} answers are not docker's:\n{}", found.len(), found.join("\n"));
}

#[test]
fn each_decided_difference_has_its_reason_in_the_lessons_and_each_reason_a_case() {
    let files = files(&folder()).unwrap();
    let steps = files.iter().flat_map(|(_, file)| &file.cases).flat_map(|case| &case.steps);
    let same = steps.clone().find(|step| step.differs.as_ref().is_some_and(|(_, ours)| *ours == step.docker));
    assert_eq!(same, None, "it is said to differ, and does not");
    let decided: BTreeSet<&str> = steps.filter_map(|step| step.differs.as_ref()).map(|(why, _)| why.as_str()).collect();
    let lesson = concat!(env!("CARGO_MANIFEST_DIR"), "/../lessons/DIFFERENCES.md");
    let lesson = std::fs::read_to_string(lesson).unwrap();
    // The rows of its first table: | `name` | what docker does | what ctr does | why |
    let decisions = lesson.split("\n## ").find(|part| part.starts_with("Decided\n")).unwrap();
    let reasons: BTreeSet<&str> =
        decisions.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    assert_eq!(decided, reasons);
}

#[test]
fn there_are_many_cases() {
    let files = files(&folder()).unwrap();
    let number: usize = files.iter().map(|(_, file)| file.cases.len()).sum();
    assert!(number >= 150, "only {number} cases");
}

#[test]
fn no_two_cases_have_the_same_title() {
    let files = files(&folder()).unwrap();
    let cases: Vec<&Case> = files.iter().flat_map(|(_, file)| &file.cases).collect();
    let titles: BTreeSet<&str> = cases.iter().map(|case| case.title.as_str()).collect();
    assert_eq!(titles.len(), cases.len());
}

/// Plays cases on so many engines; gives the answers in the order of the cases.
fn play_all(workers: usize, cases: &[&Case]) -> Vec<Vec<Answer>> {
    let next = Mutex::new(0..cases.len());
    let answers = Mutex::new(vec![Vec::new(); cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(cases.len()) {
            scope.spawn(|| {
                let engine = Engine::start(Kind::Ctr);
                // Not in the `while`: there the lock would be held as long as the case is played.
                let take = || next.lock().unwrap().next();
                while let Some(number) = take() {
                    let played = engine.play(cases[number]);
                    answers.lock().unwrap()[number] = played;
                }
            });
        }
    });
    answers.into_inner().unwrap()
}
