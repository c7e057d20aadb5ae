//! The instructions of a Dockerfile as types.

use anyhow::Result;

/// The words that an instruction can start with.
pub const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// One instruction. Texts are as written, quotes and variables included, until [`Instruction::expand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// The image to start from, and the stage's name.
    From { image: String, stage: Option<String> },
    /// A variable of the build, and its default.
    Arg(Vec<(String, Option<String>)>),
    /// Files from the context.
    Copy(Transfer),
    /// As COPY, and more: archives and URLs.
    Add(Transfer),
    /// A command that is run now, and whose changes are kept.
    Run(Command),
    /// Variables of the container's environment.
    Env(Vec<(String, String)>),
    /// The working folder.
    Workdir(String),
    /// Ports that the program listens on.
    Expose(Vec<String>),
    /// The program that the container runs, or its default arguments.
    Cmd(Command),
    /// The program that the container runs.
    Entrypoint(Command),
    /// Labels.
    Label(Vec<(String, String)>),
    /// Who the program runs as.
    User(String),
    /// Folders that are volumes.
    Volume(Vec<String>),
    /// The signal that stops the program.
    StopSignal(String),
    /// Who made the image.
    Maintainer(String),
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `RUN text`: a shell reads the text.
    Shell(String),
    /// `RUN ["program", "argument"]`: run as it is.
    Exec(Vec<String>),
}

impl Command {
    /// Program and arguments; the shell form is given to `/bin/sh -c`.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
            Command::Exec(argv) => argv.clone(),
        }
    }
}

/// What COPY and ADD bring into the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Paths or patterns in the context; at least one.
    pub sources: Vec<String>,
    /// Where in the image; relative to the working folder.
    pub destination: String,
    /// `USER[:GROUP]` that the copies belong to, else root.
    pub chown: Option<String>,
}

impl Instruction {
    /// The instruction with its variables replaced by `word`, in those instructions where docker does so.
    /// The commands of RUN, CMD and ENTRYPOINT are left alone: their `$x` is the shell's, when they run.
    ///
    /// # Errors
    /// Those of `word`.
    pub fn expand(&self, word: impl Fn(&str) -> Result<String>) -> Result<Instruction> {
        let list = |words: &[String]| words.iter().map(|w| word(w)).collect::<Result<Vec<_>>>();
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| Ok((word(name)?, word(value)?))).collect::<Result<Vec<_>>>()
        };
        let transfer = |transfer: &Transfer| -> Result<Transfer> {
            Ok(Transfer {
                sources: list(&transfer.sources)?,
                destination: word(&transfer.destination)?,
                chown: transfer.chown.as_deref().map(&word).transpose()?,
            })
        };
        Ok(match self {
            Instruction::From { image, stage } => Instruction::From { image: word(image)?, stage: stage.clone() },
            Instruction::Arg(args) => Instruction::Arg(
                args.iter()
                    .map(|(name, default)| Ok((word(name)?, default.as_deref().map(&word).transpose()?)))
                    .collect::<Result<_>>()?,
            ),
            Instruction::Copy(it) => Instruction::Copy(transfer(it)?),
            Instruction::Add(it) => Instruction::Add(transfer(it)?),
            Instruction::Env(it) => Instruction::Env(pairs(it)?),
            Instruction::Label(it) => Instruction::Label(pairs(it)?),
            Instruction::Workdir(it) => Instruction::Workdir(word(it)?),
            // The one place where a variable may hold several words: EXPOSE $PORTS.
            Instruction::Expose(it) => Instruction::Expose(
                list(it)?.iter().flat_map(|ports| ports.split_whitespace()).map(str::to_owned).collect(),
            ),
            Instruction::User(it) => Instruction::User(word(it)?),
            Instruction::Volume(it) => Instruction::Volume(list(it)?),
            Instruction::StopSignal(it) => Instruction::StopSignal(word(it)?),
            Instruction::Run(_) | Instruction::Cmd(_) | Instruction::Entrypoint(_) | Instruction::Maintainer(_) => {
                self.clone()
            }
        })
    }
}

/// The keyword that was most likely meant by `word`, if one is near enough.
pub fn nearest_keyword(word: &str) -> Option<&'static str> {
    let word: Vec<char> = word.chars().collect();
    let allowed = (word.len() / 3).max(1);
    KEYWORDS
        .into_iter()
        .map(|keyword| (distance(&word, &keyword.chars().collect::<Vec<_>>()), keyword))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, keyword)| keyword)
}

/// How many letters were dropped, added, mistaken or swapped with their neighbour between two words
/// (the "optimal string alignment" distance).
fn distance(a: &[char], b: &[char]) -> usize {
    // rows[i][j]: between the first i letters of a and the first j of b.
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let mistaken = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + mistaken);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_keyword_is_recognised() {
        for (word, keyword) in
            [("RUNN", "RUN"), ("RNU", "RUN"), ("COPPY", "COPY"), ("ENTRYPIONT", "ENTRYPOINT"), ("WORKDIRR", "WORKDIR")]
        {
            assert_eq!(nearest_keyword(word), Some(keyword), "{word}");
        }
        for word in ["ECHO", "FOO", "INSTALL", ""] {
            assert_eq!(nearest_keyword(word), None, "{word}");
        }
    }

    #[test]
    fn only_expose_makes_several_words_of_one() {
        let word = |_: &str| Ok("80 443".to_owned());
        let expose = Instruction::Expose(vec!["$P".into()]).expand(word).unwrap();
        assert_eq!(expose, Instruction::Expose(vec!["80".into(), "443".into()]));
        let volume = Instruction::Volume(vec!["$P".into()]).expand(word).unwrap();
        assert_eq!(volume, Instruction::Volume(vec!["80 443".into()]));
        let run = Instruction::Run(Command::Shell("$P".into()));
        assert_eq!(run.expand(word).unwrap(), run);
    }
}
