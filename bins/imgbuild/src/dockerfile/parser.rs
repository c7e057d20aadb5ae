//! The second pass: each logical line becomes one instruction ([`super::reader`]), and their order is checked.

use super::error::ParseError;
use super::instruction::{Command, Instruction};
use super::lexer::{self, Line};
use super::reader::Reader;

/// A Dockerfile that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its instructions in order: one FROM, with nothing but ARGs before it.
    pub steps: Vec<Step>,
    /// The escape character: `\` or a backtick.
    pub escape: char,
    /// What is legal and most likely a mistake.
    pub warnings: Vec<String>,
}

/// One instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line that it starts on.
    pub line: usize,
    /// Its text, as `Step 1/7 : ` shows it.
    pub source: String,
    /// What it says.
    pub instruction: Instruction,
}

/// Reads a Dockerfile.
///
/// # Errors
/// The first thing that is wrong, with its place, in docker's words where docker has them.
pub fn parse(text: &str) -> Result<Dockerfile, ParseError> {
    let lexed = lexer::lex(text)?;
    let mut file = Dockerfile { steps: Vec::new(), escape: lexed.escape, warnings: Vec::new() };
    for number in lexed.empty_continuations {
        file.warnings
            .push(format!("line {number}: the instruction goes on past an empty line; newer builders refuse that"));
    }
    let mut has_stage = false;
    for line in &lexed.lines {
        let instruction = Reader::new(line, lexed.escape).instruction()?;
        let is_from = matches!(instruction, Instruction::From { .. });
        if is_from && has_stage {
            return Err(ParseError::at(line.position(0), "a second FROM (a build in several stages) is not there yet"));
        }
        has_stage |= is_from;
        if !has_stage && !matches!(instruction, Instruction::Arg(_)) {
            return Err(ParseError::at(
                line.position(0),
                "no build stage in current context: only ARG can stand before FROM",
            ));
        }
        file.warnings.extend(almost_json(&instruction, line));
        file.steps.push(Step { line: line.number(), source: line.text.clone(), instruction });
    }
    match has_stage {
        true => Ok(file),
        false if file.steps.is_empty() => Err(ParseError::of_file("file with no instructions")),
        false => Err(ParseError::of_file("no build stage in current context: there is no FROM")),
    }
}

/// Something in brackets that is no JSON is taken as the shell form, and hardly ever meant so.
fn almost_json(instruction: &Instruction, line: &Line) -> Option<String> {
    let (Instruction::Run(Command::Shell(text))
    | Instruction::Cmd(Command::Shell(text))
    | Instruction::Entrypoint(Command::Shell(text))) = instruction
    else {
        return None;
    };
    let looks_so = text.starts_with('[') && text.ends_with(']') && !text.starts_with("[[") && !text.starts_with("[ ");
    looks_so.then(|| {
        format!(
            "line {}: {text} is no JSON (the exec form takes double quotes), so a shell will read it",
            line.number()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::error::Position;
    use crate::dockerfile::instruction::Transfer;
    use proptest::prelude::*;

    fn one(text: &str) -> Instruction {
        parse(&format!("FROM base\n{text}\n")).unwrap().steps.pop().unwrap().instruction
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_whole_file_is_read() {
        let file = parse("# comment\nARG V=1\nfrom python:$V as Web\nRUN a \\\n  b\n").unwrap();
        let shown: Vec<_> = file.steps.iter().map(|step| (step.line, step.source.as_str())).collect();
        assert_eq!(shown, [(2, "ARG V=1"), (3, "from python:$V as Web"), (4, "RUN a   b")]);
        assert_eq!(
            file.steps[1].instruction,
            Instruction::From { image: "python:$V".into(), stage: Some("web".into()) }
        );
    }

    #[test]
    fn commands_have_two_forms() {
        assert_eq!(one("RUN echo  \"a\" && b"), Instruction::Run(Command::Shell("echo  \"a\" && b".into())));
        assert_eq!(one("CMD [\"a\", \"b c\"]"), Instruction::Cmd(Command::Exec(strings(&["a", "b c"]))));
        assert_eq!(one("ENTRYPOINT []"), Instruction::Entrypoint(Command::Exec(vec![])));
        assert_eq!(one("CMD"), Instruction::Cmd(Command::Shell(String::new())));
        assert_eq!(one("RUN [ -f x ] && y"), Instruction::Run(Command::Shell("[ -f x ] && y".into())));
    }

    #[test]
    fn names_and_values_have_two_forms() {
        assert_eq!(one("ENV a=b c=\"d e\""), Instruction::Env(pairs(&[("a", "b"), ("c", "\"d e\"")])));
        assert_eq!(one("ENV k  v w  x"), Instruction::Env(pairs(&[("k", "v w  x")])));
        assert_eq!(one("LABEL \"a b\"=c"), Instruction::Label(pairs(&[("\"a b\"", "c")])));
        assert_eq!(
            one("ARG a b=c d="),
            Instruction::Arg(vec![("a".into(), None), ("b".into(), Some("c".into())), ("d".into(), Some("".into()))])
        );
    }

    #[test]
    fn copies_have_sources_a_destination_and_an_owner() {
        let transfer = |sources: &[&str], destination: &str, chown: Option<&str>| Transfer {
            sources: strings(sources),
            destination: destination.to_owned(),
            chown: chown.map(str::to_owned),
        };
        assert_eq!(one("COPY a  b /c/"), Instruction::Copy(transfer(&["a", "b"], "/c/", None)));
        assert_eq!(one("ADD [\"a b\", \"/c d\"]"), Instruction::Add(transfer(&["a b"], "/c d", None)));
        assert_eq!(one("COPY --chown=web:logs a b"), Instruction::Copy(transfer(&["a"], "b", Some("web:logs"))));
    }

    #[test]
    fn the_rest_takes_words_or_the_line() {
        assert_eq!(one("EXPOSE 80 443/udp"), Instruction::Expose(strings(&["80", "443/udp"])));
        assert_eq!(one("VOLUME /a /b"), Instruction::Volume(strings(&["/a", "/b"])));
        assert_eq!(one("VOLUME [\"/a b\"]"), Instruction::Volume(strings(&["/a b"])));
        assert_eq!(one("WORKDIR /a b"), Instruction::Workdir("/a b".into()));
        assert_eq!(one("MAINTAINER Me  <me@x>"), Instruction::Maintainer("Me  <me@x>".into()));
    }

    #[test]
    fn errors_are_in_dockers_words() {
        for (text, expected) in [
            ("FROM a\n\nRUNN x", "dockerfile parse error line 3: unknown instruction: RUNN: did you mean RUN?"),
            ("FROM a\nfoo x", "dockerfile parse error line 2: unknown instruction: FOO"),
            ("", "failed to parse Dockerfile: file with no instructions"),
            ("ARG a", "failed to parse Dockerfile: no build stage in current context: there is no FROM"),
            ("FROM", "dockerfile parse error line 1: FROM requires either one or three arguments"),
            ("FROM a b c", "dockerfile parse error line 1: second argument to FROM must be AS"),
            ("FROM a\nWORKDIR", "dockerfile parse error line 2: WORKDIR requires exactly one argument"),
            ("FROM a\nENV a", "dockerfile parse error line 2: ENV must have two arguments"),
            ("FROM a\nCOPY --foo=1 a b", "dockerfile parse error line 2: Unknown flag: foo"),
            ("FROM a\nCOPY --from=x a b", "dockerfile parse error line 2: COPY --from is not there yet"),
            ("FROM a\nRUN --mount=type=cache x", "dockerfile parse error line 2: RUN --mount is not there yet"),
            (
                "FROM a\nFROM b",
                "dockerfile parse error line 2: a second FROM (a build in several stages) is not there yet",
            ),
            ("FROM a\nHEALTHCHECK NONE", "dockerfile parse error line 2: HEALTHCHECK is not there yet"),
            ("FROM a\nRUN cat <<EOF\nx\nEOF", "dockerfile parse error line 2: a here-document in RUN is not there yet"),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error("FROM a\nCOPY a").contains("COPY requires at least two arguments"));
        assert!(error("FROM a\nCOPY").contains("COPY requires at least two arguments"));
        assert!(error("RUN x\nFROM a").contains("line 1: no build stage in current context"));
        assert!(error("FROM a\nRUN [\"ls\", 3]").contains("arrays must be comprised of strings only"));
    }

    #[test]
    fn errors_know_their_column() {
        let place = |text| parse(text).unwrap_err().position.unwrap();
        assert_eq!(place("FROM a\nENV a=b \\\n  c d=e"), Position { line: 3, column: 3 });
        assert_eq!(place("FROM a\nCOPY --chown=x --nope a b"), Position { line: 2, column: 16 });
        assert_eq!(place("FROM a\n  RUNN"), Position { line: 2, column: 3 });
    }

    #[test]
    fn shell_redirections_are_no_here_documents() {
        assert_eq!(one("RUN cat < x && echo $((1<<2)) '<<EOF'"), {
            Instruction::Run(Command::Shell("cat < x && echo $((1<<2)) '<<EOF'".into()))
        });
    }

    #[test]
    fn the_exec_form_in_single_quotes_is_warned_of() {
        let warnings = parse("FROM a\nCMD ['a', 'b']\nRUN [ -f x ]").unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("line 2: "), "{warnings:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "((FROM|RUN|ENV|COPY|#|escape|ARG)?[ =\\[\\]\"'a`\\\\<$-]{0,6}\n?){0,8}") {
            let _ = parse(&text);
        }

        #[test]
        fn an_exec_form_is_read_back_as_it_was_written(argv in proptest::collection::vec("[ -~äß]{0,8}", 0..4)) {
            let json = serde_json::to_string(&argv).unwrap();
            // Escaped quotes and backslashes are JSON's own here, whatever the file's escape character.
            prop_assume!(!json.ends_with('\\'));
            prop_assert_eq!(one(&format!("CMD {json}")), Instruction::Cmd(Command::Exec(argv)));
        }
    }
}
