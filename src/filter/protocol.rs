//! git's long-running filter protocol, version 2, from the filter's side (gitattributes(5)).
//!
//! Generic over the streams, so that it runs in memory. Knows the order of messages and nothing of
//! what the filter does with them. git sends the whole content before it reads an answer: the
//! content of a request must be read to its end before anything long is written.

use std::io::{self, Read, Write};

use super::pktline::{Packet, PacketReader, PacketWriter};

/// A filter's end of the conversation.
#[derive(Debug)]
pub struct Connection<R, W: Write> {
    reader: PacketReader<R>,
    writer: PacketWriter<W>,
    /// Whether content of the last request was not read to its end.
    content_left: bool,
}

/// What git asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Content goes to git's object database.
    Clean,
    /// A blob goes to the work tree.
    Smudge,
    /// Which delayed paths can be answered now.
    ListAvailableBlobs,
}

/// A request without its content.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// The path from the top of the work tree, any bytes; empty for a list.
    pub path: Vec<u8>,
    /// The blob that is smudged, in hexadecimal digits, where git tells.
    pub blob: Option<String>,
    /// The commit or tree that is checked out, in hexadecimal digits, where git tells.
    pub treeish: Option<String>,
    /// Whether the answer may be `delayed`.
    pub can_delay: bool,
}

/// How an answer ends or what stands instead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The content is complete.
    Success,
    /// This path failed; the process goes on.
    Error,
    /// The path will be in a later list.
    Delayed,
}

impl Status {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Success => b"success",
            Self::Error => b"error",
            Self::Delayed => b"delayed",
        }
    }
}

fn violation(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

impl<R: Read, W: Write> Connection<R, W> {
    /// Talks over two raw streams.
    pub fn new(input: R, output: W) -> Self {
        let (reader, writer) = (PacketReader::new(input), PacketWriter::new(output));
        Self { reader, writer, content_left: false }
    }

    /// Agrees on version and capabilities: those of git that this filter knows.
    ///
    /// # Errors
    /// `InvalidData` if the other side is no git that speaks version 2; errors of the streams.
    pub fn handshake(&mut self) -> io::Result<()> {
        let hello = self.read_list()?;
        if hello.first().is_none_or(|line| line != b"git-filter-client")
            || !hello.iter().any(|line| line == b"version=2")
        {
            return Err(violation("This is started by git as a filter, which speaks version 2"));
        }
        self.writer.line("git-filter-server", b"")?;
        self.writer.line("version=2", b"")?;
        self.writer.flush_packet()?;
        self.writer.send()?;
        let offered = self.read_list()?;
        for capability in ["clean", "smudge", "delay"] {
            let line = format!("capability={capability}");
            if offered.iter().any(|offer| offer == line.as_bytes()) {
                self.writer.line(&line, b"")?;
            }
        }
        self.writer.flush_packet()?;
        self.writer.send()
    }

    /// Reads the next request; `None` when git closed the pipe. Unknown keys are passed over.
    ///
    /// # Errors
    /// `InvalidData` for a request that makes no sense; errors of the stream.
    pub fn next_request(&mut self) -> io::Result<Option<Request>> {
        self.drain()?;
        let mut lines = Vec::new();
        loop {
            match self.reader.read_packet()? {
                Packet::Data(line) => lines.push(line.strip_suffix(b"\n").unwrap_or(line).to_vec()),
                Packet::Flush => break,
                Packet::End if lines.is_empty() => return Ok(None),
                Packet::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let value = |key: &str| {
            let found = lines.iter().rev().find_map(|line| line.strip_prefix(key.as_bytes()));
            found.map(<[u8]>::to_vec)
        };
        let text = |key: &str| value(key).and_then(|bytes| String::from_utf8(bytes).ok());
        let command = match value("command=").as_deref() {
            Some(b"clean") => Command::Clean,
            Some(b"smudge") => Command::Smudge,
            Some(b"list_available_blobs") => Command::ListAvailableBlobs,
            _ => {
                return Err(violation("git asks for a command that this filter did not offer"));
            }
        };
        let path = value("pathname=").unwrap_or_default();
        self.content_left = command != Command::ListAvailableBlobs;
        if self.content_left && path.is_empty() {
            return Err(violation("git asks for a path without a name"));
        }
        let can_delay = value("can-delay=").is_some_and(|value| value == b"1");
        let (blob, treeish) = (text("blob="), text("treeish="));
        Ok(Some(Request { command, path, blob, treeish, can_delay }))
    }

    /// Returns the next piece of the request's content, never empty; `None` at its end.
    ///
    /// # Errors
    /// `UnexpectedEof` if git went away; errors of the stream.
    pub fn content(&mut self) -> io::Result<Option<&[u8]>> {
        if !self.content_left {
            return Ok(None);
        }
        match self.reader.read_packet()? {
            Packet::Data(payload) => Ok(Some(payload)),
            Packet::Flush => {
                self.content_left = false;
                Ok(None)
            }
            Packet::End => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Answers a request with content that is complete and in memory.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn answer(&mut self, content: &[u8]) -> io::Result<()> {
        self.begin_answer()?;
        self.writer.content(content)?;
        self.end_answer(Status::Success)
    }

    /// Answers a request with a status and no content.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn answer_status(&mut self, status: Status) -> io::Result<()> {
        self.drain()?;
        self.writer.line("status=", status.as_bytes())?;
        self.writer.flush_packet()?;
        self.writer.send()
    }

    /// Begins an answer whose content follows piece by piece.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn begin_answer(&mut self) -> io::Result<()> {
        self.drain()?;
        self.writer.line("status=", Status::Success.as_bytes())?;
        self.writer.flush_packet()
    }

    /// Adds content to an answer that was begun.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn add_content(&mut self, content: &[u8]) -> io::Result<()> {
        self.writer.content(content)
    }

    /// Ends an answer that was begun; [`Status::Error`] makes git throw its content away.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn end_answer(&mut self, status: Status) -> io::Result<()> {
        self.writer.flush_packet()?;
        if status != Status::Success {
            self.writer.line("status=", status.as_bytes())?;
        }
        self.writer.flush_packet()?;
        self.writer.send()
    }

    /// Answers a list request. An empty list says that nothing is delayed any more.
    ///
    /// # Errors
    /// Those of the streams.
    pub fn answer_list<'a>(&mut self, paths: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        for path in paths {
            self.writer.line("pathname=", path)?;
        }
        self.writer.flush_packet()?;
        self.writer.line("status=", Status::Success.as_bytes())?;
        self.writer.flush_packet()?;
        self.writer.send()
    }

    /// Reads what is left of the request's content, so that git is ready to listen.
    fn drain(&mut self) -> io::Result<()> {
        while self.content()?.is_some() {}
        Ok(())
    }

    fn read_list(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        loop {
            match self.reader.read_packet()? {
                Packet::Data(line) => lines.push(line.strip_suffix(b"\n").unwrap_or(line).to_vec()),
                Packet::Flush => return Ok(lines),
                Packet::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs lines as git does: a text is a line, `""` a flush.
    fn packets(parts: &[&[u8]]) -> Vec<u8> {
        let pack = |part: &&[u8]| match *part {
            b"" => b"0000".to_vec(),
            part => [format!("{:04x}", part.len() + 4).as_bytes(), part].concat(),
        };
        parts.iter().flat_map(pack).collect()
    }

    fn connection(input: &[u8]) -> Connection<&[u8], Vec<u8>> {
        Connection::new(input, Vec::new())
    }

    const HELLO: [&[u8]; 3] = [b"git-filter-client\n", b"version=2\n", b""];

    #[test]
    fn only_capabilities_that_git_offers_are_answered() {
        for (offer, answer) in [
            (
                &[&b"capability=clean\n"[..], b"capability=smudge\n", b"capability=delay\n", b""][..],
                3,
            ),
            (&[b"capability=clean\n", b"capability=smudge\n", b""], 2),
            (&[b"capability=clean\n", b"capability=future\n", b""], 1),
        ] {
            let input = packets(&[&HELLO[..], offer].concat());
            let mut connection = connection(&input);
            connection.handshake().expect("agrees");
            let output = String::from_utf8(connection.writer_output()).expect("text");
            assert!(output.starts_with("0016git-filter-server\n000eversion=2\n0000"), "{output}");
            assert_eq!(output.matches("capability=").count(), answer);
        }
    }

    #[test]
    fn something_else_than_git_is_refused() {
        for input in
            [packets(&[b"hello\n", b""]), packets(&[b"git-filter-client\n", b"version=9\n", b""])]
        {
            let error = connection(&input).handshake().expect_err("no git");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn paths_keep_blanks_and_newlines_and_lose_one_line_feed() {
        let input = packets(&[
            b"command=smudge\n",
            b"pathname= a\n b \n\n",
            b"future=1\n",
            b"can-delay=1\n",
            b"",
            b"text",
            b"",
        ]);
        let mut connection = connection(&input);
        let request = connection.next_request().expect("reads").expect("one");
        assert_eq!(request.path, b" a\n b \n");
        assert!(request.can_delay && request.command == Command::Smudge);
        assert_eq!(connection.content().expect("reads"), Some(&b"text"[..]));
        assert_eq!(connection.content().expect("reads"), None);
        assert_eq!(connection.next_request().expect("reads"), None);
    }

    #[test]
    fn content_that_was_not_read_is_drained_before_the_answer() {
        let input = packets(&[
            b"command=clean\n",
            b"pathname=a\n",
            b"",
            b"1",
            b"2",
            b"",
            b"command=clean\n",
            b"pathname=b\n",
            b"",
            b"",
        ]);
        let mut connection = connection(&input);
        connection.next_request().expect("reads").expect("one");
        connection.answer_status(Status::Error).expect("writes");
        let next = connection.next_request().expect("reads").expect("two");
        assert_eq!(next.path, b"b");
        connection.answer(b"").expect("writes");
        let output = String::from_utf8(connection.writer_output()).expect("text");
        assert_eq!(output, "0011status=error\n00000013status=success\n000000000000");
    }

    #[test]
    fn git_going_away_within_content_is_an_error() {
        let input = packets(&[b"command=clean\n", b"pathname=a\n", b"", b"1"]);
        let mut connection = connection(&input);
        connection.next_request().expect("reads").expect("one");
        assert!(connection.content().expect("reads").is_some());
        let error = connection.content().expect_err("gone");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    impl Connection<&[u8], Vec<u8>> {
        fn writer_output(self) -> Vec<u8> {
            self.writer.into_output()
        }
    }
}
