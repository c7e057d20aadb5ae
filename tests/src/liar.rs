//! A registry that does as a test tells it: breaks off, falls silent, sends something else. Plain HTTP/1.1 on a port of this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// `/v2/app/manifests/latest`, with what follows a question mark.
    pub path: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The byte that it wants to begin from: `Range: bytes=512-`.
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |from| from.parse().expect("a number"))
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status; with 0 there is no answer at all.
    pub status: u16,
    /// The headers, besides the length.
    pub headers: Vec<(String, String)>,
    /// What is said to come.
    pub body: Vec<u8>,
    /// So much of it really comes,
    pub sent: usize,
    /// and then the connection stays open and silent, or is closed.
    pub stalls: bool,
}

impl Answer {
    /// An answer that is as it should be.
    pub fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let (body, headers) = (body.into(), vec![("Content-Type".to_owned(), media_type.to_owned())]);
        Answer { status, headers, sent: body.len(), body, stalls: false }
    }

    /// The same with a header.
    pub fn with(mut self, name: &str, value: impl ToString) -> Answer {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same, broken off after so many bytes.
    pub fn cut(mut self, after: usize) -> Answer {
        self.sent = after.min(self.body.len());
        self
    }

    /// Nothing, not even a status: the connection is closed.
    pub fn silent(self) -> Answer {
        Answer { status: 0, ..self }
    }

    /// The same, silent after so many bytes.
    pub fn stalled(self, after: usize) -> Answer {
        Answer { stalls: true, ..self.cut(after) }
    }

    /// Bytes of a blob from `from` on, as a registry that knows of ranges sends them.
    pub fn part(blob: &[u8], from: usize) -> Answer {
        let answer = Answer::new(if from > 0 { 206 } else { 200 }, "application/octet-stream", &blob[from..]);
        if from == 0 {
            return answer;
        }
        answer.with("Content-Range", format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()))
    }
}

/// The registry; it ends when it is dropped.
pub struct Liar {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<dyn Fn(&Request) -> Answer + Send + Sync>,
    requests: Mutex<Vec<Request>>,
    ends: AtomicBool,
}

impl Liar {
    /// Starts one that answers as `answer` says.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("a port").port();
        let shared =
            Arc::new(Shared { answer: Box::new(answer), requests: Mutex::default(), ends: AtomicBool::new(false) });
        let ours = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ours.ends.load(Ordering::SeqCst) {
                    break;
                }
                let ours = Arc::clone(&ours);
                // One that breaks is the client's business.
                std::thread::spawn(move || ours.serve(stream));
            }
        });
        Liar { port, shared, listener: Some(listening) }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All requests so far whose method and path begin so: `GET /v2/app/blobs/`.
    pub fn requests(&self, begin: &str) -> Vec<Request> {
        let all = self.shared.requests.lock().unwrap();
        all.iter()
            .filter(|request| format!("{} {}", request.method, request.path).starts_with(begin))
            .cloned()
            .collect()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut first = [0];
        // What begins a TLS handshake has no end of line to wait for.
        if stream.peek(&mut first).ok()? == 0 || first == [0x16] {
            return None;
        }
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        // As long as the client keeps the connection.
        loop {
            let request = read_request(&mut reader)?;
            self.requests.lock().unwrap().push(request.clone());
            let answer = (self.answer)(&request);
            let whole = self.send(&stream, &request, &answer)?;
            if !whole {
                let _ = stream.shutdown(Shutdown::Both);
                return None;
            }
        }
    }

    /// Sends an answer; whether all of it.
    fn send(&self, mut stream: &TcpStream, request: &Request, answer: &Answer) -> Option<bool> {
        if answer.status == 0 {
            return Some(false);
        }
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        if request.method == "HEAD" {
            return Some(true);
        }
        stream.write_all(&answer.body[..answer.sent]).ok()?;
        while answer.stalls && !self.ends.load(Ordering::SeqCst) && is_open(stream) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(answer.sent == answer.body.len() && !answer.stalls)
    }
}

/// Whether the client is still there.
fn is_open(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let open = match stream.peek(&mut [0]) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    let _ = stream.set_nonblocking(false);
    open
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let request = Request { method, path, headers };
    if request.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(request)
}
