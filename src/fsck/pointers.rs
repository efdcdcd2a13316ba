//! What git holds: pointers where they belong, content elsewhere.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::scope::{self, Entry, Held, Scope};
use super::settings::{self, RemoteChange};
use super::{Error, Fault, Finding};
use crate::config::file::{Remote, Settings};
use crate::digest::{COPY_BUFFER_BYTES, HashName};
use crate::fs::{IoContext as _, PathError};
use crate::lake_url::SourceUrl;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::store::check::Checked;
use crate::workspace::{self, Workspace};

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Those that are pointers.
    pub pointers: u64,
    /// Sum of the sizes that pointers say.
    pub bytes: u64,
}

/// What git's files came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How much was looked at.
    pub tally: Tally,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Which remotes a range changes.
    pub remote_changes: Vec<RemoteChange>,
}

/// Looks at all files that are meant; `each` gets those that are pointers.
///
/// An object of the store whose size is not what a pointer says is read; if it is the one that is wrong, it
/// is set aside.
///
/// # Errors
/// If the repository or the store cannot be read, or this clone lacks a part of a range; and those of
/// `each`.
pub fn check(
    site: &Workspace,
    scope: &Scope,
    each: &mut dyn FnMut(&Entry, &Pointer) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let remotes = read_settings(site, scope, &mut outcome)?;
    let declares = |source: &SourceUrl| match remotes.iter().find(|it| it.url == source.lake) {
        Some(remote) => Some(remote.hash),
        None => site.config.hash_of(source),
    };
    let mut sizes = Sizes { site, known: HashMap::new(), buffer: Vec::new() };
    scope::walk(site, scope, &mut |entry| {
        outcome.tally.files += 1;
        let mut fault = judge(&entry, declares);
        if let Held::Pointer(pointer) = &entry.held {
            outcome.tally.pointers += 1;
            outcome.tally.bytes = outcome.tally.bytes.saturating_add(pointer.size());
            let is_damaged = matches!(fault, Some(Fault::PointerDamaged(_)));
            if !is_damaged {
                match sizes.compare(pointer)? {
                    Compared::Alike => {}
                    Compared::Pointer(is) => {
                        fault = Some(Fault::PointerSize { says: pointer.size(), is });
                    }
                    Compared::Object(aside) => outcome.findings.push(Finding {
                        path: Some(entry.path.clone()),
                        oid: Some(pointer.oid()),
                        blob: Some(entry.blob),
                        ..Finding::about(Fault::StoredDamaged(aside))
                    }),
                }
            }
            if !matches!(fault, Some(Fault::PointerDamaged(_) | Fault::PointerSize { .. })) {
                each(&entry, pointer)?;
            }
        }
        if let Some(fault) = fault {
            let oid = match &entry.held {
                Held::Pointer(pointer) => Some(pointer.oid()),
                _ => None,
            };
            let (path, commit, blob) = (Some(entry.path), entry.commit, Some(entry.blob));
            let finding = Finding::about(fault);
            outcome.findings.push(Finding { path, oid, commit, blob, ..finding });
        }
        Ok(())
    })?;
    Ok(outcome)
}

/// Reads the settings that pointers of a commit are judged by, and what a range changes of them.
fn read_settings(
    site: &Workspace,
    scope: &Scope,
    outcome: &mut Outcome,
) -> Result<Vec<Remote>, Error> {
    let revision = match scope {
        Scope::Index => return Ok(Vec::new()),
        Scope::Tree(revision) => revision.clone(),
        Scope::Range(_, tip) => scope::commit(site, tip)?.to_string(),
    };
    let settings = match workspace::settings_at(&site.repo, &revision) {
        Ok(settings) => settings,
        Err(workspace::Error::Settings(error)) => {
            let fault = Fault::Settings(error.to_string());
            outcome.findings.push(Finding::about(fault));
            Settings::default()
        }
        Err(error) => return Err(error.into()),
    };
    if let Scope::Range(base, _) = scope {
        let base = scope::commit(site, base)?.to_string();
        let fork = site.repo.merge_base(&base, &revision)?;
        // What made no sense before is replaced as a whole.
        let before =
            fork.and_then(|fork| workspace::settings_at(&site.repo, &fork.to_string()).ok());
        outcome.remote_changes = settings::compare(&before.unwrap_or_default(), &settings);
    }
    Ok(settings.remotes)
}

/// Says what is wrong with a file; `declares` knows by which hash lakes name objects.
fn judge(entry: &Entry, declares: impl Fn(&SourceUrl) -> Option<HashName>) -> Option<Fault> {
    let Entry { held, is_tracked, .. } = entry;
    match held {
        Held::Pointer(pointer) => match pointer.check_names(declares) {
            Err(fault) => Some(Fault::PointerDamaged(fault)),
            Ok(()) if !is_tracked => Some(Fault::Untracked),
            Ok(()) => None,
        },
        Held::Damaged(fault) => Some(Fault::PointerDamaged(fault.clone())),
        Held::Newer => Some(Fault::NewerPointer),
        Held::LfsPointer if *is_tracked => Some(Fault::LfsPointer),
        Held::Content if *is_tracked => Some(Fault::NotConverted),
        Held::Missing if *is_tracked => Some(Fault::NotHere),
        Held::LfsPointer | Held::Content | Held::Missing | Held::Empty => None,
    }
}

/// Compares the sizes that pointers say with those of stored objects.
struct Sizes<'a> {
    site: &'a Workspace,
    /// Sizes of objects that were read because a pointer says another one, and are right.
    known: HashMap<Oid, u64>,
    buffer: Vec<u8>,
}

/// Which of a pointer and its stored object is wrong about the size.
enum Compared {
    /// Neither, or there is no such object.
    Alike,
    /// The pointer: this is the right size, in bytes.
    Pointer(u64),
    /// The object, which lies here now.
    Object(Option<PathBuf>),
}

impl Sizes<'_> {
    fn compare(&mut self, pointer: &Pointer) -> Result<Compared, PathError> {
        let (store, oid) = (&self.site.store, pointer.oid());
        let Some(file) = store.open(oid)? else { return Ok(Compared::Alike) };
        let size = file.metadata().context(store.object_path(oid))?.len();
        if size == pointer.size() {
            return Ok(Compared::Alike);
        }
        if let Some(known) = self.known.get(&oid) {
            return Ok(Compared::Pointer(*known));
        }
        self.buffer.resize(COPY_BUFFER_BYTES, 0);
        let checked = store.check(oid, &mut self.buffer, &mut |_| ControlFlow::Continue(()))?;
        Ok(match checked {
            Checked::Sealed | Checked::Unsealed => {
                self.known.insert(oid, size);
                Compared::Pointer(size)
            }
            Checked::Damaged(aside) => Compared::Object(aside),
            Checked::Gone | Checked::Stopped => Compared::Alike,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::BlobId;
    use crate::repo_path::RepoPath;

    #[test]
    fn pointers_belong_on_tracked_paths_and_nothing_else_does() {
        let oid = Oid::of(b"x");
        let source = |name: String| {
            SourceUrl::parse_normal(&format!("file:///lake/{name}.bin")).expect("an address")
        };
        let pointer = |name: String| {
            Held::Pointer(Pointer::new(oid, 1, vec![source(name)]).expect("a pointer"))
        };
        let (right, other) = (oid.to_hex(), Oid::of(b"y").to_hex());
        let kind = |held: &Held, is_tracked: bool, hash: HashName| {
            let path = RepoPath::parse(b"a.bin").expect("a path");
            let blob = BlobId::from_bytes(&[0; 20]).expect("an id");
            let (commit, held, is_checked_out) = (None, held.clone(), false);
            let entry = Entry { path, blob, commit, held, is_tracked, is_checked_out };
            judge(&entry, |_| Some(hash)).map(|fault| fault.kind())
        };
        let table = [
            (pointer(right.clone()), None, Some("untracked")),
            (pointer(other.clone()), Some("pointer-damaged"), Some("pointer-damaged")),
            (Held::Newer, Some("newer-pointer"), Some("newer-pointer")),
            (Held::LfsPointer, Some("lfs-pointer"), None),
            (Held::Content, Some("not-converted"), None),
            (Held::Missing, Some("not-here"), None),
            (Held::Empty, None, None),
        ];
        for (held, tracked, elsewhere) in table {
            assert_eq!(kind(&held, true, HashName::Sha256), tracked, "{held:?}");
            assert_eq!(kind(&held, false, HashName::Sha256), elsewhere, "{held:?}");
        }
        // Sixty-four digits are no oid in a lake of another hash.
        assert_eq!(kind(&pointer(other), true, HashName::Blake2s), None);
    }
}
