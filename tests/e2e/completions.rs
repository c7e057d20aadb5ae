//! Shell completions: made from the command line's types, with the names of containers and images.

#![allow(clippy::unwrap_used)] // helpers fail as their tests do

use ctr_tests::Sandbox;
use std::path::PathBuf;
use std::process::Command;

/// Has the files made; gives their folder.
fn completions(sandbox: &Sandbox) -> PathBuf {
    let dir = sandbox.path().join("completions");
    let mut generate = Command::new(env!("CARGO_BIN_EXE_generate"));
    assert!(generate.arg("completions").arg(&dir).status().unwrap().success());
    dir
}

#[test]
fn names_of_containers_and_images_are_completed() {
    let sandbox = Sandbox::with_base();
    sandbox.ctr(["create", "--name", "alpha", "base", "true"]).ok();
    sandbox.ctr(["create", "--name", "beta", "base", "true"]).ok();
    let file = completions(&sandbox).join("bash/ctr");
    // As bash calls it, with the words of the line so far.
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let script = format!(
            "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; COMP_LINE='{line}'; COMP_POINT={}; _ctr_names ctr '{}' ''; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
            line.len(),
            words[words.len() - 1],
        );
        let shown = sandbox.run(sandbox.command("bash").args(["-c", &script])).ok();
        let mut found: Vec<String> = shown.stdout.split_whitespace().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(complete("ctr rm "), ["alpha", "beta"]);
    assert_eq!(complete("ctr rm al"), ["alpha"]);
    assert_eq!(complete("ctr container rm -f b"), ["beta"]);
    assert_eq!(complete("ctr run --rm b"), ["base:latest"]);
    assert_eq!(complete("ctr run base:l"), ["latest"], "what stands before a colon is a word of its own to bash");
    assert_eq!(complete("ctr inspect b"), ["base:latest", "beta"]);
    assert_eq!(complete("ctr stop "), Vec::<String>::new(), "neither runs");
    assert!(complete("ctr rm --f").contains(&"--force".to_owned()), "options come from the command line's own types");
    assert!(complete("ctr sta").contains(&"start".to_owned()));
}

#[test]
fn the_other_shells_ask_for_names_as_well() {
    let sandbox = Sandbox::new();
    let dir = completions(&sandbox);
    let zsh = std::fs::read_to_string(dir.join("zsh/_ctr")).unwrap();
    for asks in ["containers -- Containers, by name or id:_ctr_containers'", ":_ctr_images'", ":_ctr_all'"] {
        assert!(zsh.contains(asks), "{asks}");
    }
    assert!(zsh.find("_ctr_containers() {") < zsh.find("if [ \"$funcstack[1]\""));
    let fish = std::fs::read_to_string(dir.join("fish/ctr.fish")).unwrap();
    assert!(fish.contains("function __ctr_after") && fish.contains("ctr ps -a --format"));
    // Those of the other tools are as clap makes them.
    assert!(!std::fs::read_to_string(dir.join("bash/cgset")).unwrap().contains("_ctr_names"));
}
