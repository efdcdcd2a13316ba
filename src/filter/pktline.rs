//! git's packet lines: four hexadecimal digits of length, then the payload; `0000` is a flush.
//!
//! git itself never sends an empty packet and takes one for the end of content, so none is ever
//! written here (gitprotocol-common(5); seen with git 2.47: the file is truncated without an error).

use std::io::{self, Read, Write};

/// Most bytes that one packet carries, as in git's `pkt-line.h` (65520 less the four of the length).
pub const MAX_PAYLOAD_BYTES: usize = 65516;
const LENGTH_BYTES: usize = 4;
/// Holds one packet and what a pipe of usual size has ready behind it.
const BUFFER_BYTES: usize = 128 * 1024;

/// What stands in a stream of packet lines.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A payload, never empty.
    Data(&'a [u8]),
    /// The end of a list or of content.
    Flush,
    /// The end of the stream, between packets.
    End,
}

/// Reads packet lines; payloads are handed out where they lie in the buffer.
#[derive(Debug)]
pub struct PacketReader<R> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> PacketReader<R> {
    /// Reads from `input`, which needs no buffer of its own.
    pub fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER_BYTES].into(), start: 0, end: 0 }
    }

    /// Reads the next packet; blocks until it is complete.
    ///
    /// # Errors
    /// `InvalidData` for a length that no packet has, `UnexpectedEof` for a stream that ends within a
    /// packet, and the errors of the stream.
    pub fn read_packet(&mut self) -> io::Result<Packet<'_>> {
        if !self.fill(LENGTH_BYTES)? {
            return match self.start == self.end {
                true => Ok(Packet::End),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let digits = &self.buffer[self.start..self.start + LENGTH_BYTES];
        let length = parse_length(digits).ok_or_else(|| {
            let shown = digits.escape_ascii();
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("`{shown}` is no length of a packet"),
            )
        })?;
        if length == 0 {
            self.start += LENGTH_BYTES;
            return Ok(Packet::Flush);
        }
        if !self.fill(length)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let payload = self.start + LENGTH_BYTES..self.start + length;
        self.start += length;
        Ok(Packet::Data(&self.buffer[payload]))
    }

    /// Makes `wanted` bytes lie in the buffer in one piece; false at the end of the stream.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        while self.end - self.start < wanted {
            if self.start + wanted > self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Parses a packet's length including its own digits; 0 for a flush.
fn parse_length(digits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    let length = usize::from_str_radix(text, 16).ok()?;
    let is_packet = length > LENGTH_BYTES && length <= LENGTH_BYTES + MAX_PAYLOAD_BYTES;
    (length == 0 || is_packet).then_some(length)
}

/// Writes packet lines. Nothing is sent before [`PacketWriter::send`] is called or much has gathered.
#[derive(Debug)]
pub struct PacketWriter<W: Write> {
    output: W,
    gathered: Vec<u8>,
}

impl<W: Write> PacketWriter<W> {
    /// Writes to `output`, which needs no buffer of its own.
    pub fn new(output: W) -> Self {
        Self { output, gathered: Vec::with_capacity(BUFFER_BYTES) }
    }

    /// Writes a text line: one packet with a final line feed.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn line(&mut self, key: &str, value: &[u8]) -> io::Result<()> {
        self.packet(&[key.as_bytes(), value, b"\n"].concat())
    }

    /// Writes content as packets; none for no content.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn content(&mut self, content: &[u8]) -> io::Result<()> {
        content.chunks(MAX_PAYLOAD_BYTES).try_for_each(|payload| self.packet(payload))
    }

    /// Writes a flush packet.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush_packet(&mut self) -> io::Result<()> {
        self.gathered.extend(b"0000");
        self.send_if_full()
    }

    /// Sends everything that was written.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self) -> io::Result<()> {
        self.output.write_all(&self.gathered)?;
        self.gathered.clear();
        self.output.flush()
    }

    /// Returns the stream; what was not sent is lost.
    #[cfg(test)]
    pub(crate) fn into_output(self) -> W {
        self.output
    }

    fn packet(&mut self, payload: &[u8]) -> io::Result<()> {
        debug_assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD_BYTES);
        write!(self.gathered, "{:04x}", payload.len() + LENGTH_BYTES)?;
        self.gathered.extend_from_slice(payload);
        self.send_if_full()
    }

    fn send_if_full(&mut self) -> io::Result<()> {
        if self.gathered.len() > BUFFER_BYTES - MAX_PAYLOAD_BYTES - 2 * LENGTH_BYTES {
            self.output.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out bytes in pieces of the given lengths.
    struct Pieces<'a>(&'a [u8], Vec<usize>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.1.pop().unwrap_or(usize::MAX).max(1);
            let count = piece.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn pattern(size: usize) -> Vec<u8> {
        (0..size).map(|i| u8::try_from(i % 251).expect("small")).collect()
    }

    fn written(contents: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = PacketWriter::new(&mut bytes);
        for content in contents {
            writer.content(content).expect("memory");
            writer.flush_packet().expect("memory");
        }
        writer.send().expect("memory");
        bytes
    }

    fn read_back(input: impl Read) -> io::Result<Vec<Vec<u8>>> {
        let (mut contents, mut content) = (Vec::new(), Vec::new());
        let mut reader = PacketReader::new(input);
        loop {
            match reader.read_packet()? {
                Packet::Data(payload) => content.extend(payload),
                Packet::Flush => contents.push(std::mem::take(&mut content)),
                Packet::End => return Ok(contents),
            }
        }
    }

    #[test]
    fn content_of_a_packets_size_and_its_neighbours_round_trips() {
        for size in [0, 1, 65_515, 65_516, 65_517, 131_032, 131_033, 1 << 20] {
            let content: Vec<u8> =
                (0..size).map(|i| u8::try_from(i % 251).expect("small")).collect();
            let bytes = written(std::slice::from_ref(&content));
            assert!(!bytes.windows(4).any(|four| four == b"0004") || size > 3, "no empty packet");
            assert_eq!(read_back(&*bytes).expect("reads"), [content]);
        }
    }

    #[test]
    fn a_stream_that_ends_within_a_packet_is_an_error() {
        for bytes in [&b"00"[..], b"0006a", b"0005"] {
            let error = read_back(bytes).expect_err("cut off");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        for bytes in [&b"0004"[..], b"0001", b"fff5", b"+005a", b"wxyz"] {
            let error = read_back(bytes).expect_err("no length");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn packets_round_trip_for_any_split(
            sizes in prop::collection::vec(0usize..200_000, 0..4),
            pieces in prop::collection::vec(1usize..70_000, 0..40),
        ) {
            let contents: Vec<Vec<u8>> = sizes.into_iter().map(pattern).collect();
            let bytes = written(&contents);
            prop_assert_eq!(read_back(Pieces(&bytes, pieces)).expect("reads"), contents);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(contents) = read_back(&*bytes) {
                prop_assert!(contents.iter().map(Vec::len).sum::<usize>() <= bytes.len());
            }
        }
    }
}
