//! A web server that answers what a test wants, TLS around it, and a proxy that leads any name to it.

use rustix::net::{AddressFamily, SocketType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `GET /v2/`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The headers promise a body of another length than is sent.
    pub promised: Option<usize>,
    pub end: End,
}

/// What comes after an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// The connection is closed.
    Close,
    /// Nothing, for as long as the client waits.
    Stall,
    /// A byte every now and then.
    Trickle,
    /// There is not even an answer: the connection is closed.
    Cut,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into(), promised: None, end: End::Close }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn then(mut self, end: End) -> Reply {
        self.end = end;
        self
    }

    pub fn promising(mut self, bytes: usize) -> Reply {
        self.promised = Some(bytes);
        self
    }
}

/// How a server proves who it is, and whom it lets in.
pub struct Tls<'a> {
    pub certificate: &'a Path,
    pub key: &'a Path,
    /// Whose certificates a client must have.
    pub clients: Option<&'a Path>,
}

/// A server on a port of this machine, as long as it is held.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Server {
    pub fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        Server::start(None, answer)
    }

    pub fn with_tls(tls: &Tls, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = CertificateDer::pem_file_iter(tls.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(tls.key).unwrap();
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match tls.clients {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap));
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        Server::start(Some(Arc::new(builder.with_single_cert(chain, key).unwrap())), answer)
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end, answer) = (seen.clone(), over.clone(), Arc::new(answer));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(socket), tls, log, answer, end) =
                    (socket, tls.clone(), log.clone(), answer.clone(), end.clone())
                else {
                    continue;
                };
                thread::spawn(move || {
                    let mut stream: Box<dyn Stream> = match tls {
                        None => Box::new(socket),
                        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config).unwrap(), socket)),
                    };
                    // A client may go away at any time.
                    let _ = serve(&mut *stream, &log, &*answer, &end);
                });
            }
        });
        Server { port, seen, over }
    }

    /// All that was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    stream: &mut dyn Stream,
    log: &Mutex<Vec<Seen>>,
    answer: &dyn Fn(&Seen) -> Reply,
    over: &AtomicBool,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(mut seen) = read_request(&mut reader)? else { return Ok(()) };
    log.lock().unwrap().push(seen.clone());
    let mut reply = answer(&seen);
    if reply.status == 100 {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        read_body(&mut reader, &mut seen)?;
        seen.headers.remove("expect");
        log.lock().unwrap().push(seen.clone());
        reply = answer(&seen);
    }
    let stream = reader.into_inner();
    if reply.end == End::Cut {
        return Ok(());
    }
    let length = reply.promised.unwrap_or(reply.body.len());
    let mut text = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\nContent-Length: {length}\r\n", reply.status);
    for (name, value) in &reply.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    if seen.method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    stream.flush()?;
    while reply.end != End::Close && !over.load(Ordering::SeqCst) {
        thread::sleep(std::time::Duration::from_millis(100));
        if reply.end == End::Trickle {
            stream.write_all(b" ")?;
            stream.flush()?;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<&mut dyn Stream>) -> io::Result<Option<Seen>> {
    // The first byte of a TLS handshake: whoever speaks it to a plain server is told so, as Go's does.
    if reader.fill_buf()?.first() == Some(&0x16) {
        reader
            .get_mut()
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")?;
        return Ok(None);
    }
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut seen =
        Seen { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default(), ..Seen::default() };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        seen.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    // Who says `Expect: 100-continue` waits for a word before sending the body: a reply with status 100.
    if seen.header("expect").is_none() {
        read_body(reader, &mut seen)?;
    }
    Ok(Some(seen))
}

fn read_body(reader: &mut BufReader<&mut dyn Stream>, seen: &mut Seen) -> io::Result<()> {
    let length = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut seen.body).map(drop)
}

/// A port of this machine that nobody listens at, and nobody else gets, as long as it is held.
pub struct Dead {
    pub port: u16,
    _socket: OwnedFd,
}

impl Dead {
    pub fn new() -> Dead {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
        Dead { port: address.port(), _socket: socket }
    }
}

/// A proxy that knows what is behind each `HOST:PORT`, as the name server of the tests' own network.
pub struct Proxy {
    pub port: u16,
    connected: Arc<Mutex<Vec<Seen>>>,
    over: Arc<AtomicBool>,
}

impl Proxy {
    pub fn new(routes: &[(&str, u16)]) -> Proxy {
        let routes: HashMap<String, u16> = routes.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connected, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end, routes) = (connected.clone(), over.clone(), Arc::new(routes));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (log, routes) = (log.clone(), routes.clone());
                thread::spawn(move || {
                    let _ = tunnel(socket, &log, &routes);
                });
            }
        });
        Proxy { port, connected, over }
    }

    /// The `HOST:PORT`s that it was asked to connect to.
    pub fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().iter().map(|seen| seen.target.clone()).collect()
    }

    /// The headers of what it was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.connected.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn tunnel(mut client: TcpStream, log: &Mutex<Vec<Seen>>, routes: &HashMap<String, u16>) -> io::Result<()> {
    let mut copy = client.try_clone()?;
    let stream: &mut dyn Stream = &mut copy;
    let Some(seen) = read_request(&mut BufReader::with_capacity(1, stream))? else { return Ok(()) };
    log.lock().unwrap().push(seen.clone());
    let Some(port) = routes.get(&seen.target) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(("127.0.0.1", *port))?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut from_server = server;
    let _ = io::copy(&mut from_server, &mut client);
    client.shutdown(Shutdown::Both)
}
