//! Who asks: basic authentication, and tokens.
//!
//! A registry that wants to know answers 401 and says how (`WWW-Authenticate`): `Basic` is a name and a password with every
//! request; `Bearer` names a server that gives tokens, each for some repositories and some minutes. Without an account that
//! server is asked all the same: most give tokens for public images to everybody.
//!
//! <https://distribution.github.io/distribution/spec/auth/token/>

use super::credentials::{self, Credential};
use super::explain::{Refused, Subject};
use super::hosts::{Access, Endpoint};
use super::http::{Answer, Client, Payload, Request, host_of, join};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::Method;
use ureq::http::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};

/// A token that says nothing of it is good for so long.
const SHORT: u64 = 60;
const MAX_TOKEN: u64 = 1 << 20;

/// How a registry wants to be told who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password, with every request.
    Basic,
    /// A token, from the server `realm`.
    Bearer {
        /// Its address.
        realm: String,
        /// What it calls the registry.
        service: Option<String>,
    },
}

struct Token {
    header: String,
    until: Instant,
}

/// Who we are to one registry. Threads share it.
pub struct Auth {
    endpoint: Endpoint,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Looked up when it is asked for, once.
    credential: Option<Option<Credential>>,
    challenge: Option<Challenge>,
    /// By scope.
    tokens: HashMap<String, Token>,
}

impl Auth {
    /// For the registry at `endpoint`, with the credentials that were stored for it.
    pub fn new(endpoint: &Endpoint) -> Auth {
        Auth { endpoint: endpoint.clone(), state: Mutex::default() }
    }

    /// With these credentials and no others.
    pub fn with(endpoint: &Endpoint, credential: Credential) -> Auth {
        let state = State { credential: Some(Some(credential)), ..State::default() };
        Auth { endpoint: endpoint.clone(), state: Mutex::new(state) }
    }

    /// The `Authorization` for a request in these scopes (`repository:library/busybox:pull`); none while the registry has not
    /// asked for one.
    ///
    /// # Errors
    /// The token server does not give one; stored credentials cannot be read.
    pub fn authorization(&self, client: &Client, scopes: &[String]) -> Result<Option<String>> {
        // Held while a token is fetched: one is enough for all threads.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(challenge) = state.challenge.clone() else { return Ok(None) };
        let credential = match &state.credential {
            Some(known) => known.clone(),
            None => state.credential.insert(credentials::find(&self.endpoint.account)?).clone(),
        };
        match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { user, password })) => Ok(Some(basic(&user, &password))),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => Ok(Some(format!("Bearer {token}"))),
            (Challenge::Bearer { realm, service }, credential) => {
                let key = scopes.join(" ");
                if let Some(token) = state.tokens.get(&key).filter(|token| Instant::now() < token.until) {
                    return Ok(Some(token.header.clone()));
                }
                let token = self.fetch(client, &realm, service.as_deref(), scopes, credential.as_ref())?;
                let header = token.header.clone();
                state.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    /// Takes in a 401 to a request that had the authorization `used`. Says whether it makes sense to ask again.
    pub fn refused(&self, headers: &HeaderMap, used: Option<&str>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(challenge) = challenge(headers) {
            state.challenge = Some(challenge);
        }
        // Another thread may have got a new one already.
        state.tokens.retain(|_, token| Some(token.header.as_str()) != used);
        match &state.challenge {
            None => false,
            Some(Challenge::Basic) => used.is_none(),
            Some(Challenge::Bearer { .. }) => true,
        }
    }

    fn fetch(
        &self,
        client: &Client,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
        credential: Option<&Credential>,
    ) -> Result<Token> {
        let host = host_of(&self.endpoint.base);
        let mut url = join(&self.endpoint.base, realm)?;
        if self.endpoint.base.scheme_str() == Some("https") && url.scheme_str() != Some("https") {
            bail!("get a token for {host}: it sends us from https to {}, which is not secure: refused", host_of(&url));
        }
        let mut form: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        let subject = Subject {
            operation: format!("get a token for {host} from {}", host_of(&url)),
            name: scopes.first().and_then(|scope| scope.split(':').nth(1)).unwrap_or(&host).to_owned(),
            manifest: None,
            access: match scopes.first() {
                None => Access::Login,
                Some(scope) if scope.ends_with("push") => Access::Push,
                Some(_) => Access::Pull,
            },
        };
        let all = scopes.join(" ");
        let body;
        let mut request;
        if let Some(Credential::IdentityToken(token)) = credential {
            form.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "ctr")]);
            form.extend([("scope", all.as_str())]);
            body = encode(&form);
            request = Request::get(url);
            request.method = Method::POST;
            request.headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
            request.payload = Payload::Bytes(body.as_bytes());
        } else {
            form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
            let mut authorization = None;
            if let Some(Credential::Password { user, password }) = credential {
                form.push(("account", user));
                authorization = Some(basic(user, password));
            }
            let separator = if url.query().is_some() { '&' } else { '?' };
            url = format!("{url}{separator}{}", encode(&form)).parse().with_context(|| subject.operation.clone())?;
            request = Request::get(url);
            request.authorization = authorization;
        }
        read_token(&subject, client.send(&mut request)?)
    }
}

fn read_token(subject: &Subject, answer: Answer) -> Result<Token> {
    #[derive(Deserialize)]
    struct Given {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    if answer.status != 200 {
        return Err(Refused::new(subject, answer).into());
    }
    let asked = Instant::now();
    let bytes = answer.bytes(MAX_TOKEN).with_context(|| subject.operation.clone())?;
    // The cause is left out: it may quote the token.
    let Ok(given) = serde_json::from_slice::<Given>(&bytes) else {
        bail!("{}: the answer is not the JSON of a token", subject.operation);
    };
    let token = given.token.filter(|token| !token.is_empty()).or(given.access_token).unwrap_or_default();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        bail!("{}: there is no token in the answer", subject.operation);
    }
    // It is used while it is good beyond doubt; a registry that finds it too old all the same says 401.
    let good = given.expires_in.unwrap_or(SHORT).clamp(1, 86400);
    Ok(Token { header: format!("Bearer {token}"), until: asked + Duration::from_millis(good * 800) })
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// A form as it stands in an address (application/x-www-form-urlencoded).
fn encode(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',');
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

/// The challenge in an answer: a token where one is offered, for then a password is not what is wanted.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let offered = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for text in offered {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let mut parameters = parameters(rest);
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameters.remove("realm")
        {
            return Some(Challenge::Bearer { realm, service: parameters.remove("service") });
        } else if scheme.eq_ignore_ascii_case("basic") {
            found = Some(Challenge::Basic);
        }
    }
    found
}

/// `realm="https://auth.example/token",service="registry"`: names, and values that may be quoted (RFC 9110, section 11.2).
fn parameters(mut text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let mut value = String::new();
        let rest = rest.trim_start();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            let mut end = quoted.len();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => value.extend(chars.next().map(|(_, c)| c)),
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    c => value.push(c),
                }
            }
            text = &quoted[end..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            value.push_str(rest[..end].trim());
            text = &rest[end..];
        }
        found.insert(name, value);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    fn of(texts: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(text));
        }
        challenge(&headers)
    }

    #[test]
    fn challenges_are_read_as_they_are_written_in_the_field() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let hub =
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#;
        assert_eq!(of(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(of(&[r#"bearer  Realm = "https://a/\"x\"" , service = s"#]), bearer("https://a/\"x\"", Some("s")));
        assert_eq!(of(&[r#"Basic realm="x""#]), Some(Challenge::Basic));
        assert_eq!(
            of(&[r#"Basic realm="x""#, hub]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(of(&["Bearer service=x"]), None, "nobody to ask");
        assert_eq!(of(&["Negotiate"]), None);
        assert_eq!(of(&[r#"Bearer realm="never ended"#]), bearer("never ended", None));
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            encode(&[("scope", "repository:a/b:pull,push"), ("account", "me & you=é")]),
            "scope=repository:a/b:pull,push&account=me%20%26%20you%3D%C3%A9"
        );
    }
}
