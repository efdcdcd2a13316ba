//! `git lake filter-process`, `clean` and `smudge`: what git calls.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use super::{Context, Error, Exit};
use crate::filter::clean::{Chunks, Cleaner};
use crate::filter::finish::{self, Summary};
use crate::filter::session::{self, Surroundings};
use crate::filter::smudge::{self, Blob};
use crate::fs::platform;
use crate::repo::Caller;
use crate::repo_path::RepoPath;

/// Serve git as a long-running filter, on stdin and stdout
#[derive(clap::Args)]
pub struct ProcessArgs {}

/// Turn content on stdin into a pointer on stdout
#[derive(clap::Args)]
pub struct CleanArgs {
    /// Path of the content, from the top of the work tree
    path: std::path::PathBuf,
}

/// Turn a pointer on stdin into content on stdout
#[derive(clap::Args)]
pub struct SmudgeArgs {
    /// Path of the content, from the top of the work tree
    path: std::path::PathBuf,
}

/// Runs `git-lake filter-process`.
///
/// # Errors
/// If the other side is no git, or the clone cannot be opened.
pub fn process(context: &Context, _: &ProcessArgs) -> super::Result {
    let (input, output) = platform::raw_streams()?;
    let caller = Caller::of_this_process();
    if caller.is_quiet {
        context.ui.hide_progress();
    }
    let surroundings = Surroundings {
        caller,
        folder: context.folder.clone(),
        reporter: Arc::clone(&context.ui) as Arc<_>,
        cancel: context.cancel.clone(),
    };
    session::serve(input, output, &surroundings)?;
    Ok(Exit::Done)
}

/// Runs `git-lake clean`.
///
/// # Errors
/// If the content cannot be stored or must not be taken.
pub fn clean(context: &Context, args: &CleanArgs) -> super::Result {
    let (input, mut output) = platform::raw_streams()?;
    let site = context.lenient_workspace()?;
    let path = repo_path(&args.path)?;
    let mut cleaner = Cleaner::new(&site);
    let result = cleaner.clean(&path, &mut Stream::new(input));
    let mut summary = Summary::default();
    if let Err(error) = &result {
        summary.refused(&site, &path, error);
    }
    cleaner.remember();
    finish::sync(&site, true);
    finish::finish(&site, &cleaner.emitted, &summary);
    match result {
        Ok(bytes) => {
            output.write_all(&bytes)?;
            Ok(Exit::Done)
        }
        Err(_) => Ok(Exit::Incomplete),
    }
}

/// Runs `git-lake smudge`.
///
/// # Errors
/// If the streams break.
pub fn smudge(context: &Context, args: &SmudgeArgs) -> super::Result {
    let (input, mut output) = platform::raw_streams()?;
    let mut site = context.lenient_workspace()?;
    site.consult_origin();
    let path = repo_path(&args.path)?;
    let mut summary = Summary::default();
    let mut exit = Exit::Done;
    match smudge::read(&site, &path, &mut Stream::new(input))? {
        Blob::AsIs(content) => content.for_each(|piece| output.write_all(piece))?,
        Blob::Wanted { bytes, pointer } => match smudge::content_now(&site, &path, &pointer) {
            Ok(content) => content.for_each(|piece| output.write_all(piece))?,
            Err(failure) => {
                summary.left_as_pointer(&path, failure);
                if site.config.strict {
                    exit = Exit::Incomplete;
                } else {
                    output.write_all(&bytes)?;
                }
            }
        },
    }
    finish::sync(&site, false);
    finish::finish(&site, &[], &summary);
    Ok(exit)
}

fn repo_path(path: &std::path::Path) -> Result<RepoPath, Error> {
    RepoPath::parse(&crate::repo_path::os_path_to_bytes(path)).ok_or_else(|| {
        Error::Usage(format!("`{}` is no path from the top of the work tree", path.display()))
    })
}

/// Reads a stream in pieces.
struct Stream {
    input: File,
    buffer: Vec<u8>,
}

impl Stream {
    fn new(input: File) -> Self {
        Self { input, buffer: vec![0; crate::digest::COPY_BUFFER_BYTES] }
    }
}

impl Chunks for Stream {
    fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(Some(&self.buffer[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
