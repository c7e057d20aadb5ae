//! Debian's `docker-registry` on a port of this machine, for one test: open to all, behind a password, or behind TLS with an
//! authority of its own.

use crate::{output, poll_until};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Who may come in to a registry behind a password.
pub const USER: &str = "user";
/// Their password.
pub const PASSWORD: &str = "secret";
/// Both as a line of `.htpasswd`: bcrypt, which alone the registry takes, with as little work as it allows.
const HTPASSWD: &str = "user:$2b$04$AMd.sKjdupd07waNBVcFK.hk6iYa60gQgzhSMnmArCDWULcdhFpqG\n";

/// A registry that runs as long as this is held.
pub struct Registry {
    dir: TempDir,
    server: Child,
    port: u16,
}

/// What is asked of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Nothing,
    Password,
    Tls,
}

impl Registry {
    /// Plain HTTP, for everybody.
    #[track_caller]
    pub fn plain() -> Registry {
        Registry::start(Guard::Nothing)
    }

    /// Plain HTTP, for [`USER`] with [`PASSWORD`].
    #[track_caller]
    pub fn with_password() -> Registry {
        Registry::start(Guard::Password)
    }

    /// HTTPS for everybody who trusts the authority in [`Registry::authority`].
    #[track_caller]
    pub fn with_tls() -> Registry {
        Registry::start(Guard::Tls)
    }

    #[track_caller]
    fn start(guard: Guard) -> Registry {
        let dir = tempfile::Builder::new().prefix("registry-").tempdir().expect("make a temporary folder");
        let path = dir.path().display();
        // The kernel chooses the port, and the log tells it.
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {path}/data}}, delete: {{enabled: true}}}}\n\
             http:\n  addr: 127.0.0.1:0\n"
        );
        match guard {
            Guard::Nothing => {}
            Guard::Password => {
                std::fs::write(dir.path().join("htpasswd"), HTPASSWD).expect("write htpasswd");
                config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {path}/htpasswd}}}}\n"));
            }
            Guard::Tls => {
                make_certificates(dir.path());
                config.push_str(&format!("  tls: {{certificate: {path}/server.crt, key: {path}/server.key}}\n"));
            }
        }
        std::fs::write(dir.path().join("config.yml"), config).expect("write config.yml");
        let log = std::fs::File::create(dir.path().join("log")).expect("make a log");
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .env_remove("REGISTRY_HTTP_ADDR")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .expect("run docker-registry (Debian's package of this name)");
        // From here on it is ended whatever happens.
        let mut registry = Registry { dir, server, port: 0 };
        registry.port = poll_until(60, "docker-registry to listen", || {
            let said = std::fs::read_to_string(registry.dir.path().join("log")).ok()?;
            if let Some(ended) = registry.server.try_wait().expect("look after docker-registry") {
                panic!("docker-registry ended ({ended}): {said}");
            }
            let port = said.split("listening on 127.0.0.1:").nth(1)?;
            let port = port.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| port)
        });
        registry
    }

    /// `localhost:PORT`, the first part of the names of images in it.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The name of an image in it.
    pub fn name(&self, image: &str) -> String {
        format!("localhost:{}/{image}", self.port)
    }

    /// The certificate of the authority behind a registry with TLS, in PEM.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A folder of files about it; the registry's own data is in `data`.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// An authority, and a certificate for `localhost` that it has signed.
fn make_certificates(dir: &Path) {
    let script = "
        export OPENSSL_CONF=openssl.cnf
        printf '[req]\\ndistinguished_name=dn\\n[dn]\\n[ca]\\nbasicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=hash\\n' > openssl.cnf
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth\\n' > server.ext
        key() { openssl ecparam -name prime256v1 -genkey -noout -out \"$1\"; }
        key ca.key && key server.key &&
        openssl req -x509 -new -key ca.key -days 30 -subj '/CN=test authority' -extensions ca -out ca.crt &&
        openssl req -new -key server.key -subj /CN=localhost -out server.csr &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 30 -extfile server.ext -out server.crt";
    output::run(Command::new("sh").args(["-c", script]).current_dir(dir), b"").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(arguments: &[&str]) -> String {
        let mut curl = Command::new("curl");
        let format = ["--noproxy", "*", "-s", "-o", "/dev/null", "-w", "%{http_code}"];
        output::run(curl.args(format).args(arguments), b"").stdout
    }

    #[test]
    fn a_registry_answers_those_that_it_should() {
        let plain = Registry::plain();
        assert_eq!(status(&[&format!("http://{}/v2/", plain.host())]), "200");

        let locked = Registry::with_password();
        let url = format!("http://{}/v2/", locked.host());
        assert_eq!(status(&[&url]), "401");
        assert_eq!(status(&["-u", &format!("{USER}:{PASSWORD}"), &url]), "200");

        let tls = Registry::with_tls();
        let url = format!("https://{}/v2/", tls.host());
        assert_eq!(status(&[&url]), "000", "nobody knows its authority");
        assert_eq!(status(&["--cacert", tls.authority().to_str().unwrap(), &url]), "200");
    }
}
