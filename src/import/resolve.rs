//! What the pointers of imported items have to say: the SHA-256 of the content, and its size.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Error, Wish};
use crate::digest::{COPY_BUFFER_BYTES, HashName};
use crate::fs::{IoContext as _, PathError};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::oid::Oid;
use crate::store::stage::Intake;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::report::with_causes;
use crate::transfer::to_file::WantedFile;
use crate::workspace::Workspace;

/// Objects that are streamed through temporary files together.
const STREAMED_AT_ONCE: usize = 32;

/// What becomes of objects that have to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streamed {
    /// They are forgotten.
    Forgotten,
    /// They go to the store.
    Kept,
}

/// What is known of an item's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its SHA-256.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
}

/// Why nothing is known.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The cause, for people.
    pub cause: String,
    /// Whether bytes were met that are not what their name says.
    pub is_damage: bool,
}

/// What was found out.
#[derive(Debug, Default)]
pub struct Resolved {
    /// What each item is, in order.
    pub contents: Vec<Option<Result<Content, Failure>>>,
    /// How many objects were read in full.
    pub streamed: usize,
    /// Bytes that are not what their name says were met.
    pub met_damage: bool,
}

/// Finds out what the items are. Where a lake names objects by SHA-256, presence and size are asked of
/// the first source that answers; what has other names is read once and verified by its name.
///
/// # Errors
/// If there is no room for temporary files, or the local state cannot be written.
pub fn resolve(site: &Workspace, wishes: &[Wish], streamed: Streamed) -> Result<Resolved, Error> {
    let mut declared: HashMap<LakeUrl, Result<HashName, String>> = HashMap::new();
    for source in wishes.iter().flat_map(|wish| &wish.sources) {
        declared.entry(source.lake.clone()).or_insert_with(|| {
            let open = site.transfer().lakes.at(&source.lake);
            open.declaration().map(|found| found.hash).map_err(|error| with_causes(&error))
        });
    }
    let oid_of = |source: &SourceUrl| match declared[&source.lake] {
        Ok(HashName::Sha256) => source.name.as_oid(),
        _ => None,
    };
    let mut resolved = Resolved::default();
    resolved.contents.resize_with(wishes.len(), || None);
    let mut causes: Vec<Option<String>> = vec![None; wishes.len()];
    // By oid: the sources that are asked, the first one last.
    let mut asking: Vec<(usize, Vec<&SourceUrl>)> = Vec::new();
    for (at, wish) in wishes.iter().enumerate() {
        let named: Vec<&SourceUrl> =
            wish.sources.iter().rev().filter(|source| oid_of(source).is_some()).collect();
        if named.windows(2).any(|pair| oid_of(pair[0]) != oid_of(pair[1])) {
            resolved.contents[at] = Some(Err(contradiction()));
        } else if !named.is_empty() {
            asking.push((at, named));
        }
    }
    while !asking.is_empty() && !site.cancel.is_cancelled() {
        let (mut questions, mut asked) = (Questions::default(), Vec::new());
        for (at, named) in &mut asking {
            let source = named.pop().expect("those without any are not asked");
            questions.add(source.clone(), None);
            asked.push((*at, source));
        }
        // What is held gets a receipt.
        let answers = site.transfer().ask(questions)?;
        for (at, source) in asked {
            let cause = match &answers[source] {
                Answer::Held(size) => {
                    let oid = oid_of(source).expect("only names by SHA-256 are asked for");
                    resolved.contents[at] = Some(Ok(Content { oid, size: *size }));
                    continue;
                }
                Answer::Unknown(error) => with_causes(error),
                Answer::Absent | Answer::OtherSize(_) => {
                    format!("`{}` does not hold it", source.lake)
                }
            };
            causes[at].get_or_insert(cause);
        }
        asking.retain(|(at, named)| resolved.contents[*at].is_none() && !named.is_empty());
    }
    let is_open = |at: &usize| resolved.contents[*at].is_none();
    let open: Vec<usize> = (0..wishes.len()).filter(is_open).collect();
    // Items with the same sources are one object.
    let mut unread: BTreeMap<Vec<SourceUrl>, Vec<usize>> = BTreeMap::new();
    for at in open {
        let others: Vec<SourceUrl> = wishes[at]
            .sources
            .iter()
            .filter(|source| declared[&source.lake].is_ok() && oid_of(source).is_none())
            .cloned()
            .collect();
        let unreachable =
            || wishes[at].sources.iter().find_map(|source| declared[&source.lake].clone().err());
        if others.is_empty() {
            let cause = causes[at].take().or_else(unreachable);
            let cause = cause.unwrap_or_else(|| "interrupted".to_owned());
            resolved.contents[at] = Some(Err(Failure { cause, is_damage: false }));
        } else {
            unread.entry(others).or_default().push(at);
        }
    }
    let unread: Vec<(Vec<SourceUrl>, Vec<usize>)> = unread.into_iter().collect();
    for some in unread.chunks(STREAMED_AT_ONCE) {
        if site.cancel.is_cancelled() {
            break;
        }
        read(site, some, streamed, &mut resolved)?;
    }
    for (wish, content) in wishes.iter().zip(&mut resolved.contents) {
        let Some(Ok(found)) = content else { continue };
        if wish.sources.iter().filter_map(oid_of).any(|oid| oid != found.oid) {
            *content = Some(Err(contradiction()));
        }
    }
    Ok(resolved)
}

fn contradiction() -> Failure {
    Failure { cause: "its sources name different objects".to_owned(), is_damage: true }
}

/// Reads objects to learn their SHA-256.
fn read(
    site: &Workspace,
    some: &[(Vec<SourceUrl>, Vec<usize>)],
    streamed: Streamed,
    resolved: &mut Resolved,
) -> Result<(), PathError> {
    let tmp = site.store.tmp_folder()?;
    let folder = tempfile::tempdir_in(tmp).context(tmp)?;
    let wanted: Vec<WantedFile> = some
        .iter()
        .enumerate()
        .map(|(at, (candidates, _))| WantedFile {
            candidates: candidates.clone(),
            path: folder.path().join(at.to_string()),
            known: None,
            left: None,
        })
        .collect();
    let landed = site.transfer().fetch_files(&wanted, &[]);
    for (((_, items), wanted), landed) in some.iter().zip(&wanted).zip(landed) {
        let content = match landed {
            Ok(landed) => {
                resolved.streamed += 1;
                resolved.met_damage |= landed.met_damage;
                if streamed == Streamed::Kept {
                    keep(site, &wanted.path)?;
                }
                Ok(Content { oid: landed.hashed.oid, size: landed.hashed.size })
            }
            Err(failure) => {
                Err(Failure { cause: with_causes(&failure), is_damage: failure.is_damage() })
            }
        };
        for at in items {
            resolved.contents[*at] = Some(content.clone());
        }
    }
    Ok(())
}

/// Takes a file into the store.
fn keep(site: &Workspace, path: &Path) -> Result<(), PathError> {
    let mut file = File::open(path).context(path)?;
    let mut intake = Intake::begin(&site.store, &[], None);
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).context(path)?;
        if count == 0 {
            return intake.finish().1.map(drop);
        }
        intake.write(&buffer[..count]);
    }
}
