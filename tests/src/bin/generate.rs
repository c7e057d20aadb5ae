//! `generate man DIR` and `generate completions DIR`: made from the very types that read the command lines.
//!
//! Here and not in the tools, which would carry it to every start-up. Each tool's `cli.rs` stands by itself
//! for this: it uses nothing of its crate.

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use std::path::Path;

/// Includes the command line of each tool as a module.
macro_rules! command_lines {
    ($($module:ident: $path:literal,)*) => {
        $(
            #[path = $path]
            #[allow(dead_code, unused_imports, missing_docs)]
            mod $module;
        )*
        fn command_lines() -> Vec<Command> {
            vec![$($module::Cli::command()),*]
        }
    };
}

command_lines! {
    unshare_run: "../../../bins/unshare-run/src/cli.rs",
    cgset: "../../../bins/cgset/src/cli.rs",
    mkrootfs: "../../../bins/mkrootfs/src/cli.rs",
    layerfs: "../../../bins/layerfs/src/cli.rs",
    portfwd: "../../../bins/portfwd/src/cli.rs",
    imgbuild: "../../../bins/imgbuild/src/cli.rs",
    ctr: "../../../bins/ctr/src/cli.rs",
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["man", dir] => man(Path::new(dir)),
        ["completions", dir] => completions(Path::new(dir)),
        _ => bail!("usage: generate man DIR | generate completions DIR"),
    }
}

/// One page a tool and one for each of its commands, as git has it: `ctr.1`, `ctr-run.1`.
fn man(dir: &Path) -> Result<()> {
    make(dir)?;
    for tool in command_lines() {
        let name = tool.get_name().to_owned();
        clap_mangen::generate_to(tool, dir).with_context(|| format!("write the pages of {name}"))?;
    }
    Ok(())
}

/// One file a tool and shell, under the name that the shell looks for.
fn completions(dir: &Path) -> Result<()> {
    for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let dir = dir.join(name);
        make(&dir)?;
        for mut tool in command_lines() {
            let tool_name = tool.get_name().to_owned();
            let file = generate_to(shell, &mut tool, &tool_name, &dir)
                .with_context(|| format!("write the {name} completions of {tool_name}"))?;
            if tool_name == "ctr" {
                add_names(shell, &file)?;
            }
            if shell == Shell::Bash {
                // bash-completion loads a file of exactly the command's name.
                std::fs::rename(&file, dir.join(&tool_name)).with_context(|| format!("rename {}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// What clap makes knows the words of the command line; the names of containers and images are asked of `ctr` itself.
fn add_names(shell: Shell, file: &Path) -> Result<()> {
    let read = std::fs::read_to_string(file);
    let text = read.with_context(|| format!("read {}", file.display()))?;
    let text = match shell {
        Shell::Bash => text + include_str!("../../completions/names.bash"),
        Shell::Fish => text + include_str!("../../completions/names.fish"),
        _ => {
            let lines: Vec<String> = text.lines().map(zsh_line).collect();
            let text = lines.join("\n") + "\n";
            // Before what calls the function; a function must be there by then.
            let call = text.rfind("if [ \"$funcstack[1]\"").unwrap_or(text.len());
            format!("{}{}{}", &text[..call], include_str!("../../completions/names.zsh"), &text[call..])
        }
    };
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// An argument that is a name, `'*::containers -- Containers, by name or id:_default'`, asks for it.
fn zsh_line(line: &str) -> String {
    let Some((argument, _)) = line.split_once(" -- ") else { return line.to_owned() };
    let about_container = line.contains("-- The container, ");
    let function = match argument.trim_start_matches(['\'', '*', ':', ' ']) {
        "container" | "containers" => "_ctr_containers",
        "words" if about_container => "_ctr_containers",
        "image" | "images" | "words" => "_ctr_images",
        "volumes" => "_ctr_volumes",
        "names" | "name" if line.contains("by name or id") => "_ctr_all",
        _ => return line.to_owned(),
    };
    line.replace(":_default'", &format!(":{function}'"))
}

fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_lines_hold_together() {
        for tool in super::command_lines() {
            tool.debug_assert();
        }
    }
}
