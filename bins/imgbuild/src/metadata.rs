//! The instructions that change nothing but the image's configuration: ENV, CMD, EXPOSE, ...
//!
//! [`apply`] is a function of the configuration and the instruction alone. What it returns is the text that the
//! history shows, and that the cache knows the step by: `/bin/sh -c #(nop)  ENV a=b`. (`#(nop)` is from the
//! days when docker ran each of these in a shell that did nothing.)

use crate::dockerfile::{Command, Instruction};
use anyhow::{Result, bail};
use layout::oci::image::RunConfig;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Changes the configuration as an instruction says; its text for the history. Variables are expanded already.
///
/// # Errors
/// A port or signal that is none, in docker's words.
pub fn apply(instruction: &Instruction, config: &mut RunConfig, cmd_is_ours: bool) -> Result<String> {
    Ok(match instruction {
        Instruction::Env(pairs) => {
            for (name, value) in pairs {
                set_env(&mut config.env, name, value);
            }
            nop(&format!("ENV {}", list_pairs(pairs)))
        }
        Instruction::Label(pairs) => {
            config.labels.get_or_insert_default().extend(pairs.iter().cloned());
            nop(&format!("LABEL {}", list_pairs(pairs)))
        }
        Instruction::Expose(words) => {
            let mut ports = words.iter().map(|word| ports_of(word)).collect::<Result<Vec<_>>>()?.concat();
            config.exposed_ports.get_or_insert_default().extend(ports.drain(..).map(|port| (port, json!({}))));
            let mut words = words.clone();
            words.sort();
            nop(&format!("EXPOSE {}", words.join(" ")))
        }
        Instruction::Volume(folders) => {
            config.volumes.get_or_insert_default().extend(folders.iter().map(|folder| (folder.clone(), json!({}))));
            nop(&format!("VOLUME [{}]", folders.join(" ")))
        }
        Instruction::User(user) => {
            config.user.clone_from(user);
            nop(&format!("USER {user}"))
        }
        Instruction::StopSignal(signal) => {
            if !is_signal(signal) {
                bail!("Invalid signal: {signal}");
            }
            config.stop_signal.clone_from(signal);
            nop(&format!("STOPSIGNAL {signal}"))
        }
        Instruction::Cmd(command) => {
            let argv = default_argv(command);
            let text = nop(&format!("CMD {}", list_strings(&argv)));
            config.cmd = Some(argv);
            text
        }
        Instruction::Entrypoint(command) => {
            let argv = default_argv(command);
            let text = nop(&format!("ENTRYPOINT {}", list_strings(&argv)));
            config.entrypoint = Some(argv).filter(|argv| !argv.is_empty());
            // The base image's CMD was meant for the base image's entry point.
            if !cmd_is_ours {
                config.cmd = None;
            }
            text
        }
        Instruction::Maintainer(who) => nop(&format!("MAINTAINER {who}")),
        Instruction::Arg(args) => {
            let show = |(name, default): &(String, Option<String>)| match default {
                Some(default) => format!("{name}={default}"),
                None => name.clone(),
            };
            nop(&format!("ARG {}", args.iter().map(show).collect::<Vec<_>>().join(" ")))
        }
        // These do more than that: see `plan`.
        Instruction::From { .. }
        | Instruction::Copy(_)
        | Instruction::Add(_)
        | Instruction::Run(_)
        | Instruction::Workdir(_) => bail!("{instruction:?} does more than change the configuration"),
    })
}

fn nop(text: &str) -> String {
    format!("/bin/sh -c #(nop)  {text}")
}

/// Sets a variable where it stands, or at the end.
pub fn set_env(env: &mut Option<Vec<String>>, name: &str, value: &str) {
    let env = env.get_or_insert_default();
    let variable = format!("{name}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(name)) {
        Some(known) => *known = variable,
        None => env.push(variable),
    }
}

/// The value of a variable of an image's environment.
pub fn get_env(env: &Option<Vec<String>>, name: &str) -> Option<String> {
    let find =
        |variable: &String| variable.split_once('=').filter(|(known, _)| *known == name).map(|(_, v)| v.to_owned());
    env.iter().flatten().find_map(find)
}

/// What CMD and ENTRYPOINT store: nothing for an empty one, which takes back what the base image set.
fn default_argv(command: &Command) -> Vec<String> {
    match command {
        Command::Shell(text) if text.is_empty() => Vec::new(),
        command => command.argv(),
    }
}

/// `a=b c=d e`, as docker's history has it.
fn list_pairs(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// `["a" "b c"]`, as docker's history has it.
fn list_strings(argv: &[String]) -> String {
    let quoted: Vec<String> = argv.iter().map(|arg| Value::from(arg.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(" "))
}

/// `80`, `80/udp`, `80-82/TCP` as the keys of an image configuration.
fn ports_of(word: &str) -> Result<Vec<String>> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        bail!("Invalid proto: {protocol}");
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last && first > 0 => {
            Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
        }
        _ => bail!("Invalid containerPort: {ports}"),
    }
}

/// A signal's name, with or without `SIG`, its number, or a real-time one: `SIGRTMIN+3`.
fn is_signal(text: &str) -> bool {
    let name = text.to_ascii_uppercase();
    let name = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    let real_time = |rest: &str| rest.is_empty() || rest[1..].parse::<u8>().is_ok_and(|n| n <= 15);
    text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number))
        || name.parse::<Signal>().is_ok()
        || name
            .strip_prefix("SIGRTMIN")
            .is_some_and(|rest| (rest.is_empty() || rest.starts_with('+')) && real_time(rest))
        || name
            .strip_prefix("SIGRTMAX")
            .is_some_and(|rest| (rest.is_empty() || rest.starts_with('-')) && real_time(rest))
}

/// Fills in what an image that sets no `PATH` gets.
pub fn set_default_path(config: &mut RunConfig) {
    if get_env(&config.env, "PATH").is_none() {
        config.env.get_or_insert_default().insert(0, layout::oci::defaults::PATH.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn text(instruction: Instruction) -> String {
        apply(&instruction, &mut RunConfig::default(), false).unwrap()
    }

    /// The texts are those of `docker history --no-trunc` after a build by docker 20.10.
    #[test]
    fn the_history_is_in_dockers_words() {
        let env = pairs(&[("a", "b"), ("c", "d e")]);
        for (instruction, expected) in [
            (Instruction::Env(env.clone()), "ENV a=b c=d e"),
            (Instruction::Label(env), "LABEL a=b c=d e"),
            (Instruction::Expose(strings(&["80", "443/udp"])), "EXPOSE 443/udp 80"),
            (Instruction::Volume(strings(&["/c", "/d e"])), "VOLUME [/c /d e]"),
            (Instruction::User("web".into()), "USER web"),
            (Instruction::StopSignal("SIGINT".into()), "STOPSIGNAL SIGINT"),
            (Instruction::Cmd(Command::Exec(strings(&["python", "app.py"]))), r#"CMD ["python" "app.py"]"#),
            (Instruction::Cmd(Command::Shell("echo \"hi\"".into())), r#"CMD ["/bin/sh" "-c" "echo \"hi\""]"#),
            (Instruction::Entrypoint(Command::Exec(vec![])), "ENTRYPOINT []"),
            (Instruction::Maintainer("Me <me@x.org>".into()), "MAINTAINER Me <me@x.org>"),
            (Instruction::Arg(vec![("X".into(), None), ("Z".into(), Some("zz".into()))]), "ARG X Z=zz"),
        ] {
            assert_eq!(text(instruction), format!("/bin/sh -c #(nop)  {expected}"));
        }
    }

    #[test]
    fn variables_are_replaced_where_they_stand() {
        let mut config = RunConfig::default();
        set_default_path(&mut config);
        apply(&Instruction::Env(pairs(&[("A", "1"), ("AB", "2")])), &mut config, false).unwrap();
        apply(&Instruction::Env(pairs(&[("A", "3")])), &mut config, false).unwrap();
        set_default_path(&mut config);
        assert_eq!(config.env.as_ref().unwrap()[1..], strings(&["A=3", "AB=2"]));
        assert_eq!(get_env(&config.env, "A").as_deref(), Some("3"));
        assert_eq!(get_env(&config.env, "B"), None);
    }

    #[test]
    fn an_entry_point_takes_back_only_an_inherited_cmd() {
        let entrypoint = Instruction::Entrypoint(Command::Exec(strings(&["/x"])));
        for (cmd_is_ours, kept) in [(false, None), (true, Some(strings(&["y"])))] {
            let mut config = RunConfig { cmd: Some(strings(&["y"])), ..RunConfig::default() };
            apply(&entrypoint, &mut config, cmd_is_ours).unwrap();
            assert_eq!(config.cmd, kept);
        }
    }

    #[test]
    fn ports_and_signals_are_checked() {
        assert_eq!(ports_of("80-82/TCP").unwrap(), ["80/tcp", "81/tcp", "82/tcp"]);
        for bad in ["foo", "99999", "0", "82-80", "80/icmp", "", "80-"] {
            assert!(ports_of(bad).is_err(), "{bad}");
        }
        for good in ["SIGTERM", "term", "9", "64", "SIGRTMIN+3", "RTMAX-1", "SIGRTMIN"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["FOO", "0", "65", "SIGRTMIN-1", "", "SIG", "SIGRTMIN+99"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
