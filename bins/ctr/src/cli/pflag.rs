//! What docker's command line takes besides: Go's pflag reads it, which is less strict than clap.
//!
//! Of an option that is given twice the last one counts; what comes after an option that has a value is the value, whatever it
//! begins with; a switch may say `=true` or `=false`. Nobody needs to be told so by `--help`: the commands are asked in this form only
//! for a line that they do not understand in the plain one.

use clap::{Arg, ArgAction, Command};

/// The commands in that form.
pub fn as_pflag(mut command: Command) -> Command {
    // Deferred options are there only then.
    command.build();
    relaxed(command)
}

fn relaxed(command: Command) -> Command {
    command.args_override_self(true).mut_args(relax).mut_subcommands(relaxed)
}

fn relax(arg: Arg) -> Arg {
    match arg.get_action() {
        _ if arg.is_positional() => arg,
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_parser(boolean)
            .default_missing_value("true")
            .hide_default_value(true)
            .value_name("BOOL"),
        ArgAction::Set | ArgAction::Append => arg.allow_hyphen_values(true),
        _ => arg,
    }
}

/// Go's ParseBool.
pub fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("invalid syntax".to_owned()),
    }
}
