//! One request and its answer: redirects, repeats, time-outs.

use super::settings::Settings;
use anyhow::{Context, Result, bail};
use std::io::{self, Read};
use ureq::http::header::{HeaderMap, HeaderName};
use ureq::http::{self, Method, Uri};
use ureq::{Agent, SendBody};

/// What is asked.
pub struct Request<'a> {
    /// GET, HEAD, POST, PUT.
    pub method: Method,
    /// Of whom and what.
    pub url: Uri,
    /// Besides those that every request has.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent along.
    pub payload: Payload<'a>,
}

/// What is sent along with a request.
pub enum Payload<'a> {
    /// Nothing.
    None,
    /// Something small, which can be sent again.
    Bytes(&'a [u8]),
    /// A stream of known size, which can be sent once.
    Stream(&'a mut dyn Read, u64),
}

/// What was answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// Who answered in the end.
    pub url: Uri,
    body: ureq::Body,
}

impl Answer {
    /// A header, if it is there and is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The whole of a body that is at most `most` bytes.
    pub fn bytes(self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().take(most + 1).read_to_end(&mut bytes).context("read the answer")?;
        if bytes.len() as u64 > most {
            bail!("the answer is larger than {most} bytes");
        }
        Ok(bytes)
    }

    /// The body as it comes.
    pub fn reader(self) -> impl Read + Send + 'static {
        self.body.into_reader()
    }
}

/// Speaks HTTP to registries and to whom they point to.
pub struct Client {
    agent: Agent,
}

impl Client {
    /// One that nothing is connected to yet.
    pub fn new(settings: &Settings) -> Result<Client> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_per_read(Some(settings.patience))
            .timeout_per_write(Some(settings.patience))
            .user_agent(concat!("ctr/", env!("CARGO_PKG_VERSION")));
        Ok(Client { agent: config.build().into() })
    }

    /// Asks, and gives what is answered, whatever the status.
    pub fn send(&self, request: &mut Request<'_>) -> Result<Answer> {
        let mut head = http::Request::builder().method(request.method.clone()).uri(request.url.clone());
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        let what = || format!("{} {}", request.method, request.url);
        let response = match &mut request.payload {
            Payload::None => self.agent.run(head.body(()).with_context(what)?),
            Payload::Bytes(bytes) => self.agent.run(head.body(*bytes).with_context(what)?),
            Payload::Stream(reader, size) => {
                let head = head.header(http::header::CONTENT_LENGTH, *size);
                let mut exact = Exact { inner: *reader, left: *size };
                self.agent.run(head.body(SendBody::from_reader(&mut exact)).with_context(what)?)
            }
        }
        .with_context(what)?;
        let (parts, body) = response.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, url: request.url.clone(), body })
    }
}

/// A stream that must be as long as was said: a server would wait for the rest for ever.
struct Exact<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.inner.read(&mut buffer[..most])?;
        if n == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} bytes of it are missing", self.left)));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// The address that a `Location` means, seen from `base` (RFC 3986, section 5).
pub fn join(base: &Uri, location: &str) -> Result<Uri> {
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let whole = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    whole.parse().with_context(|| format!("read the address {location:?} that the registry points to"))
}
