//! The list of commands in `ctr --help`: in groups, in the order in which one comes to need them.

use clap::Command;

/// Each command's group.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Run", &["run", "ps", "logs", "exec", "stop", "start", "rm"]),
    (
        "Get images, and make them",
        &["images", "pull", "build", "history", "tag", "push", "rmi", "commit", "import", "save", "load"],
    ),
    (
        "More about containers",
        &[
            "create", "attach", "restart", "kill", "pause", "unpause", "wait", "rename", "update", "cp", "diff",
            "export",
        ],
    ),
    ("Look inside", &["inspect", "top", "stats", "port", "events", "where"]),
    ("The engine", &["info", "version", "doctor", "login", "logout"]),
    ("By docker's long names", &["container", "image", "volume", "network", "system"]),
];

/// The command with a help that lists its commands in groups. One that is in no group is listed last.
pub fn grouped(command: Command) -> Command {
    let about = |name: &str| command.get_subcommands().find(|known| known.get_name() == name && !known.is_hide_set());
    let line = |known: &Command| {
        format!("  {:<10} {}\n", known.get_name(), known.get_about().map(ToString::to_string).unwrap_or_default())
    };
    let mut list = String::new();
    for (title, names) in GROUPS {
        let lines: String = names.iter().filter_map(|name| about(name)).map(line).collect();
        if !lines.is_empty() {
            list.push_str(&format!("{title}:\n{lines}\n"));
        }
    }
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let others = command.get_subcommands().filter(|known| !known.is_hide_set() && !is_grouped(known.get_name()));
    let others: String = others.map(line).collect();
    if !others.is_empty() {
        list.push_str(&format!("Others:\n{others}\n"));
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}{{after-help}}\n\n`ctr COMMAND --help` tells of a command.\n"
    ))
}
