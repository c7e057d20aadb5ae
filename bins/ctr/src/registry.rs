//! Images from registries and to them: `layerfs` does it, with our streams; here is when, and in which words it is asked to.

use crate::cli::{self, PullPolicy};
use crate::plan::{Plan, Step};
use anyhow::{Context, Result, bail};
use layout::images::{self, platforms};
use layout::oci::image::Platform;
use layout::tool::{Call, Tool};
use layout::{Layout, Reference, exit};
use std::io::Write;
use std::process::Stdio;

/// `ctr pull`
pub fn pull(args: &cli::Pull) -> Call {
    Call::new(Tool::Layerfs)
        .arg("pull")
        .args(args.all_tags.then_some("--all-tags"))
        .args(args.quiet.then_some("--quiet"))
        .args(args.platform.iter().flat_map(|platform| ["--platform", platform]))
        .arg(&args.name)
}

/// `ctr push`
pub fn push(args: &cli::Push) -> Call {
    Call::new(Tool::Layerfs)
        .arg("push")
        .args(args.all_tags.then_some("--all-tags"))
        .args(args.quiet.then_some("--quiet"))
        .arg(&args.name)
}

/// `ctr login`. A password is not in the call: it is to be read from standard input.
pub fn login(args: &cli::Login) -> Call {
    Call::new(Tool::Layerfs)
        .arg("login")
        .args(args.username.iter().flat_map(|name| ["--username", name]))
        .args((args.password_stdin || args.password.is_some()).then_some("--password-stdin"))
        .args(&args.server)
}

/// Makes that call with a password that stood on our own command line, where it was seen by enough people. Gives the exit code.
///
/// # Errors
/// `layerfs` cannot be run.
pub fn log_in(call: &Call, password: &str) -> Result<u8> {
    eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    let mut child = call.command()?.stdin(Stdio::piped()).spawn().context("run layerfs")?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have found something wrong already, and says so.
        let _ = stdin.write_all(password.as_bytes());
    }
    Ok(exit::from_status(child.wait().context("wait for layerfs")?))
}

/// `ctr logout`
pub fn logout(args: &cli::Logout) -> Call {
    Call::new(Tool::Layerfs).arg("logout").args(&args.server)
}

/// The steps that get the image of a container to be: none when it is here, or must be.
///
/// # Errors
/// With `explain`, an image that is not here: what the steps after it are is written in the image.
pub fn provide(layout: &Layout, args: &cli::Create, explain: bool) -> Result<Plan> {
    let mut plan = Plan::default();
    let here = is_here(layout, args)?;
    if args.pull == PullPolicy::Never || (here && args.pull == PullPolicy::Missing) {
        return Ok(plan);
    }
    let reference = Reference::parse(args.image())?;
    let quiet = args.quiet;
    let call = Call::new(Tool::Layerfs)
        .arg("pull")
        .arg(if quiet { "--quiet" } else { "--status-only" })
        .args(args.platform.iter().flat_map(|platform| ["--platform", platform]))
        .arg(reference.familiar());
    if here {
        plan.note("the image, if the registry has a newer one");
    } else if explain {
        bail!(
            "Unable to find image '{reference}' locally: what is done with it is written in it; get it first ({call})"
        );
    } else if args.pull == PullPolicy::Missing && !quiet {
        eprintln!("Unable to find image '{reference}' locally");
    }
    plan.push(if quiet { Step::Call(call) } else { Step::Aside(call) });
    Ok(plan)
}

fn is_here(layout: &Layout, args: &cli::Create) -> Result<bool> {
    let Some(platform) = args.platform.as_deref() else {
        // By its name it is found without a look at the others.
        return Ok(matches!(platforms::by_name(layout, args.image(), None), Ok(Some(_)))
            || images::lookup(layout, args.image())?.is_some());
    };
    Ok(platforms::find(layout, args.image(), Some(&Platform::parse(platform)?)).is_ok())
}
