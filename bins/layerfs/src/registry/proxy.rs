//! The proxy variables, as Go reads them, and so docker: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, in either case.
//!
//! <https://pkg.go.dev/golang.org/x/net/http/httpproxy>

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use std::net::IpAddr;
use ureq::http::Uri;

/// Which proxy to go through for whom.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    https: Option<String>,
    http: Option<String>,
    exceptions: Vec<Exception>,
}

/// An entry of `NO_PROXY`, and the port that it is for.
#[derive(Debug, Clone, PartialEq)]
struct Exception(Host, Option<u16>);

#[derive(Debug, Clone, PartialEq)]
enum Host {
    Everybody,
    Range(IpNet),
    Address(IpAddr),
    /// `.example.com`: what ends so.
    Below(String),
    /// `example.com`: it, and what is below it.
    Domain(String),
}

impl Proxies {
    /// Reads the environment.
    pub fn from_env() -> Proxies {
        Proxies::new(|name| std::env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let either = |name: &str| {
            let found = variable(name).filter(|value| !value.is_empty());
            found.or_else(|| variable(&name.to_lowercase()).filter(|value| !value.is_empty()))
        };
        let exceptions = either("NO_PROXY").unwrap_or_default();
        Proxies {
            https: either("HTTPS_PROXY"),
            http: either("HTTP_PROXY"),
            exceptions: exceptions.split(',').filter_map(exception).collect(),
        }
    }

    /// The proxy for this address, if there is to be one. Loopback addresses are never asked through a proxy.
    ///
    /// # Errors
    /// A proxy of a kind that cannot be used. The value is not shown: it may hold a password.
    pub fn proxy(&self, url: &Uri) -> Result<Option<ureq::Proxy>> {
        let is_https = url.scheme_str() == Some("https");
        let (variable, proxy) = if is_https { ("HTTPS_PROXY", &self.https) } else { ("HTTP_PROXY", &self.http) };
        let Some(proxy) = proxy else { return Ok(None) };
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        if is_loopback(&host) || self.exceptions.iter().any(|exception| exception.covers(&host, port)) {
            return Ok(None);
        }
        let whole = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
        if !whole.starts_with("http://") && !whole.starts_with("https://") {
            bail!("use the proxy in {variable}: only http:// and https:// proxies can be used");
        }
        Ok(Some(ureq::Proxy::new(&whole).with_context(|| format!("use the proxy in {variable}"))?))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn exception(entry: &str) -> Option<Exception> {
    let entry = entry.trim().to_lowercase();
    if entry.is_empty() {
        return None;
    }
    if entry == "*" {
        return Some(Exception(Host::Everybody, None));
    }
    if let Ok(range) = entry.parse() {
        return Some(Exception(Host::Range(range), None));
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse() {
        return Some(Exception(Host::Address(address), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry.as_str(), None),
    };
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Some(Exception(Host::Address(address), port));
    }
    let host = host.strip_prefix('*').unwrap_or(host);
    Some(match host.strip_prefix('.') {
        Some(_) => Exception(Host::Below(host.to_owned()), port),
        None => Exception(Host::Domain(host.to_owned()), port),
    })
}

impl Exception {
    fn covers(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok();
        let fits = match &self.0 {
            Host::Everybody => true,
            Host::Range(range) => address.is_some_and(|address| range.contains(&address)),
            Host::Address(wanted) => address == Some(*wanted),
            Host::Below(suffix) => host.ends_with(suffix.as_str()),
            Host::Domain(domain) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        };
        fits && self.1.is_none_or(|wanted| wanted == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(environment: &[(&str, &str)], url: &str) -> Option<String> {
        let find = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let proxy = Proxies::new(find).proxy(&url.parse().unwrap()).unwrap();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn each_scheme_has_its_variable_in_either_case() {
        let upper = [("HTTPS_PROXY", "http://a:1"), ("HTTP_PROXY", "b:2"), ("https_proxy", "http://c:3")];
        assert_eq!(proxied(&upper, "https://x/").as_deref(), Some("a:1"));
        assert_eq!(proxied(&upper, "http://x/").as_deref(), Some("b:2"));
        assert_eq!(proxied(&[("https_proxy", "http://c:3")], "https://x/").as_deref(), Some("c:3"));
        assert_eq!(proxied(&[("https_proxy", "http://c:3")], "http://x/"), None);
    }

    #[test]
    fn this_machine_is_never_asked_through_a_proxy() {
        let all = [("HTTPS_PROXY", "p:1"), ("HTTP_PROXY", "p:1")];
        for near in ["http://localhost:5000/", "https://127.0.0.1/", "http://127.1.2.3:5/", "http://[::1]:5000/"] {
            assert_eq!(proxied(&all, near), None, "{near}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_ranges_and_ports() {
        let is_direct = |no_proxy: &str, url: &str| {
            proxied(&[("HTTPS_PROXY", "p:1"), ("HTTP_PROXY", "p:1"), ("no_proxy", no_proxy)], url).is_none()
        };
        assert!(is_direct("*", "https://anything/"));
        assert!(is_direct("example.com", "https://example.com/"));
        assert!(is_direct("foo, example.com", "https://a.EXAMPLE.com/"));
        assert!(!is_direct("example.com", "https://notexample.com/"));
        assert!(is_direct(".example.com", "https://a.example.com/"));
        assert!(is_direct("*.example.com", "https://a.example.com/"));
        assert!(!is_direct(".example.com", "https://example.com/"));
        assert!(is_direct("example.com:8443", "https://example.com:8443/"));
        assert!(is_direct("example.com:443", "https://example.com/"));
        assert!(!is_direct("example.com:8443", "https://example.com/"));
        assert!(is_direct("10.0.0.0/8", "http://10.1.2.3:5000/"));
        assert!(!is_direct("10.0.0.0/8", "http://11.1.2.3/"));
        assert!(is_direct("192.0.2.7", "http://192.0.2.7:5000/"));
        assert!(is_direct("2001:db8::/32", "http://[2001:db8::1]:5000/"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_said_without_its_password() {
        let find = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://me:geheim@p:1".to_owned());
        let error = Proxies::new(find).proxy(&"https://x/".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("geheim"), "{error}");
    }
}
