//! A way to a server that can be closed, opened again and watched, whatever the server is.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Longest run of bytes that is forwarded in one piece.
const PIECE_BYTES: usize = 16 << 10;

/// A port of this machine that leads to a server. It is kept when the way is closed, since somebody
/// else could take it: connections are made then, and break at once.
pub(crate) struct Forwarder {
    address: SocketAddr,
    way: Arc<Way>,
    accepting: Option<JoinHandle<()>>,
}

struct Way {
    server: String,
    is_over: AtomicBool,
    connections: AtomicUsize,
    /// Each new connection breaks after so many bytes from the client.
    most_bytes: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Forwarder {
    /// Opens a way to the server, which is given as host and port.
    pub(crate) fn to(server: &str) -> Self {
        let way = Arc::new(Way {
            server: server.to_owned(),
            is_over: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            most_bytes: AtomicUsize::new(usize::MAX),
            streams: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let leading = Arc::clone(&way);
        let accepting = std::thread::spawn(move || leading.accept(&listener));
        Self { address, way, accepting: Some(accepting) }
    }

    /// Returns address and port, such as `127.0.0.1:1234`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns how many connections were made until now.
    pub(crate) fn connections(&self) -> usize {
        self.way.connections.load(Ordering::SeqCst)
    }

    /// Breaks all connections, and each new one after so many bytes from the client.
    pub(crate) fn break_after(&self, bytes: usize) {
        self.way.most_bytes.store(bytes, Ordering::SeqCst);
        for stream in self.way.streams.lock().unwrap().drain(..) {
            // It may have ended.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Breaks all connections until it is opened again.
    pub(crate) fn close(&self) {
        self.break_after(0);
    }

    pub(crate) fn open(&self) {
        self.break_after(usize::MAX);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.way.is_over.store(true, Ordering::SeqCst);
        // Accepting ends with one more connection.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.take().map(JoinHandle::join));
        self.close();
    }
}

impl Way {
    fn accept(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            self.connections.fetch_add(1, Ordering::SeqCst);
            self.lead(client.unwrap());
        }
    }

    /// Carries bytes in both directions until one side ends; the threads end with the connection.
    fn lead(&self, client: TcpStream) {
        let mut streams = self.streams.lock().unwrap();
        let most_bytes = self.most_bytes.load(Ordering::SeqCst);
        if most_bytes == 0 {
            return;
        }
        let Ok(server) = TcpStream::connect(&self.server) else { return };
        for (from, to, most) in [(&client, &server, most_bytes), (&server, &client, usize::MAX)] {
            to.set_nodelay(true).unwrap();
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            std::thread::spawn(move || carry(from, to, most));
        }
        streams.extend([client, server]);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut most: usize) {
    let mut buffer = [0; PIECE_BYTES];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || count > most || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        most -= count;
    }
    // Both ends are gone by now, or have to go.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
