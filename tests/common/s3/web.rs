//! A server that speaks HTTP and nothing of S3: it says what a test wants, and hears everything.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What it says: a status and a body; `None` to hold the connection and never answer.
pub(crate) type Says = dyn Fn(&str) -> Option<(u16, String)> + Send + Sync;

/// A running server; it stops when dropped.
pub(crate) struct Web {
    address: SocketAddr,
    heard: Arc<Heard>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

impl Web {
    /// Starts a server on a free port of this machine; `says` gets requests with head and body.
    pub(crate) fn start(
        says: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Heard>::default();
        let hears = Arc::clone(&heard);
        let says: Arc<Says> = Arc::new(says);
        let thread = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if hears.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                hears.connections.fetch_add(1, Ordering::SeqCst);
                silent.push(stream.try_clone().unwrap());
                let (says, hears) = (Arc::clone(&says), Arc::clone(&hears));
                std::thread::spawn(move || answer(stream, &*says, &hears));
            }
        });
        Self { address, heard, thread: Some(thread) }
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns all requests up to now, each with head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.heard.requests.lock().unwrap().clone()
    }

    /// Returns how many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.heard.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.heard.is_over.store(true, Ordering::SeqCst);
        // Whoever waits for connections sees one more, and then the end.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Answers one request. What cannot be read or written, as TLS, ends the connection.
fn answer(mut stream: TcpStream, says: &Says, heard: &Heard) {
    let Some(request) = request(&stream) else {
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"));
        return drop(stream.shutdown(std::net::Shutdown::Both));
    };
    heard.requests.lock().unwrap().push(request.clone());
    let Some((status, body)) = says(&request) else { return };
    let length = body.len();
    let body = if request.starts_with("HEAD") { "" } else { &body };
    // The metadata service says with its tokens how long they last; nobody else minds.
    let lasts = "x-aws-ec2-metadata-token-ttl-seconds: 600";
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n{lasts}\r\n\r\n"
    );
    drop(stream.write_all(format!("{head}{body}").as_bytes()));
    drop(stream.shutdown(std::net::Shutdown::Both));
}

fn request(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let from = text.len();
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
        let line = text[from..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8_lossy(&body))
}
