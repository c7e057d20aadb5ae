//! One request and its answer: redirects, repeats, time-outs.
//!
//! Credentials go to the host that they were meant for and to no other, wherever it points. What was asked over https is
//! never asked again over http.

use super::connect::Tls;
use super::explain::Unreachable;
use super::proxy::Proxies;
use super::settings::Settings;
use super::{repeat, tls};
use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, LOCATION};
use ureq::http::{self, Method, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, SendBody};

/// How often an answer may say "look there".
const MAX_REDIRECTS: usize = 8;
/// How long it may take to find a host and to connect to it.
const CONNECT: Duration = Duration::from_secs(15);
/// A registry may think so many times longer about what it was sent: it stores it.
const THINKING: u32 = 10;
/// All headers of an answer.
const MAX_HEADERS: usize = 64 << 10;
/// What an answer must bring while one waits as long as patience lasts.
const TRICKLE: u64 = 1024;

/// What is asked.
pub struct Request<'a> {
    /// GET, HEAD, POST, PUT.
    pub method: Method,
    /// Of whom and what.
    pub url: Uri,
    /// Besides those that every request has.
    pub headers: Vec<(HeaderName, String)>,
    /// Who asks: the header of this name. It is not passed on to other hosts.
    pub authorization: Option<String>,
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
    Stream(Stream<'a>),
}

/// A stream that must be as long as was said: a server would wait for the rest for ever.
pub struct Stream<'a> {
    inner: &'a mut dyn Read,
    size: u64,
    left: u64,
}

impl<'a> Stream<'a> {
    /// `size` bytes.
    pub fn new(inner: &'a mut dyn Read, size: u64) -> Stream<'a> {
        Stream { inner, size, left: size }
    }
}

impl Read for Stream<'_> {
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

impl<'a> Request<'a> {
    /// A request for `url` and nothing else.
    pub fn get(url: Uri) -> Request<'a> {
        Request { method: Method::GET, url, headers: Vec::new(), authorization: None, payload: Payload::None }
    }

    /// Whether it can be asked again: nothing of it is used up.
    pub fn is_whole(&self) -> bool {
        !matches!(&self.payload, Payload::Stream(stream) if stream.left < stream.size)
    }

    fn is_streamed(&self) -> bool {
        matches!(&self.payload, Payload::Stream(_))
    }
}

/// What was answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// Who answered in the end.
    pub url: Uri,
    patience: Duration,
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
            bail!("read the answer: it is larger than {most} bytes");
        }
        Ok(bytes)
    }

    /// The body as it comes. A read fails when nothing comes for as long as patience lasts, or next to nothing.
    pub fn reader(self) -> impl Read + Send + 'static {
        Patient { inner: self.body.into_reader(), patience: self.patience, waited: Duration::ZERO, came: 0 }
    }
}

/// A reader that does not wait for a trickle for ever. Only the time spent waiting counts.
struct Patient<R> {
    inner: R,
    patience: Duration,
    waited: Duration,
    came: u64,
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let n = self.inner.read(buffer)?;
        self.waited += began.elapsed();
        self.came += n as u64;
        if self.waited >= self.patience {
            if n > 0 && self.came < TRICKLE {
                let text = format!("only {} bytes came in {} s", self.came, self.waited.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        Ok(n)
    }
}

/// Speaks HTTP to registries and to whom they point to. Nothing is set up before it is used. Threads share it.
pub struct Client {
    settings: Settings,
    proxies: Proxies,
    authorities: OnceLock<Vec<CertificateDer<'static>>>,
    /// By scheme and host, and by whether something is sent.
    agents: Mutex<HashMap<(String, bool), Agent>>,
}

impl Client {
    /// One that is not connected to anybody yet.
    pub fn new(settings: &Settings) -> Client {
        let agents = Mutex::default();
        Client { settings: settings.clone(), proxies: Proxies::from_env(), authorities: OnceLock::new(), agents }
    }

    /// Asks, follows where it leads, and gives what is answered, whatever the status. What can be asked again is, when the
    /// registry is busy or the connection breaks.
    ///
    /// # Errors
    /// [`Unreachable`] when there is no answer; a redirect that is not safe to follow.
    pub fn send(&self, request: &mut Request<'_>) -> Result<Answer> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = repeat::patiently(request, |request| self.once(request, &url))?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.header(LOCATION).unwrap_or_default();
            let next = join(&url, location)?;
            if !is_safe_to_follow(&url, &next) {
                bail!("follow {} to {}: from https to something else is refused", host_of(&url), host_of(&next));
            }
            let is_read = request.method == Method::GET || request.method == Method::HEAD;
            if !is_read && (answer.status < 307 || !request.is_whole()) {
                bail!(
                    "{} {}: it wants this sent to {}, which cannot be done",
                    request.method,
                    host_of(&url),
                    host_of(&next)
                );
            }
            url = next;
        }
        bail!("{} {}: redirected more than {MAX_REDIRECTS} times", request.method, host_of(&request.url))
    }

    /// One attempt at one address.
    fn once(&self, request: &mut Request<'_>, url: &Uri) -> Result<Answer> {
        let agent = self.agent(url, request.method != Method::GET && request.method != Method::HEAD)?;
        let mut head = http::Request::builder().method(request.method.clone()).uri(url.clone());
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        if let Some(authorization) = request.authorization.as_ref().filter(|_| is_same_place(&request.url, url)) {
            head = head.header(AUTHORIZATION, authorization);
        }
        if request.is_streamed() {
            // So that a refusal comes before gigabytes were sent for nothing.
            head = head.header(EXPECT, "100-continue");
        }
        let malformed = || format!("ask {}", host_of(url));
        let answered = match &mut request.payload {
            Payload::None => agent.run(head.body(()).with_context(malformed)?),
            Payload::Bytes(bytes) => agent.run(head.body(*bytes).with_context(malformed)?),
            Payload::Stream(stream) => {
                let head = head.header(CONTENT_LENGTH, stream.size);
                agent.run(head.body(SendBody::from_reader(stream)).with_context(malformed)?)
            }
        };
        match answered {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let patience = self.settings.patience;
                Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, url: url.clone(), patience, body })
            }
            Err(error) => {
                let proxy = self.proxies.proxy(url)?.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
                Err(Unreachable::new(&self.settings, url, proxy, error).into())
            }
        }
    }

    fn agent(&self, url: &Uri, sends: bool) -> Result<Agent> {
        let host = host_of(url);
        let key = (format!("{}://{host}", url.scheme_str().unwrap_or_default()), sends);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let patience = self.settings.patience;
        let thinking = if sends { patience * THINKING } else { patience };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(self.proxies.proxy(url)?)
            .user_agent(concat!("ctr/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(MAX_HEADERS)
            .input_buffer_size(256 << 10)
            .output_buffer_size(128 << 10)
            .timeout_resolve(Some(patience.min(CONNECT)))
            .timeout_connect(Some(patience.min(CONNECT)))
            .timeout_per_read(Some(thinking))
            .timeout_per_write(Some(patience))
            .timeout_recv_response(Some(thinking))
            .build();
        let tls = match url.scheme_str() {
            Some("https") => {
                Some(tls::config(&self.settings.folder, &host, self.authorities()?, self.settings.is_insecure(&host))?)
            }
            _ => None,
        };
        let chain = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(Tls(tls));
        let agent = Agent::with_parts(config, chain, DefaultResolver::default());
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    fn authorities(&self) -> Result<&[CertificateDer<'static>]> {
        match self.authorities.get() {
            Some(found) => Ok(found),
            None => {
                let found = tls::system_authorities()?;
                Ok(self.authorities.get_or_init(|| found))
            }
        }
    }
}

/// The host of an address, as `certs.d` and the settings name it: `HOST`, or `HOST:PORT` where it is not the usual port.
pub fn host_of(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    match (url.scheme_str(), url.port_u16()) {
        (_, None) | (Some("https"), Some(443)) | (Some("http"), Some(80)) => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
    }
}

fn is_same_place(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && host_of(a).eq_ignore_ascii_case(&host_of(b))
}

fn is_safe_to_follow(from: &Uri, to: &Uri) -> bool {
    match (from.scheme_str(), to.scheme_str()) {
        (_, Some("https")) => true,
        (from, to) => from == to && to == Some("http"),
    }
}

/// The address that a `Location` means, seen from `base` (RFC 3986, section 5).
///
/// # Errors
/// It is none.
pub fn join(base: &Uri, location: &str) -> Result<Uri> {
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let is_whole = ["http://", "https://"].iter().any(|scheme| location.starts_with(scheme));
    let whole = if is_whole {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if let Some(query) = location.strip_prefix('?') {
        format!("{scheme}://{authority}{}?{query}", base.path())
    } else if !location.is_empty() && !location.split('?').next().is_some_and(|path| path.contains("://")) {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    } else {
        bail!("follow {}: it points to {location:?}, which is no address", host_of(base));
    };
    whole.parse().with_context(|| format!("follow {}: where it points to is no address", host_of(base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_location_may_be_written_in_many_ways() {
        let base = uri("https://reg.example:5000/v2/app/blobs/uploads/");
        for (location, wanted) in [
            ("https://other.example/x?y=z", "https://other.example/x?y=z"),
            ("//other.example/x", "https://other.example/x"),
            ("/v2/app/blobs/uploads/1?s=a%3D", "https://reg.example:5000/v2/app/blobs/uploads/1?s=a%3D"),
            ("1?next=http://x", "https://reg.example:5000/v2/app/blobs/uploads/1?next=http://x"),
            ("?s=1", "https://reg.example:5000/v2/app/blobs/uploads/?s=1"),
        ] {
            match join(&base, location) {
                Ok(found) => assert_eq!(found.to_string(), wanted),
                Err(error) => panic!("{location}: {error:#}"),
            }
        }
        for bad in ["", "ftp://x/", "http://", "/a b"] {
            assert!(join(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_usual_port_makes_no_other_host() {
        assert!(is_same_place(&uri("https://A.example/x"), &uri("https://a.example:443/y")));
        assert!(!is_same_place(&uri("https://a.example/"), &uri("https://a.example:444/")));
        assert!(!is_same_place(&uri("https://a.example/"), &uri("http://a.example:443/")));
        assert!(!is_same_place(&uri("https://a.example/"), &uri("https://a.example.evil/")));
    }

    #[test]
    fn nothing_falls_from_https_to_anything_else() {
        let (safe, plain) = (uri("https://a/"), uri("http://a/"));
        assert!(
            is_safe_to_follow(&plain, &plain) && is_safe_to_follow(&plain, &safe) && is_safe_to_follow(&safe, &safe)
        );
        assert!(!is_safe_to_follow(&safe, &plain));
    }
}
