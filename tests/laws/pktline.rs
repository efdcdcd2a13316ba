//! git's side of the filter protocol: how its bytes are split does not matter, and whatever it says, the
//! answer is packet lines.

use std::io::{self, ErrorKind, Read};

use git_lake::filter::pktline::{MAX_PAYLOAD_BYTES, Packet, PacketReader, PacketWriter};
use git_lake::filter::protocol::{Command, Connection, Status};

/// The first byte says how the others are split.
pub(super) fn check(bytes: &[u8]) {
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let whole = packets(bytes);
    assert_eq!(packets(Pieces::of(bytes, *seed)), whole, "the split does not matter");
    round_trips(&whole.0);
    let (answer, end) = conversation(bytes);
    assert_eq!(conversation(Pieces::of(bytes, *seed)), (answer.clone(), end));
    let (said, end) = packets(&*answer);
    assert_eq!(end, None, "an answer is packet lines, whole ones");
    let sizes: usize = said.iter().flatten().map(Vec::len).sum();
    assert!(sizes <= 2 * bytes.len() + 64 * said.len(), "no more is said than was asked");
}

/// Hands out bytes in pieces.
struct Pieces<'a> {
    bytes: &'a [u8],
    state: u32,
}

impl<'a> Pieces<'a> {
    fn of(bytes: &'a [u8], seed: u8) -> Self {
        Self { bytes, state: u32::from(seed) + 1 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if self.state >> 28 == 0 {
            return Err(ErrorKind::Interrupted.into());
        }
        let piece = (self.state >> 16) as usize % 9 + 1;
        let count = piece.min(buffer.len()).min(self.bytes.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// Reads packets to the end; a flush is `None`. The second is the error that ended it.
fn packets(input: impl Read) -> (Vec<Option<Vec<u8>>>, Option<ErrorKind>) {
    let (mut reader, mut read) = (PacketReader::new(input), Vec::new());
    loop {
        match reader.read_packet() {
            Ok(Packet::Data(payload)) => {
                assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD_BYTES);
                read.push(Some(payload.to_vec()));
            }
            Ok(Packet::Flush) => read.push(None),
            Ok(Packet::End) => return (read, None),
            Err(error) => return (read, Some(error.kind())),
        }
    }
}

fn round_trips(read: &[Option<Vec<u8>>]) {
    let mut written = Vec::new();
    let mut writer = PacketWriter::new(&mut written);
    for packet in read {
        match packet {
            Some(payload) => writer.content(payload).expect("memory"),
            None => writer.flush_packet().expect("memory"),
        }
    }
    writer.send().expect("memory");
    assert_eq!(packets(&*written), (read.to_vec(), None));
}

/// Answers as a filter may, by the names of paths; returns what was said, and what ended it.
fn conversation(input: impl Read) -> (Vec<u8>, Option<ErrorKind>) {
    let mut answer = Vec::new();
    let ended = talk(input, &mut answer).err();
    (answer, ended.map(|error| error.kind()))
}

fn talk(input: impl Read, output: &mut Vec<u8>) -> io::Result<()> {
    let mut connection = Connection::new(input, output);
    connection.handshake()?;
    let mut delayed: Vec<Vec<u8>> = Vec::new();
    while let Some(request) = connection.next_request()? {
        if request.command == Command::ListAvailableBlobs {
            assert!(request.path.is_empty() || connection.content()?.is_none());
            let paths = std::mem::take(&mut delayed);
            connection.answer_list(paths.iter().map(Vec::as_slice))?;
            continue;
        }
        assert!(!request.path.is_empty());
        match request.path.len() % 4 {
            0 => connection.answer_status(Status::Error)?,
            1 if request.can_delay => {
                delayed.push(request.path);
                connection.answer_status(Status::Delayed)?;
            }
            2 => {
                let mut content = Vec::new();
                while let Some(piece) = connection.content()? {
                    assert!(!piece.is_empty());
                    content.extend_from_slice(piece);
                }
                connection.begin_answer()?;
                connection.add_content(&content)?;
                let is_good = request.command == Command::Clean;
                connection.end_answer(if is_good { Status::Success } else { Status::Error })?;
            }
            _ => connection.answer(&request.path)?,
        }
    }
    Ok(())
}
