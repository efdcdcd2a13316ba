//! One life of the filter process: from the handshake until git closes the pipe.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::clean::{Chunks, Cleaner, Emitted};
use super::delay::{Delay, Delayed};
use super::finish::{self, Summary, When};
use super::large::Large;
use super::protocol::{Command, Connection, Request, Status};
use super::smudge::{self, Blob, Content};
use crate::config::file::Unknown;
use crate::pointer::Pointer;
use crate::repo::Caller;
use crate::repo_path::RepoPath;
use crate::transfer::Cancel;
use crate::transfer::download::Failure;
use crate::transfer::report::Reporter;
use crate::workspace::{self, Workspace};

/// Unless each object is made durable at once, they are at the end, and before when there are so many more of
/// them: each is held in memory until then.
const SYNCED_AT_ONCE: usize = 1 << 16;

/// What a session needs from outside.
pub struct Surroundings {
    /// Where the repository is looked for: git starts filters at the top of the work tree.
    pub folder: PathBuf,
    /// Who hears about progress and warnings.
    pub reporter: Arc<dyn Reporter>,
    /// Set by Ctrl-C.
    pub cancel: Cancel,
    /// What is known of git.
    pub caller: Caller,
}

/// Serves git until it closes the pipe, then makes good what must not wait.
///
/// A path that fails does not end the session. The repository is opened with the first request, so a
/// process that git starts for nothing costs nothing.
///
/// # Errors
/// If the other side is no git, or if the repository cannot be opened.
pub fn serve(
    input: impl Read,
    output: impl Write,
    surroundings: &Surroundings,
) -> Result<(), Error> {
    let reporter = Arc::clone(&surroundings.reporter);
    let output = Turns { output, reporter, is_alone: surroundings.caller.prints_nothing };
    let mut connection = Connection::new(input, output);
    connection.handshake()?;
    let first = match connection.next_request() {
        Ok(Some(first)) => first,
        Ok(None) => return Ok(()),
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut site = Workspace::open(
        &surroundings.folder,
        Unknown::PassOver,
        first.treeish.as_deref(),
        Arc::clone(&surroundings.reporter),
        surroundings.cancel.clone(),
    )?;
    for warning in site.warnings.drain(..) {
        surroundings.reporter.warn(&warning);
    }
    if first.command == Command::Smudge {
        site.consult_origin();
    }
    let mut session = Session {
        connection,
        cleaner: Cleaner::new(&site),
        delay: Delay::default(),
        large: Large::new(&site),
        summary: Summary::default(),
        has_cleaned: false,
        syncs_each: site.repo.syncs_objects(),
        sync_at: SYNCED_AT_ONCE,
        site: &site,
    };
    let outcome = session.run(first);
    // git has said what it had to say, and waits.
    surroundings.reporter.resume();
    surroundings.reporter.end();
    let Session { mut cleaner, mut summary, has_cleaned, large, delay, .. } = session;
    drop(delay);
    cleaner.remember();
    finish::sync(&site, has_cleaned);
    let filled = large.finish();
    for (path, failure) in filled.missing {
        summary.left_as_pointer(&path, failure);
    }
    for (path, reason) in filled.unfilled {
        summary.unfilled(&path, reason);
    }
    let emitted: Vec<Emitted> = cleaner.emitted;
    finish::finish(&site, &emitted, &summary);
    finish::keep_within_limit(&site, When::AtTheEnd);
    match outcome {
        // git went away in the middle: everything that it may hold is safe by now.
        Err(error) if is_gone(&error) => Ok(()),
        other => Ok(other?),
    }
}

/// Says why a session could not be held.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The conversation broke.
    #[error("Could not talk to git: {0}")]
    Stream(#[from] io::Error),
    /// The clone could not be opened.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe)
}

struct Session<'a, R, W: Write> {
    connection: Connection<R, W>,
    site: &'a Workspace,
    cleaner: Cleaner<'a>,
    delay: Delay,
    large: Large<'a>,
    summary: Summary,
    has_cleaned: bool,
    /// Whether each object is made durable before git hears of it, as git does it with its own.
    syncs_each: bool,
    /// With how many objects that are not durable they are made so.
    sync_at: usize,
}

/// git's end of the pipe. git writes to the terminal between our answer and its next request, and at no
/// other time: progress makes room before each answer, unless git is known to print nothing.
struct Turns<W> {
    output: W,
    reporter: Arc<dyn Reporter>,
    is_alone: bool,
}

impl<W: Write> Write for Turns<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_alone {
            self.reporter.pause();
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Content that git sends, of which somebody hears.
struct Counted<'a, R, W: Write> {
    connection: &'a mut Connection<R, W>,
    reporter: &'a dyn Reporter,
}

impl<R: Read, W: Write> Chunks for Counted<'_, R, W> {
    fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        let chunk = self.connection.content()?;
        if let Some(chunk) = chunk {
            self.reporter.hashed(0, chunk.len() as u64);
        }
        Ok(chunk)
    }
}

impl<R: Read, W: Write> Chunks for Connection<R, W> {
    fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        self.content()
    }
}

impl<R: Read, W: Write> Session<'_, R, W> {
    fn run(&mut self, first: Request) -> io::Result<()> {
        let mut next = Some(first);
        while let Some(request) = next {
            self.site.reporter.resume();
            self.serve_one(request)?;
            if self.site.store.count_unsynced() >= self.sync_at {
                finish::sync(self.site, false);
                // If that failed, it is not tried again with each path.
                self.sync_at = self.site.store.count_unsynced() + SYNCED_AT_ONCE;
            }
            next = self.connection.next_request()?;
        }
        Ok(())
    }

    fn serve_one(&mut self, request: Request) -> io::Result<()> {
        if request.command == Command::ListAvailableBlobs {
            let paths = self.delay.available(self.site);
            finish::keep_within_limit(self.site, When::InBetween);
            return self.connection.answer_list(paths.iter().map(RepoPath::as_bytes));
        }
        let Some(path) = RepoPath::parse(&request.path) else {
            let shown = request.path.escape_ascii();
            self.site.reporter.warn(&format!("`{shown}` is no path inside the repository"));
            return self.connection.answer_status(Status::Error);
        };
        match request.command {
            Command::Clean => self.clean(&path),
            _ => self.smudge(path, &request),
        }
    }

    fn clean(&mut self, path: &RepoPath) -> io::Result<()> {
        self.has_cleaned = true;
        let reporter = &*self.site.reporter;
        let mut content = Counted { connection: &mut self.connection, reporter };
        let mut cleaned = self.cleaner.clean(path, &mut content);
        if self.syncs_each && cleaned.is_ok() {
            let synced = self.site.store.sync().and_then(|()| self.site.queue.sync());
            cleaned = synced.map_err(super::clean::Error::Store).and(cleaned);
        }
        reporter.hashed(1, 0);
        match cleaned {
            Ok(bytes) => self.connection.answer(&bytes),
            Err(super::clean::Error::Stream(error)) => Err(error),
            Err(error) => {
                // git names the path, too.
                reporter.pause();
                self.summary.refused(self.site, path, &error);
                self.connection.answer_status(Status::Error)
            }
        }
    }

    fn smudge(&mut self, path: RepoPath, request: &Request) -> io::Result<()> {
        let blob = smudge::read(self.site, &path, &mut self.connection)?;
        let (bytes, pointer) = match blob {
            Blob::AsIs(Content::Bytes(bytes)) if bytes.is_empty() => {
                return match self.delay.retry(&path) {
                    None => self.connection.answer(&bytes),
                    Some(delayed) => self.answer_delayed(&path, request, delayed),
                };
            }
            Blob::AsIs(content) => return self.answer(content),
            Blob::Wanted { bytes, pointer } => (bytes, pointer),
        };
        self.cleaner.learn(request.blob.as_deref(), &pointer, &bytes);
        let is_large = request.can_delay && self.large.takes(request, &pointer);
        // With `lake.strict` git must hear of a failure, so what is not here is waited for.
        if is_large && !self.site.config.strict && self.fill_later(request, &path, &bytes, &pointer)
        {
            return self.connection.answer(&bytes);
        }
        let content = match smudge::stored(self.site, &pointer) {
            Ok(Some(_)) if is_large && self.fill_later(request, &path, &bytes, &pointer) => {
                return self.connection.answer(&bytes);
            }
            Ok(Some(content)) => Ok(content),
            Ok(None) if request.can_delay => {
                self.delay.add(self.site, path, bytes, pointer.oid());
                return self.connection.answer_status(Status::Delayed);
            }
            Ok(None) => smudge::content_now(self.site, &path, &pointer),
            Err(error) => Err(Failure::Store(error.to_string())),
        };
        self.answer_content(&path, &bytes, content)
    }

    /// Answers a path that was delayed; git does not send its pointer again.
    fn answer_delayed(
        &mut self,
        path: &RepoPath,
        request: &Request,
        delayed: Delayed,
    ) -> io::Result<()> {
        let Delayed { bytes, pointer, result } = delayed;
        if result.is_ok()
            && self.large.takes(request, &pointer)
            && self.fill_later(request, path, &bytes, &pointer)
        {
            return self.connection.answer(&bytes);
        }
        let content = match result {
            Ok(Some(content)) => Ok(Content::Bytes(content)),
            // It is in the store; if it vanished since, it is fetched again.
            Ok(None) => smudge::content_now(self.site, path, &pointer),
            Err(failure) => Err(failure),
        };
        self.answer_content(path, &bytes, content)
    }

    /// Lets a large file be put in place when git closes the pipe; false if that cannot be promised.
    fn fill_later(
        &mut self,
        request: &Request,
        path: &RepoPath,
        bytes: &[u8],
        pointer: &Pointer,
    ) -> bool {
        let added = self.large.add(request, path, bytes, pointer);
        if let Err(error) = &added {
            self.site.reporter.warn(&error.to_string());
        }
        added.is_ok()
    }

    /// Answers with content, or, if it could not be had, with the pointer.
    fn answer_content(
        &mut self,
        path: &RepoPath,
        pointer: &[u8],
        content: Result<Content, Failure>,
    ) -> io::Result<()> {
        match content {
            Ok(content) => self.answer(content),
            Err(failure) => {
                self.summary.left_as_pointer(path, failure);
                if self.site.config.strict {
                    return self.connection.answer_status(Status::Error);
                }
                self.connection.answer(pointer)
            }
        }
    }

    fn answer(&mut self, content: Content) -> io::Result<()> {
        self.connection.begin_answer()?;
        let mut broken = None;
        let connection = &mut self.connection;
        let sent = content.for_each(|piece| {
            connection.add_content(piece).inspect_err(|error| broken = Some(error.kind()))
        });
        match sent {
            Ok(()) => self.connection.end_answer(Status::Success),
            // The pipe broke: nothing can be said any more.
            Err(error) if broken.is_some() => Err(error),
            Err(error) => {
                self.site.reporter.warn(&format!("Could not read the store: {error}"));
                self.connection.end_answer(Status::Error)
            }
        }
    }
}
