//! Perl: as for Python, the interpreter is asked where its modules are.

use crate::host::Builder;
use crate::programs;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of the modules that come with perl. Debian has some of them apart, in `perl-base`.
const QUESTION: &str =
    r#"use Config; print "$_\n" for $Config{privlibexp}, $Config{archlibexp}, grep { m{/perl-base$} } @INC"#;

/// Adds the `perl` of PATH with its core modules.
///
/// # Errors
/// There is none, or it does not answer.
pub fn add(builder: &mut Builder) -> Result<()> {
    let perl = programs::find_in_path("perl").context("find perl: it is not in PATH")?;
    let output = Command::new(&perl)
        .args(["-e", QUESTION])
        .env_remove("PERL5LIB")
        .env_remove("PERL5OPT")
        .output()
        .with_context(|| format!("run {}", perl.display()))?;
    if !output.status.success() {
        bail!("ask {} where its modules are: {}", perl.display(), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let mut folders: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
    folders.sort();
    folders.dedup();
    builder.add_program(&perl)?;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        builder.add_library_folder(folder, &is_wanted)?;
    }
    Ok(())
}

/// Manuals and C headers stay behind.
fn is_wanted(path: &Path) -> bool {
    let has = |extension: &str| path.extension().is_some_and(|e| e == extension);
    !(has("pod") || has("h") || has("a"))
}
