//! A registry that can only be pulled from: it serves the blobs of another store, in a thread of the test.

use super::Store;
use layout::images;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub struct Registry {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Serves the images of `store` that have a name; the store must live longer.
    pub fn of(store: &Store) -> Registry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (root, stopped) = (store.root(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let root = root.clone();
                // Whoever is killed closes the connection; that is no failure of the registry.
                std::thread::spawn(move || stream.map(|stream| serve(stream, root)));
            }
        });
        Registry { address, stop, thread: Some(thread) }
    }

    /// What to call an image of it.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut stream: TcpStream, root: PathBuf) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = Vec::new();
        // Who speaks TLS is not answered, and tries plain HTTP next.
        if reader.fill_buf()?.first().is_none_or(|byte| !byte.is_ascii_uppercase()) {
            return Ok(());
        }
        reader.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let (mut header, mut from) = (String::new(), 0usize);
        while reader.read_line(&mut header)? > 2 {
            if let Some(range) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                from = range.split('-').next().and_then(|start| start.parse().ok()).unwrap_or(0);
            }
            header.clear();
        }
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, kind, body) = answer(path, &root);
        let status = if from > 0 && status == 200 { 206 } else { status };
        let body = &body[from.min(body.len())..];
        let range = format!("Content-Range: bytes {from}-{}/*\r\n", from + body.len().saturating_sub(1));
        let range = if status == 206 { range.as_str() } else { "" };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{range}\r\n")?;
        if method != "HEAD" {
            stream.write_all(body)?;
        }
    }
}

fn answer(path: &str, root: &std::path::Path) -> (u16, String, Vec<u8>) {
    let layout = layout::Layout::at(root, &root.join("run")).unwrap();
    let parts: Vec<&str> = path.trim_start_matches("/v2/").split('/').collect();
    let json = "application/json".to_owned();
    match parts[..] {
        [] | [""] | ["v2"] => (200, json, b"{}".to_vec()),
        [name, "manifests", tag] => {
            let index = images::index(&layout).unwrap();
            let wanted = format!("{name}:{tag}");
            let found = index.manifests.iter().find(|listed| {
                listed.digest.as_str() == tag || listed.annotation(layout::oci::image::REF_NAME) == Some(&wanted)
            });
            match found {
                Some(listed) => (200, listed.media_type.clone(), std::fs::read(layout.blob(&listed.digest)).unwrap()),
                None => (404, json, b"{}".to_vec()),
            }
        }
        [_, "blobs", digest] => match digest.parse().map(|digest| std::fs::read(layout.blob(&digest))) {
            Ok(Ok(bytes)) => (200, "application/octet-stream".to_owned(), bytes),
            _ => (404, json, b"{}".to_vec()),
        },
        _ => (404, json, b"{}".to_vec()),
    }
}
