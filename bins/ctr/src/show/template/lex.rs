//! From a template's text to tokens: text between actions, and within `{{` and `}}` words, literals and signs.

use super::{Error, Result};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` and `$name`, with the sign.
    Variable(String),
    /// A function or a keyword.
    Word(String),
    /// A string, in quotes or back quotes.
    Str(String),
    /// `'c'`: the number of a character.
    Char(char),
    /// A number as it is written.
    Number(String),
    /// `|`
    Pipe,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    /// `,`
    Comma,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// White space within an action: it separates arguments.
    Space,
    /// The end of the template.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The byte that it begins at.
    pub at: usize,
    /// Its text.
    pub text: String,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Words that are no functions.
pub const KEYWORDS: [&str; 11] =
    ["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];

/// All tokens of a template.
///
/// # Errors
/// Go's words: an action or comment that does not end, a character that means nothing.
pub fn lex(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), parens: 0 };
    let mut trim = false;
    loop {
        let rest = &text[lexer.at..];
        let open = rest.find(OPEN);
        let mut plain = &rest[..open.unwrap_or(rest.len())];
        if trim {
            plain = plain.trim_start_matches(is_space);
        }
        if open.is_some_and(|open| trims_before(&rest[open + OPEN.len()..])) {
            plain = plain.trim_end_matches(is_space);
        }
        if !plain.is_empty() {
            lexer.push(Kind::Text(plain.to_owned()), lexer.at, plain);
        }
        let Some(open) = open else {
            lexer.push(Kind::End, text.len(), "");
            return Ok(lexer.tokens);
        };
        lexer.at += open;
        trim = lexer.action()?;
    }
}

/// Go counts these as space, and no others.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `{{- `: the text before is trimmed.
fn trims_before(after_open: &str) -> bool {
    let mut chars = after_open.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    parens: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, at: usize, text: &str) {
        self.tokens.push(Token { kind, at, text: text.to_owned() });
    }

    /// A token of `length` bytes.
    fn take(&mut self, kind: Kind, length: usize) {
        let token = Token { kind, at: self.at, text: self.rest()[..length].to_owned() };
        self.at += length;
        self.tokens.push(token);
    }

    fn error(&self, message: impl Into<String>) -> Error {
        Error::parse(self.text, self.at, message)
    }

    /// ` -}}` or `}}` here? Gives its length, and whether the text after it is trimmed.
    fn close(&self) -> Option<(usize, bool)> {
        let rest = self.rest();
        if rest.starts_with(CLOSE) {
            return Some((CLOSE.len(), false));
        }
        let after_space = rest.strip_prefix(is_space)?;
        after_space.strip_prefix('-')?.starts_with(CLOSE).then_some((2 + CLOSE.len(), true))
    }

    /// One action, its delimiters too. Says whether the text after it is trimmed.
    fn action(&mut self) -> Result<bool> {
        let start = self.at;
        self.at += OPEN.len();
        if trims_before(self.rest()) {
            self.at += 2;
        }
        if self.rest().starts_with("/*") {
            return self.comment();
        }
        self.push(Kind::Open, start, OPEN);
        self.parens = 0;
        loop {
            if let Some((length, trim)) = self.close() {
                if self.parens > 0 {
                    return Err(self.error("unclosed left paren"));
                }
                self.at += length - CLOSE.len();
                self.take(Kind::Close, CLOSE.len());
                return Ok(trim);
            }
            self.token()?;
        }
    }

    fn comment(&mut self) -> Result<bool> {
        let Some(end) = self.rest().find("*/") else { return Err(self.error("unclosed comment")) };
        self.at += end + 2;
        match self.close() {
            Some((length, trim)) => {
                self.at += length;
                Ok(trim)
            }
            None => Err(self.error("comment ends before closing delimiter")),
        }
    }

    fn token(&mut self) -> Result<()> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Err(self.error("unclosed action")) };
        let name_length = |text: &str| text.find(|c: char| !is_name(c)).unwrap_or(text.len());
        match first {
            c if is_space(c) => {
                // The space of ` -}}` belongs to that.
                let mut length = rest.find(|c| !is_space(c)).unwrap_or(rest.len());
                if rest[length..].starts_with("-}}") {
                    length -= 1;
                }
                if length > 0 {
                    self.take(Kind::Space, length);
                }
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => match name_length(&rest[1..]) {
                0 => self.take(Kind::Dot, 1),
                length => {
                    let name = rest[1..=length].to_owned();
                    self.take(Kind::Field(name), length + 1);
                }
            },
            '$' => {
                let length = 1 + name_length(&rest[1..]);
                let name = rest[..length].to_owned();
                self.take(Kind::Variable(name), length);
            }
            '"' | '\'' | '`' => return self.quoted(first),
            ':' if rest[1..].starts_with('=') => self.take(Kind::Declare, 2),
            ':' => return Err(self.error("expected :=")),
            '=' => self.take(Kind::Assign, 1),
            '|' => self.take(Kind::Pipe, 1),
            ',' => self.take(Kind::Comma, 1),
            '(' => {
                self.parens += 1;
                self.take(Kind::LeftParen, 1);
            }
            ')' if self.parens == 0 => return Err(self.error("unexpected right paren")),
            ')' => {
                self.parens -= 1;
                self.take(Kind::RightParen, 1);
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => return self.number(),
            c if is_name(c) => {
                let length = name_length(rest);
                let word = rest[..length].to_owned();
                self.take(Kind::Word(word), length);
            }
            c => return Err(self.error(format!("unrecognized character in action: U+{:04X} {c:?}", c as u32))),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let more = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let mut length = sign + rest[sign..].find(|c| !more(c)).unwrap_or(rest.len() - sign);
        // 1e-3: a sign within.
        if rest[..length].ends_with(['e', 'E']) && rest[length..].starts_with(['+', '-']) {
            length += 1 + rest[length + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - length - 1);
        }
        let text = rest[..length].to_owned();
        if !text[sign..].starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Err(self.error(format!("bad number syntax: {text:?}")));
        }
        self.take(Kind::Number(text), length);
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<()> {
        let what = match quote {
            '`' => "raw quoted string",
            '"' => "quoted string",
            _ => "character constant",
        };
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find(|(_, c)| match c {
            _ if escaped => {
                escaped = false;
                false
            }
            '\\' if quote != '`' => {
                escaped = true;
                false
            }
            c => *c == quote,
        });
        let Some((end, _)) = end else { return Err(self.error(format!("unterminated {what}"))) };
        let inner = &self.rest()[1..end];
        if quote != '`' && inner.contains('\n') {
            return Err(self.error(format!("unterminated {what}")));
        }
        let text = if quote == '`' { Some(inner.to_owned()) } else { unescape(inner) };
        let Some(text) = text else { return Err(self.error("invalid syntax")) };
        let kind = match (quote, text.chars().next()) {
            ('\'', Some(c)) => Kind::Char(c),
            _ => Kind::Str(text),
        };
        self.take(kind, end + 1);
        Ok(())
    }
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Go's escapes: `\n`, `\t`, `\"`, `\\`, `\x41`, `\u00e4`, `\101`, ...
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = chars.next()?;
        let mut code = |digits: usize, radix: u32, known: &str| {
            let digits: String = known.chars().chain(chars.by_ref().take(digits)).collect();
            u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32)
        };
        out.push(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            'x' => code(2, 16, "")?,
            'u' => code(4, 16, "")?,
            'U' => code(8, 16, "")?,
            '0'..='7' => code(2, 8, &escape.to_string())?,
            '\\' | '"' | '\'' => escape,
            _ => return None,
        });
    }
    Some(out)
}
