//! The command line. Self-contained (std, clap, layout): completions and man pages are made from this file.

use clap::Parser;
use layout::Reference;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Build the Dockerfile in this folder, and name the image:
    imgbuild -t pythonweb .

  See what is done for each step, as shell lines:
    imgbuild --verbose --no-cache -t pythonweb .

The cache is the images themselves: `ctr images -a` lists what each step left, `ctr history` shows their texts.";

/// Build an image from a Dockerfile, one cached layer a step.
///
/// Each instruction starts from the image that the one before left, and leaves an image itself: COPY's layer is
/// the files, RUN's is what its command changed, the rest change only the configuration. A step that was done
/// before on the same image, with the same text and the same files, is not done again.
#[derive(Debug, Parser)]
#[command(name = "imgbuild", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Name the image (NAME[:TAG]); may be repeated
    #[arg(short, long = "tag", value_name = "REF", value_parser = parse_tag)]
    pub tags: Vec<Reference>,
    /// The Dockerfile [default: CONTEXT/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set a variable that the Dockerfile declares with ARG; without =VALUE it is taken from the environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub build_args: Vec<String>,
    /// Do every step, whether it was done before or not
    #[arg(long)]
    pub no_cache: bool,
    /// Print nothing but the image's id
    #[arg(short, long)]
    pub quiet: bool,
    /// Print each call of another tool on standard error, as a line of shell
    #[arg(short, long)]
    pub verbose: bool,
    /// The folder whose files COPY may take
    #[arg(value_name = "CONTEXT")]
    pub context: PathBuf,
}

fn parse_tag(text: &str) -> Result<Reference, String> {
    Reference::parse_name(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["imgbuild", "-t", "a", "-t", "b:1", "--build-arg", "X=1", "-q", "."]).unwrap();
        assert_eq!(cli.tags.iter().map(Reference::familiar).collect::<Vec<_>>(), ["a:latest", "b:1"]);
        assert!(Cli::try_parse_from(["imgbuild", "-t", "Foo", "."]).is_err());
        assert!(Cli::try_parse_from(["imgbuild"]).is_err());
    }
}
