//! One logical line, read as one instruction: the keyword, then `--flags`, then arguments in the instruction's own way.

use super::error::ParseError;
use super::instruction::{Command, Instruction, KEYWORDS, Transfer, nearest_keyword};
use super::lexer::Line;
use super::words::{self, ExecForm};

/// One logical line while it is read: the keyword is off, flags and arguments follow.
pub struct Reader<'a> {
    line: &'a Line,
    keyword: String,
    /// What follows the keyword.
    rest: &'a str,
    escape: char,
}

/// A `--name=value` before the arguments.
struct Flag<'a> {
    name: &'a str,
    value: Option<&'a str>,
    offset: usize,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Reader<'a> {
    /// Takes the keyword off.
    pub fn new(line: &'a Line, escape: char) -> Reader<'a> {
        let (keyword, rest) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
        Reader { line, keyword: keyword.to_ascii_uppercase(), rest: rest.trim_start(), escape }
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// What is wrong with it, in docker's words where docker has them.
    pub fn instruction(mut self) -> Parsed<Instruction> {
        let flags = self.take_flags();
        if !KEYWORDS.contains(&self.keyword.as_str()) {
            return Err(self.unknown());
        }
        let chown = self.check_flags(&flags)?;
        self.refuse_here_documents()?;
        Ok(match self.keyword.as_str() {
            "FROM" => self.from()?,
            "ARG" => self.arg()?,
            "COPY" => Instruction::Copy(self.transfer(chown)?),
            "ADD" => Instruction::Add(self.transfer(chown)?),
            "RUN" => Instruction::Run(self.command()?),
            "CMD" => Instruction::Cmd(self.command()?),
            "ENTRYPOINT" => Instruction::Entrypoint(self.command()?),
            "ENV" => Instruction::Env(self.pairs()?),
            "LABEL" => Instruction::Label(self.pairs()?),
            "WORKDIR" => Instruction::Workdir(self.one()?),
            "USER" => Instruction::User(self.one()?),
            "STOPSIGNAL" => Instruction::StopSignal(self.one()?),
            "MAINTAINER" => Instruction::Maintainer(self.one()?),
            "EXPOSE" => Instruction::Expose(self.at_least_one(words::plain(self.rest))?),
            "VOLUME" => Instruction::Volume(self.volumes()?),
            // SHELL, HEALTHCHECK, ONBUILD
            other => return Err(self.error(format!("{other} is not there yet"))),
        })
    }

    /// An error at the start of the instruction.
    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::at(self.line.position(0), message)
    }

    /// An error at a byte of `rest`.
    fn error_at(&self, offset: usize, message: impl Into<String>) -> ParseError {
        ParseError::at(self.line.position(self.line.text.len() - self.rest.len() + offset), message)
    }

    fn unknown(&self) -> ParseError {
        let hint =
            nearest_keyword(&self.keyword).map(|keyword| format!(": did you mean {keyword}?")).unwrap_or_default();
        self.error(format!("unknown instruction: {}{hint}", self.keyword))
    }

    /// Takes the `--name=value` words off the front. `--` alone ends them.
    fn take_flags(&mut self) -> Vec<Flag<'a>> {
        let mut flags = Vec::new();
        while let Some((_, word)) = words::quoted(self.rest, self.escape).first().copied()
            && let Some(flag) = word.strip_prefix("--")
        {
            let offset = self.line.text.len() - self.rest.len();
            self.rest = self.rest[word.len()..].trim_start();
            if flag.is_empty() {
                break;
            }
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            flags.push(Flag { name, value, offset });
        }
        flags
    }

    /// Gives the value of `--chown`, and refuses all other flags.
    fn check_flags(&self, flags: &[Flag]) -> Parsed<Option<String>> {
        let mut chown = None;
        for flag in flags {
            let error = |message: String| ParseError::at(self.line.position(flag.offset), message);
            let not_yet = match (self.keyword.as_str(), flag.name) {
                ("COPY" | "ADD", "chown") if chown.is_some() => {
                    return Err(error("Duplicate flag specified: chown".to_owned()));
                }
                ("COPY" | "ADD", "chown") => match flag.value {
                    Some(value) if !value.is_empty() => {
                        chown = Some(value.to_owned());
                        continue;
                    }
                    _ => return Err(error("Missing a value on flag: chown".to_owned())),
                },
                ("COPY", "from" | "link" | "parents" | "exclude" | "chmod") => true,
                ("ADD", "link" | "checksum" | "keep-git-dir" | "exclude" | "chmod" | "unpack") => true,
                ("RUN", "mount" | "network" | "security" | "device") => true,
                ("FROM", "platform") => true,
                _ => false,
            };
            return Err(error(match not_yet {
                true => format!("{} --{} is not there yet", self.keyword, flag.name),
                false => format!("Unknown flag: {}", flag.name),
            }));
        }
        Ok(chown)
    }

    /// `RUN <<EOF` begins a text that ends lines later; without this, its lines would be read as instructions.
    fn refuse_here_documents(&self) -> Parsed<()> {
        if !matches!(self.keyword.as_str(), "RUN" | "COPY" | "ADD") {
            return Ok(());
        }
        let opens = |word: &str| {
            let after = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
            let name = after.strip_prefix('-').unwrap_or(after).trim_start_matches(['"', '\'']);
            name.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some(())
        };
        match words::quoted(self.rest, self.escape).into_iter().find(|(_, word)| opens(word).is_some()) {
            Some((offset, _)) => {
                Err(self.error_at(offset, format!("a here-document in {} is not there yet", self.keyword)))
            }
            None => Ok(()),
        }
    }

    fn from(&self) -> Parsed<Instruction> {
        let image = |(_, word): &(usize, &str)| (*word).to_owned();
        match words::plain(self.rest).as_slice() {
            [base] => Ok(Instruction::From { image: image(base), stage: None }),
            [base, (_, keyword), stage] if keyword.eq_ignore_ascii_case("as") => {
                let name = stage.1.to_ascii_lowercase();
                let valid = name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if !valid {
                    return Err(self.error_at(stage.0, format!("invalid name for build stage: {:?}", stage.1)));
                }
                Ok(Instruction::From { image: image(base), stage: Some(name) })
            }
            [_, other, _] => Err(self.error_at(other.0, "second argument to FROM must be AS")),
            _ => Err(self.error("FROM requires either one or three arguments")),
        }
    }

    fn arg(&self) -> Parsed<Instruction> {
        let words = words::quoted(self.rest, self.escape);
        let args = words.iter().map(|(offset, word)| {
            let (name, default) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
            match name.is_empty() {
                true => Err(self.error_at(*offset, "ARG names can not be blank")),
                false => Ok((name.to_owned(), default.map(str::to_owned))),
            }
        });
        let args = args.collect::<Parsed<Vec<_>>>()?;
        if args.is_empty() { Err(self.error("ARG requires at least one argument")) } else { Ok(Instruction::Arg(args)) }
    }

    /// `NAME=value ...`, or the old form `NAME value to the end of the line`.
    fn pairs(&self) -> Parsed<Vec<(String, String)>> {
        let keyword = &self.keyword;
        let words = words::quoted(self.rest, self.escape);
        let Some((_, first)) = words.first() else {
            return Err(self.error(format!("{keyword} requires at least one argument")));
        };
        if !first.contains('=') {
            return match self.rest.split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![(name.to_owned(), value.trim().to_owned())]),
                None => Err(self.error(format!("{keyword} must have two arguments"))),
            };
        }
        let pair = |(offset, word): &(usize, &str)| match word.split_once('=') {
            Some(("", _)) => Err(self.error_at(*offset, format!("{keyword} names can not be blank"))),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => {
                let message = format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value");
                Err(self.error_at(*offset, message))
            }
        };
        words.iter().map(pair).collect()
    }

    fn transfer(&self, chown: Option<String>) -> Parsed<Transfer> {
        let keyword = &self.keyword;
        let mut sources = self.strings_or(|| words::plain(self.rest))?;
        let destination = match sources.pop() {
            Some(destination) if !sources.is_empty() => destination,
            _ => {
                return Err(self.error(format!(
                    "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
                )));
            }
        };
        Ok(Transfer { sources, destination, chown })
    }

    fn command(&self) -> Parsed<Command> {
        match words::exec_form(self.rest) {
            ExecForm::Strings(argv) => Ok(Command::Exec(argv)),
            ExecForm::NotStrings => Err(self.not_strings()),
            ExecForm::Absent => Ok(Command::Shell(self.rest.to_owned())),
        }
    }

    fn volumes(&self) -> Parsed<Vec<String>> {
        let volumes = self.strings_or(|| words::plain(self.rest))?;
        if volumes.iter().any(|volume| volume.trim().is_empty()) {
            return Err(self.error("VOLUME specified can not be an empty string"));
        }
        if volumes.is_empty() { Err(self.error("VOLUME requires at least one argument")) } else { Ok(volumes) }
    }

    /// A JSON array of strings, or else words.
    fn strings_or(&self, words: impl FnOnce() -> Vec<words::Word<'a>>) -> Parsed<Vec<String>> {
        match words::exec_form(self.rest) {
            ExecForm::Strings(strings) => Ok(strings),
            ExecForm::NotStrings => Err(self.not_strings()),
            ExecForm::Absent => Ok(words().into_iter().map(|(_, word)| word.to_owned()).collect()),
        }
    }

    fn not_strings(&self) -> ParseError {
        self.error_at(0, "when using JSON array syntax, arrays must be comprised of strings only")
    }

    fn at_least_one(&self, words: Vec<words::Word>) -> Parsed<Vec<String>> {
        if words.is_empty() {
            return Err(self.error(format!("{} requires at least one argument", self.keyword)));
        }
        Ok(words.into_iter().map(|(_, word)| word.to_owned()).collect())
    }

    /// The whole rest of the line as one argument.
    fn one(&self) -> Parsed<String> {
        if self.rest.is_empty() {
            return Err(self.error(format!("{} requires exactly one argument", self.keyword)));
        }
        Ok(self.rest.to_owned())
    }
}
