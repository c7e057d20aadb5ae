//! Why a registry said no, or nothing at all, and what to do about it.

use super::hosts::Access;
use super::http::{Answer, host_of};
use super::settings::Settings;
use rustls::CertificateError;
use serde::Deserialize;
use std::fmt;
use std::io::{self, ErrorKind};
use ureq::http::{StatusCode, Uri};

/// How much of a registry's own sentence is shown.
const MAX_SENTENCE: usize = 300;

/// What was wanted, for the sentence that says that it cannot be had.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `get the blob 0123456789ab of busybox`.
    pub operation: String,
    /// The repository, as people write it.
    pub name: String,
    /// The manifest that was asked for: `busybox:1`, if it was one.
    pub manifest: Option<String>,
    /// Whether it was to be changed.
    pub access: Access,
}

/// A registry answered, and the answer was no.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    text: String,
}

/// The body of a refusal: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>.
/// Token servers use other words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    errors: Vec<Entry>,
    details: String,
    error_description: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    code: String,
    message: String,
}

impl Refused {
    /// Reads a refusal.
    pub fn new(subject: &Subject, answer: Answer) -> Refused {
        let (status, host) = (answer.status, host_of(&answer.url));
        let body = answer.bytes(64 << 10).unwrap_or_default();
        let body: Body = serde_json::from_slice(&body).unwrap_or_default();
        let entry = body.errors.into_iter().next().unwrap_or_default();
        let said = [entry.message, body.details, body.error_description].into_iter().find(|text| !text.is_empty());
        let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("?");
        let said = clean(&said.unwrap_or_else(|| phrase.to_lowercase()));
        Refused { status, text: sentence(subject, &host, status, &clean(&entry.code), &said) }
    }
}

fn sentence(subject: &Subject, host: &str, status: u16, code: &str, said: &str) -> String {
    let Subject { operation, name, manifest, access } = subject;
    match (status, code) {
        (401 | 403, _) if *access == Access::Pull => {
            format!("pull access denied for {name}, repository does not exist or may require 'ctr login': {said}")
        }
        (401 | 403, _) if *access == Access::Login => {
            format!("{operation}: unauthorized: incorrect username or password ({said})")
        }
        (401 | 403, _) => {
            format!("push access denied for {name}: {said}: 'ctr login' to {host} as somebody who may write to it")
        }
        (404, "NAME_UNKNOWN") => format!("repository {name} not found: name unknown: {said}"),
        (404, _) if manifest.is_some() => {
            let wanted = manifest.as_deref().unwrap_or_default();
            format!("manifest for {wanted} not found: manifest unknown: {said}")
        }
        (429, _) => format!(
            "{operation}: toomanyrequests: {said}: {host} serves only so many requests in a while; wait, or 'ctr login', \
             as it may serve more to those it knows"
        ),
        (500..=599, _) => format!("{operation}: {host} is in trouble ({status} {said}): try again later"),
        _ => format!("{operation}: {host} refused it ({status}{}): {said}", prefixed(code)),
    }
}

fn prefixed(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(" {code}") }
}

/// The name in `DnsName("registry.example")`, which is how rustls writes it.
fn plain_name(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

/// What others say goes to a terminal: without control characters, and not without end.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SENTENCE).collect()
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// There was no answer.
#[derive(Debug, Clone)]
pub struct Unreachable {
    /// It may be better in a moment.
    pub is_passing: bool,
    text: String,
}

impl std::error::Error for Unreachable {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Unreachable {
    /// Says why `url` did not answer; `proxy` is the `HOST:PORT` that was to pass it on.
    pub fn new(settings: &Settings, url: &Uri, proxy: Option<String>, error: ureq::Error) -> Unreachable {
        let host = host_of(url);
        let (is_passing, cause) = match &error {
            ureq::Error::Timeout(_) => (true, no_answer(settings)),
            ureq::Error::HostNotFound => (false, unknown_host(&host)),
            ureq::Error::Rustls(error) => (false, of_tls(settings, &host, error)),
            ureq::Error::Io(error) => of_io(settings, &host, error),
            ureq::Error::ConnectProxyFailed(reason) => (false, format!("the proxy does not connect to it: {reason}")),
            ureq::Error::LargeResponseHeader(..) => (false, "the headers of its answer are too large".to_owned()),
            ureq::Error::Protocol(error) => (false, format!("it does not speak HTTP: {error}")),
            other => (false, other.to_string()),
        };
        let through = proxy.map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        Unreachable { is_passing, text: format!("ask {host}{through}: {cause}") }
    }
}

fn of_io(settings: &Settings, host: &str, error: &io::Error) -> (bool, String) {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return (false, of_tls(settings, host, error));
    }
    let unreachable = "there is no way to it: is this machine connected, and is the address right?";
    match error.kind() {
        ErrorKind::ConnectionRefused => (
            false,
            "connection refused: nobody listens there. Is the registry running, and is the port right?".to_owned(),
        ),
        ErrorKind::TimedOut => (true, no_answer(settings)),
        ErrorKind::HostUnreachable => (false, format!("no route to host: {unreachable}")),
        ErrorKind::NetworkUnreachable => (false, format!("network is unreachable: {unreachable}")),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => (true, "the connection broke".to_owned()),
        // The standard library has no kind for this.
        _ if error.to_string().starts_with("failed to lookup address") => (false, unknown_host(host)),
        _ => (false, error.to_string()),
    }
}

fn no_answer(settings: &Settings) -> String {
    let seconds = settings.patience.as_secs();
    format!("no answer in time: slow lines may need more than CTR_REGISTRY_TIMEOUT={seconds} (seconds)")
}

fn unknown_host(host: &str) -> String {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    format!(
        "no such host: nobody knows the name {name}. Is it spelled right, and does this machine have a name server?"
    )
}

/// The words `x509: ...` are Go's, and so docker's: they are what people search for.
fn of_tls(settings: &Settings, host: &str, error: &rustls::Error) -> String {
    let folder = settings.folder.display();
    let certs = format!("{folder}/certs.d/{host}");
    let insecure = format!("{{\"insecure-registries\": [\"{host}\"]}} in {folder}/registries.json");
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "x509: certificate signed by unknown authority: nobody whom this machine trusts vouches for it. Either \
                 trust it: put its authority's certificate (or its own, if it signed that itself) into {certs}/ca.crt. Or do \
                 without proof, in a network that you trust: {insecure}"
            ),
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                "x509: certificate names no host (only an old Common Name): it needs a subjectAltName".to_owned()
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.iter().map(|name| plain_name(name)).collect::<Vec<_>>().join(", ");
                format!("x509: certificate is valid for {}, not for {host}", clean(&names))
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "x509: certificate has expired: the registry needs a new one (or this machine's clock is wrong)"
                    .to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "x509: certificate is not yet valid: is this machine's clock right?".to_owned()
            }
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => format!(
                "x509: certificate signed by unknown authority: it signed itself, as an authority. Either trust it: put \
                 that very certificate into {certs}/ca.crt. Or do without proof, in a network that you trust: {insecure}"
            ),
            other => format!("x509: certificate cannot be used: {other}"),
        },
        rustls::Error::InvalidMessage(_) => {
            format!("it does not answer as https does: if it speaks http only, and you trust the network: {insecure}")
        }
        rustls::Error::AlertReceived(alert) => format!(
            "tls: {alert:?}: the registry ended the conversation; if it asks for a client certificate, put it and its key into \
             {certs}/client.cert and {certs}/client.key"
        ),
        other => format!("tls: {other}"),
    }
}
