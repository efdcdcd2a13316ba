//! A listing as a server serves it: it ends, and all that is taken from it are names and sizes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use git_lake::access::Access;
use git_lake::lake::s3::{Forgetful, Limits, S3Lake, Server};
use git_lake::lake::{AdminLake as _, Found, ReadLake as _};
use git_lake::lake_url::LakeUrl;

/// The first byte says what of the answer is given: a body, or head and body.
pub(super) fn check(bytes: &[u8]) {
    static SERVED: LazyLock<Served> = LazyLock::new(Served::start);
    let Some((kind, rest)) = bytes.split_first() else { return };
    let answer = match kind {
        b'H' => rest.to_vec(),
        _ => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", rest.len());
            [head.as_bytes(), rest].concat()
        }
    };
    SERVED.serve(answer);
    let listed = SERVED.lake().list();
    // A page has a thousand names, and the second is the first again.
    let most = bytes.len();
    for entry in listed.into_iter().flatten() {
        match entry {
            Ok((name, info)) => {
                assert!(!name.as_str().contains('/'));
                assert!(i64::try_from(info.size).is_ok());
            }
            Err(error) => drop(error.to_string()),
        }
    }
    let mut count = 0;
    if kind % 8 == 0 {
        for entry in SERVED.lake().survey().into_iter().flatten() {
            count += usize::from(matches!(entry, Ok(Found::Object(..) | Found::Foreign(_))));
        }
    }
    assert!(count <= 2 * most, "a listing ends");
}

/// A server that gives one answer to all.
struct Served {
    answer: Arc<Mutex<Arc<Vec<u8>>>>,
    url: LakeUrl,
    server: Server,
}

impl Served {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let answer: Arc<Mutex<Arc<Vec<u8>>>> = Arc::default();
        let shared = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = Arc::clone(&shared);
                std::thread::spawn(move || attend(stream, &answer));
            }
        });
        let url = LakeUrl::parse(&format!("s3://127.0.0.1:{port}/b/lake")).expect("an address");
        let access = Access { plain_http: true, ..Access::default() };
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, stall: second, ..Limits::default() };
        let server = Server::new(&url, access, limits, Arc::new(Forgetful));
        Self { answer, url, server }
    }

    fn serve(&self, answer: Vec<u8>) {
        *self.answer.lock().expect("no holder panics") = Arc::new(answer);
    }

    fn lake(&self) -> S3Lake {
        S3Lake::new(self.url.clone(), &self.url, self.server.clone()).expect("a bucket")
    }
}

/// Answers requests without a body, until one of the two has had enough.
fn attend(mut stream: TcpStream, answer: &Mutex<Arc<Vec<u8>>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    // Small answers, each waited for.
    drop(stream.set_nodelay(true));
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        let answer = Arc::clone(&answer.lock().expect("no holder panics"));
        let is_last = !answer.starts_with(b"HTTP/1.1 200 OK\r\ncontent-length: ");
        if stream.write_all(&answer).is_err() || is_last {
            return;
        }
    }
}
