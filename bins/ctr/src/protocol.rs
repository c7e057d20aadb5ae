//! What the shim and its clients say to each other, over the socket `$CTR_RUN/ID/attach.sock`.
//!
//! A message is docker's stream frame: one byte of kind, three of zero, four of length (big endian), then
//! that many bytes. Kinds 0 to 2 carry standard input, output and error; an empty input frame closes the
//! container's input. Kind 4 is ours and carries one [`Control`] as JSON.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// The longest message that either side sends; a longer one is no message of ours.
const MAX_PAYLOAD: usize = 1 << 20;
const HEADER: usize = 8;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For the container's standard input.
    Stdin,
    /// From its standard output, or from its terminal.
    Stdout,
    /// From its standard error.
    Stderr,
    /// A [`Control`].
    Control,
}

/// A word about the streams, or about the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum Control {
    /// Client: send me what the container writes, from now on.
    Attach {
        /// Whether the container's input comes from me.
        stdin: bool,
    },
    /// Client: my terminal has this size.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters a line.
        cols: u16,
    },
    /// Client: run this command, the runtime's `start`, and note that the container runs.
    Start {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// Client: I could not make the container ready; take down what there is of it.
    Abort {
        /// Why.
        reason: String,
    },
    /// Client: run this command of the runtime, and note what it means for the container.
    Do {
        /// What it means.
        what: Deed,
        /// Program and arguments.
        command: Vec<String>,
    },
    /// Shim: that is done.
    Done,
    /// Shim: that could not be done; the container is as it was.
    Refused {
        /// Why.
        message: String,
    },
    /// Shim: it runs.
    Started,
    /// Shim: it could not be started, and is taken down.
    Failed {
        /// The exit code for it.
        code: u8,
        /// Why.
        message: String,
    },
    /// Shim: it ended, and everything of it is taken down.
    Exited {
        /// Its exit code.
        code: u8,
    },
}

/// What is done to a container that is up. The shim does it, because it alone says what is true of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "PascalCase")]
pub enum Deed {
    /// Freeze it.
    Pause,
    /// Let it go on.
    Unpause,
    /// Send it a signal, the command's last word, on somebody's behalf: from now on it is not started again.
    Kill,
    /// The same, but it is started again by whoever asks for this: it stays, even with `--rm`.
    KillToRestart,
}

/// What comes before a payload of `length` bytes.
pub fn header(kind: Kind, length: usize) -> [u8; HEADER] {
    let number = match kind {
        Kind::Stdin => 0,
        Kind::Stdout => 1,
        Kind::Stderr => 2,
        Kind::Control => 4,
    };
    let [a, b, c, d] = (length as u32).to_be_bytes();
    [number, 0, 0, 0, a, b, c, d]
}

/// A message as bytes. Longer payloads than one message takes become several.
pub fn encode(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    let mut chunks = payload.chunks(MAX_PAYLOAD);
    let mut next = Some(chunks.next().unwrap_or_default());
    while let Some(chunk) = next {
        bytes.extend_from_slice(&header(kind, chunk.len()));
        bytes.extend_from_slice(chunk);
        next = chunks.next();
    }
    bytes
}

/// A control message as bytes.
pub fn control(message: &Control) -> Result<Vec<u8>> {
    Ok(encode(Kind::Control, &serde_json::to_vec(message)?))
}

/// Puts messages together from bytes as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// When what came in is no message: the other side is not one of ours.
    pub fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [number, _, _, _, a, b, c, d] = *header;
        let kind = match number {
            0 => Kind::Stdin,
            1 => Kind::Stdout,
            2 => Kind::Stderr,
            4 => Kind::Control,
            other => bail!("a message of unknown kind {other}"),
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > MAX_PAYLOAD {
            bail!("a message of {length} bytes");
        }
        if rest.len() < length {
            return Ok(None);
        }
        let payload = rest[..length].to_vec();
        self.buffer.drain(..HEADER + length);
        Ok(Some((kind, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_being_cut_anywhere() {
        let mut bytes = encode(Kind::Stdout, b"hello");
        bytes.extend(encode(Kind::Stdin, b""));
        bytes.extend(control(&Control::Resize { rows: 24, cols: 80 }).unwrap());
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            while let Some(message) = decoder.next().unwrap() {
                got.push(message);
            }
        }
        assert_eq!(got[0], (Kind::Stdout, b"hello".to_vec()));
        assert_eq!(got[1], (Kind::Stdin, vec![]));
        let control: Control = serde_json::from_slice(&got[2].1).unwrap();
        assert_eq!(control, Control::Resize { rows: 24, cols: 80 });
        assert_eq!(got.len(), 3);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bad in [&[9u8, 0, 0, 0, 0, 0, 0, 0][..], &[1, 0, 0, 0, 255, 255, 255, 255]] {
            let mut decoder = Decoder::default();
            decoder.push(bad);
            assert!(decoder.next().is_err());
        }
    }

    #[test]
    fn long_output_is_cut_into_messages() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(Kind::Stdout, &vec![7; MAX_PAYLOAD + 1]));
        assert_eq!(decoder.next().unwrap().unwrap().1.len(), MAX_PAYLOAD);
        assert_eq!(decoder.next().unwrap().unwrap().1.len(), 1);
    }
}
