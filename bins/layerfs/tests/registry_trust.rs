//! Whom to believe: certificates, mirrors, proxies. The names here are known to the tests' own proxy alone, so nothing leaves the
//! machine, and none of it is a loopback address, which would not have to prove anything.
#![allow(clippy::unwrap_used)]

mod common;

use common::http::{Dead, Proxy, Reply, Server, Tls};
use common::registry::{Content, User, refusal};
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const HOST: &str = "registry.invalid:5000";
const NAME: &str = "registry.invalid:5000/app:1";

/// Keys and certificates, made by openssl.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Certificates {
        let dir = tempfile::tempdir().unwrap();
        let script = "
            export OPENSSL_CONF=openssl.cnf
            names=DNS:registry.invalid,DNS:registry-1.docker.io,DNS:mirror.invalid
            printf '[req]\\ndistinguished_name=dn\\n[dn]\\n[ca]\\nbasicConstraints=critical,CA:TRUE\\nsubjectKeyIdentifier=hash\\n' > openssl.cnf
            printf '[self]\\nbasicConstraints=critical,CA:TRUE\\nsubjectAltName=%s\\n' $names >> openssl.cnf
            sign() { # NAME EXTENSIONS: a certificate by the authority
                printf \"$2\" > $1.ext
                openssl ecparam -name prime256v1 -genkey -noout -out $1.key &&
                openssl req -new -key $1.key -subj /CN=registry.invalid -out $1.csr &&
                openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -set_serial 1 -days 30 -extfile $1.ext -out $1.crt
            }
            for own in ca self other; do
                openssl ecparam -name prime256v1 -genkey -noout -out $own.key || exit 1
            done
            openssl req -x509 -new -key ca.key -days 30 -subj '/CN=test authority' -extensions ca -out ca.crt &&
            openssl req -x509 -new -key self.key -days 30 -subj /CN=registry.invalid -extensions self -out self.crt &&
            sign server \"subjectAltName=$names\\nextendedKeyUsage=serverAuth\\n\" &&
            sign stranger 'subjectAltName=DNS:other.invalid\\n' && sign nameless 'extendedKeyUsage=serverAuth\\n' &&
            sign client 'extendedKeyUsage=clientAuth\\n' &&
            cp server.key expired.key && cp self.key old.key &&
            openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -set_serial 2 -days -1 -extfile server.ext -out expired.crt &&
            openssl req -new -key self.key -subj /CN=registry.invalid -out old.csr &&
            openssl x509 -req -in old.csr -signkey self.key -days -1 -extfile openssl.cnf -extensions self -out old.crt";
        let made = Command::new("sh").args(["-c", script]).current_dir(dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Certificates(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A registry with the certificate `name`.
    fn server(&self, name: &str, content: &Content) -> Server {
        let content = content.clone();
        let (certificate, key) = (self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")));
        Server::with_tls(&Tls { certificate: &certificate, key: &key, clients: None }, move |seen| content.answer(seen))
    }
}

/// Debian's docker-registry, as long as it is held.
struct DockerRegistry {
    port: u16,
    server: Child,
}

impl DockerRegistry {
    /// With the certificate `name`, and for `me` with the password `geheim` alone.
    fn new(certificates: &Certificates, name: &str) -> DockerRegistry {
        let folder = certificates.0.path();
        let path = folder.display();
        // bcrypt, which alone it takes, with as little work as it allows.
        fs::write(folder.join("htpasswd"), "me:$2b$04$AMd.sKjdupd07waNBVcFK.z5U/GrrosjqNc9MJPuenhO1S5GFJeB2\n")
            .unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {path}/data}}}}\n\
             auth: {{htpasswd: {{realm: test, path: {path}/htpasswd}}}}\n\
             http: {{addr: \"127.0.0.1:0\", tls: {{certificate: {path}/{name}.crt, key: {path}/{name}.key}}}}\n"
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(folder.join("config.yml")).env_remove("REGISTRY_HTTP_ADDR");
        let server = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut registry = DockerRegistry { port: 0, server };
        common::until("docker-registry listens", || {
            let said = fs::read_to_string(folder.join("log")).unwrap();
            assert!(registry.server.try_wait().unwrap().is_none(), "docker-registry ended: {said}");
            let port = said.split("listening on 127.0.0.1:").nth(1).and_then(|rest| {
                let digits = rest.find(|c: char| !c.is_ascii_digit())?;
                rest[..digits].parse().ok()
            });
            port.is_some_and(|port| {
                registry.port = port;
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            })
        });
        registry
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn dockers_own_registry_behind_a_password_and_a_private_authority_gives_back_what_it_got() {
    let (user, certificates) = (User::new(), Certificates::new());
    let registry = DockerRegistry::new(&certificates, "server");
    let proxy = Proxy::new(&[(HOST, registry.port)]);
    let id = user.store.import(&common::small_root(), NAME);
    let login =
        |user: &User, password: &str| run(user, &proxy, &["login", "-u", "me", "-p", password, HOST]).output().unwrap();

    let said = common::failed(login(&user, "geheim"));
    assert!(said.contains("x509: certificate signed by unknown authority"), "{said}");
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    assert_eq!(login(&user, "wrong").status.code(), Some(1));
    let said = common::failed(run(&user, &proxy, &["push", NAME]).output().unwrap());
    assert!(said.contains("push access denied"), "{said}");
    assert_eq!(common::succeeded(login(&user, "geheim")), "Login Succeeded\n");
    common::succeeded(run(&user, &proxy, &["push", NAME]).output().unwrap());

    let other = User::new();
    other.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    fs::copy(user.docker(), other.docker()).unwrap();
    common::succeeded(run(&other, &proxy, &["pull", NAME]).output().unwrap());
    let found: serde_json::Value = serde_json::from_str(&other.ok(&["inspect", NAME])).unwrap();
    assert_eq!(found[0]["Id"], id.as_str());
    other.store.check();
}

/// Runs layerfs with the tests' proxy for https.
fn run(user: &User, proxy: &Proxy, args: &[&str]) -> Command {
    let mut command = user.command(args);
    command
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))
        .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
    command
}

#[track_caller]
fn pulls(user: &User, proxy: &Proxy, content: &Content) {
    common::succeeded(run(user, proxy, &["pull", NAME]).output().unwrap());
    user.has(NAME, content);
    user.ok(&["rm", NAME]);
}

#[track_caller]
fn refuses(user: &User, proxy: &Proxy) -> String {
    common::failed(run(user, proxy, &["pull", NAME]).output().unwrap())
}

#[test]
fn a_private_authority_is_believed_once_it_is_put_there() {
    let (user, content, certificates) = (User::new(), Content::new("app"), Certificates::new());
    let server = certificates.server("server", &content);
    let proxy = Proxy::new(&[(HOST, server.port)]);

    let said = refuses(&user, &proxy);
    assert!(said.contains("x509: certificate signed by unknown authority"), "{said}");
    let config = user.store.path("config");
    assert!(said.contains(&format!("{}/certs.d/{HOST}/ca.crt", config.display())), "{said}");
    assert!(said.contains(&format!("{}/registries.json", config.display())), "{said}");
    assert!(said.contains(&format!("{{\"insecure-registries\": [\"{HOST}\"]}}")), "{said}");
    assert!(server.seen().is_empty(), "not a word before it is believed");

    // The second of the two solutions, which is the better one.
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    pulls(&user, &proxy, &content);

    // The whole machine may be told instead.
    let user = User::new();
    let output =
        run(&user, &proxy, &["pull", NAME]).env("SSL_CERT_FILE", certificates.path("ca.crt")).output().unwrap();
    common::succeeded(output);
    let user = User::new();
    let folder = certificates.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(certificates.path("ca.crt"), folder.join("mine.pem")).unwrap();
    common::succeeded(run(&user, &proxy, &["pull", NAME]).env("SSL_CERT_DIR", &folder).output().unwrap());

    // The first one.
    let user = User::new();
    user.settings(&format!("{{\"insecure-registries\": [\"{HOST}\"]}}"));
    pulls(&user, &proxy, &content);
}

#[test]
fn a_certificate_that_signed_itself_is_believed_if_it_is_that_very_one() {
    let (user, content, certificates) = (User::new(), Content::new("app"), Certificates::new());
    let server = certificates.server("self", &content);
    let proxy = Proxy::new(&[(HOST, server.port)]);
    assert!(refuses(&user, &proxy).contains("x509: certificate signed by unknown authority"));
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    assert!(refuses(&user, &proxy).contains("x509: certificate signed by unknown authority"));
    user.trust(HOST, "domain.crt", &certificates.path("self.crt"));
    pulls(&user, &proxy, &content);
    // For another port it is another registry.
    let proxy = Proxy::new(&[("registry.invalid:6000", server.port)]);
    let said = common::failed(run(&user, &proxy, &["pull", "registry.invalid:6000/app:1"]).output().unwrap());
    assert!(said.contains("x509: certificate signed by unknown authority"), "{said}");
}

#[test]
fn a_certificate_for_somebody_else_or_of_the_past_is_refused() {
    let (user, content, certificates) = (User::new(), Content::new("app"), Certificates::new());
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    let stranger = certificates.server("stranger", &content);
    let said = refuses(&user, &Proxy::new(&[(HOST, stranger.port)]));
    assert!(said.contains("x509: certificate is valid for other.invalid, not for registry.invalid"), "{said}");
    for name in ["expired", "old"] {
        // To lie there does not make it younger.
        user.trust(HOST, "old.crt", &certificates.path("old.crt"));
        let server = certificates.server(name, &content);
        let said = refuses(&user, &Proxy::new(&[(HOST, server.port)]));
        assert!(said.contains("x509: certificate has expired"), "{said}");
    }
    let nameless = certificates.server("nameless", &content);
    let said = refuses(&user, &Proxy::new(&[(HOST, nameless.port)]));
    assert!(said.contains("subjectAltName"), "{said}");
}

#[test]
fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let (user, content, certificates) = (User::new(), Content::new("app"), Certificates::new());
    let honest = content.clone();
    let (certificate, key, clients) =
        (certificates.path("server.crt"), certificates.path("server.key"), certificates.path("ca.crt"));
    let tls = Tls { certificate: &certificate, key: &key, clients: Some(&clients) };
    let server = Server::with_tls(&tls, move |seen| honest.answer(seen));
    let proxy = Proxy::new(&[(HOST, server.port)]);
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    let said = refuses(&user, &proxy);
    assert!(said.contains("client.cert") && said.contains("client.key"), "{said}");

    user.trust(HOST, "client.key", &certificates.path("client.key"));
    assert!(refuses(&user, &proxy).contains("has no certificate beside it"));
    user.trust(HOST, "client.cert", &certificates.path("client.crt"));
    pulls(&user, &proxy, &content);
    user.trust(HOST, "client.key", &certificates.path("other.key"));
    let said = refuses(&user, &proxy);
    assert!(said.contains("does its key belong to it?"), "{said}");
    user.trust(HOST, "client.key", &certificates.path("client.crt"));
    let said = refuses(&user, &proxy);
    assert!(said.contains("the key of the client certificate beside it"), "{said}");
}

#[test]
fn a_registry_that_speaks_http_is_believed_only_if_it_is_listed() {
    let (user, content) = (User::new(), Content::new("app"));
    let honest = content.clone();
    let server = Server::new(move |seen| honest.answer(seen));
    let proxy = Proxy::new(&[(HOST, server.port)]);
    let said = refuses(&user, &proxy);
    assert!(said.contains("if it speaks http only") && said.contains("insecure-registries"), "{said}");
    user.settings(&format!("{{\"insecure-registries\": [\"http://{HOST}/\"]}}"));
    let http = format!("http://127.0.0.1:{}", proxy.port);
    common::succeeded(run(&user, &proxy, &["pull", NAME]).env("http_proxy", http).output().unwrap());
    user.has(NAME, &content);
}

#[test]
fn what_is_secret_does_not_fall_from_https_to_http() {
    let (user, certificates) = (User::new(), Certificates::new());
    let plain = Server::new(|_| refusal(404, "X", "y"));
    let target = format!("http://{}/v2/app/manifests/1", plain.host());
    let redirected = move |_: &common::http::Seen| Reply::new(307, "").with("Location", target.clone());
    let (certificate, key) = (certificates.path("server.crt"), certificates.path("server.key"));
    let tls = Tls { certificate: &certificate, key: &key, clients: None };
    let server = Server::with_tls(&tls, redirected);
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    let said = refuses(&user, &Proxy::new(&[(HOST, server.port)]));
    assert!(said.contains("from https to something else is refused"), "{said}");

    let challenge = format!("Bearer realm=\"http://{}/token\"", plain.host());
    let server = Server::with_tls(&tls, move |_| refusal(401, "X", "y").with("WWW-Authenticate", challenge.clone()));
    let said = refuses(&user, &Proxy::new(&[(HOST, server.port)]));
    assert!(said.contains("which is not secure: refused"), "{said}");
    assert!(plain.seen().is_empty());
}

#[test]
fn a_proxy_is_used_where_it_should_be_and_its_password_is_never_shown() {
    let (user, content, certificates) = (User::new(), Content::new("app"), Certificates::new());
    let server = certificates.server("server", &content);
    user.trust(HOST, "ca.crt", &certificates.path("ca.crt"));
    let proxy = Proxy::new(&[(HOST, server.port)]);
    let url = format!("http://me:geheim@127.0.0.1:{}", proxy.port);
    common::succeeded(run(&user, &proxy, &["pull", NAME]).env("HTTPS_PROXY", &url).output().unwrap());
    assert!(proxy.connected().iter().all(|host| host == HOST));
    assert_eq!(proxy.seen()[0].header("proxy-authorization"), Some("Basic bWU6Z2VoZWlt"));

    let mut command = run(&user, &proxy, &["pull", "elsewhere.invalid/app"]);
    let said = common::failed(command.env("HTTPS_PROXY", &url).output().unwrap());
    let through =
        format!("ask elsewhere.invalid through the proxy 127.0.0.1:{}: the proxy does not connect to it", proxy.port);
    assert!(said.contains(&through) && !said.contains("geheim"), "{said}");
    let before = proxy.connected().len();
    let said = common::failed(run(&user, &proxy, &["pull", NAME]).env("NO_PROXY", "invalid").output().unwrap());
    assert!(said.contains("no such host"), "{said}");
    let direct = Server::new(move |seen| content.answer(seen));
    common::succeeded(run(&user, &proxy, &["pull", &format!("{}/app:1", direct.host())]).output().unwrap());
    assert_eq!(proxy.connected().len(), before);
}

#[test]
fn a_mirror_is_asked_before_docker_io_and_whatever_it_lacks_is_had_from_there() {
    let certificates = Certificates::new();
    let content = Content::new("library/busybox");
    for (what, of_mirror) in [("all", 3), ("nothing", 0), ("no layers", 2), ("trouble", 0)] {
        let user = User::new();
        let hub = certificates.server("server", &content);
        let (honest, lacks) = (content.clone(), content.layer.to_string());
        let mirror = Server::new(move |seen| match what {
            "all" => honest.answer(seen),
            "no layers" if !seen.target.contains(&lacks) => honest.answer(seen),
            "trouble" => Reply::new(500, "boom"),
            _ => refusal(404, "MANIFEST_UNKNOWN", "not here"),
        });
        let dead = Dead::new();
        user.settings(&format!(
            "{{\"registry-mirrors\": [\"http://127.0.0.1:{}\", \"http://127.0.0.1:{}/\"]}}",
            dead.port, mirror.port
        ));
        user.trust("registry-1.docker.io", "ca.crt", &certificates.path("ca.crt"));
        let proxy = Proxy::new(&[("registry-1.docker.io:443", hub.port)]);
        common::succeeded(run(&user, &proxy, &["pull", "busybox:1"]).output().unwrap());
        user.has("busybox:1", &content);
        assert_eq!(hub.seen().len(), 3 - of_mirror, "{what}: {:?}", hub.seen());

        // Another registry has nothing to do with them.
        let asked = mirror.seen().len();
        common::failed(run(&user, &proxy, &["pull", "quay.invalid/busybox"]).output().unwrap());
        assert_eq!(mirror.seen().len(), asked);
    }
}
