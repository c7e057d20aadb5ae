//! From bytes as they come to lines. A line of more than 16 KiB is written in parts, as docker does.

/// The longest part.
const MAX_LINE: usize = 16 << 10;

/// One line, or a part of one, without its newline.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// `stdout` or `stderr`.
    pub stream: &'a str,
    /// When it came.
    pub time: &'a str,
    /// What it says.
    pub text: &'a [u8],
    /// Which part of a long line it is; none for a whole line.
    pub part: Option<Part>,
}

/// A part of a long line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which line: the parts of one line have the same number, others have others.
    pub line: u64,
    /// The how manieth it is, from 1.
    pub ordinal: u32,
    /// Whether the line ends with it.
    pub last: bool,
}

impl Line<'_> {
    /// Whether a newline follows.
    pub fn ends(&self) -> bool {
        self.part.is_none_or(|part| part.last)
    }
}

/// The lines of one stream.
#[derive(Debug, Default)]
pub struct Lines {
    /// The begin of a line whose end has not come.
    begun: Vec<u8>,
    /// How many parts of it are written.
    parts: u32,
    long_lines: u64,
}

impl Lines {
    /// Takes bytes in, and gives each line, or part of one, that is complete.
    pub fn split(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], Option<Part>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = MAX_LINE - self.begun.len();
            let window = &rest[..room.min(rest.len())];
            let (text, used, last) = match memchr::memchr(b'\n', window) {
                Some(at) => (&window[..at], at + 1, true),
                None if window.len() == room => (window, room, false),
                None => {
                    self.begun.extend_from_slice(window);
                    return;
                }
            };
            let part = self.part(last);
            if self.begun.is_empty() {
                each(text, part);
            } else {
                self.begun.extend_from_slice(text);
                each(&self.begun, part);
                self.begun.clear();
            }
            rest = &rest[used..];
        }
    }

    /// Gives what has come of a line that never ended.
    pub fn rest(&mut self, mut each: impl FnMut(&[u8], Option<Part>)) {
        if !self.begun.is_empty() {
            let part = self.part(false);
            each(&self.begun, part);
        }
        *self = Lines { long_lines: self.long_lines, ..Lines::default() };
    }

    fn part(&mut self, last: bool) -> Option<Part> {
        if last && self.parts == 0 {
            return None;
        }
        self.long_lines += u64::from(self.parts == 0);
        self.parts += 1;
        let part = Part { line: self.long_lines, ordinal: self.parts, last };
        if last {
            self.parts = 0;
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Option<Part>)> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.split(chunk, |text, part| got.push((text.to_vec(), part)));
        }
        lines.rest(|text, part| got.push((text.to_vec(), part)));
        got
    }

    #[test]
    fn a_line_is_a_line_however_it_comes() {
        let part = Some(Part { line: 1, ordinal: 1, last: false });
        let wanted = [(b"a".to_vec(), None), (b"bc".to_vec(), None), (b"".to_vec(), None), (b"last".to_vec(), part)];
        assert_eq!(split(&[b"a\nbc\n\nlast"]), wanted);
        assert_eq!(split(&[b"a", b"\nb", b"c\n", b"\nla", b"", b"st"]), wanted);
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        let long = vec![b'x'; 2 * MAX_LINE];
        let part = |ordinal, last| Some(Part { line: 1, ordinal, last });
        let got = split(&[&long[..5], &long[5..], b"end\nnext\n"]);
        let lengths: Vec<_> = got.iter().map(|(text, part)| (text.len(), *part)).collect();
        let whole = (MAX_LINE, part(1, false));
        assert_eq!(lengths, [whole, (MAX_LINE, part(2, false)), (3, part(3, true)), (4, None)]);
    }

    #[test]
    fn nothing_is_lost_whatever_the_pieces() {
        let mut text = Vec::new();
        for i in 0..3000usize {
            text.extend(std::iter::repeat_n(b'a' + (i % 26) as u8, i * 7 % 97));
            text.push(b'\n');
        }
        for size in [1, 7, 97, 4096, 65536] {
            let (mut lines, mut again) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.split(chunk, |line, part| {
                    again.extend_from_slice(line);
                    again.extend(part.is_none_or(|part| part.last).then_some(b'\n'));
                });
            }
            assert_eq!(again, text, "pieces of {size}");
        }
    }
}
