//! What lakes hold of what pointers say: asked for many at once, and read as far as that is wanted.
//!
//! A remote should hold what pointers say that it holds. A pointer that names none of the remotes was
//! made for lakes that have moved: its object should be wherever readers will find it.

use std::collections::{BTreeMap, HashMap};

use super::sample::Share;
use super::{Fault, Finding};
use crate::fs::{PathError, unix_now};
use crate::lake::LakeError;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo::BlobId;
use crate::repo_path::RepoPath;
use crate::transfer::Transfer;
use crate::transfer::download::{Failure, SourceFailure};
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload;
use crate::transfer::verify::Subject;
use crate::workspace::Workspace;

/// So many names are asked for together. They are neighbours in the order of names, so that of a lake
/// that holds little else one listing is made in all.
const ASKED_AT_ONCE: usize = 32 << 10;
/// So many objects are read without a look at what came of it.
const READ_AT_ONCE: usize = 8 << 10;
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// Which lakes are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All remotes.
    All,
    /// This one.
    One(LakeUrl),
}

/// What one lake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The lake.
    pub url: LakeUrl,
    /// Objects that it should hold, or may.
    pub objects: usize,
    /// Those that it shows, with the right size.
    pub held: usize,
    /// Objects that were read.
    pub read: usize,
    /// Their bytes.
    pub read_bytes: u64,
}

/// An object that some lake should hold.
struct Item {
    oid: Oid,
    size: u64,
    blob: BlobId,
    path: RepoPath,
    /// The pointer names none of the lakes that are asked, so that any may hold it.
    is_anywhere: bool,
    is_held: bool,
}

/// A name that a lake is asked for.
struct Name {
    name: ObjectName,
    item: usize,
}

/// Gathers what lakes should hold, pointer by pointer.
pub struct Needs<'a> {
    site: &'a Workspace,
    which: Which,
    items: Vec<Item>,
    /// Items that any lake may hold.
    anywhere: HashMap<Oid, usize>,
    lakes: BTreeMap<LakeUrl, Vec<Name>>,
}

impl<'a> Needs<'a> {
    /// Begins; knows of nothing yet.
    pub fn new(site: &'a Workspace, which: Which) -> Self {
        let (items, anywhere, mut lakes) = <(Vec<_>, HashMap<_, _>, BTreeMap<_, _>)>::default();
        // What nothing is asked for is told, too.
        match &which {
            Which::One(lake) => drop(lakes.insert(lake.clone(), Vec::new())),
            Which::All => {
                let urls = site.config.remotes.iter().map(|remote| remote.url.clone());
                lakes.extend(urls.map(|url| (url, Vec::new())));
            }
        }
        Self { site, which, items, anywhere, lakes }
    }

    /// Adds a pointer.
    pub fn add(&mut self, path: &RepoPath, blob: BlobId, pointer: &Pointer) {
        let (oid, size) = (pointer.oid(), pointer.size());
        let new =
            |is_anywhere| Item { oid, size, blob, path: path.clone(), is_anywhere, is_held: false };
        let named: Vec<_> = pointer
            .sources()
            .iter()
            .filter(|source| match &self.which {
                Which::One(lake) => source.lake == *lake,
                Which::All => self.site.config.remote_at(&source.lake).is_some(),
            })
            .cloned()
            .collect();
        if !named.is_empty() {
            self.items.push(new(false));
            let item = self.items.len() - 1;
            for source in named {
                // Nothing is kept of the address but what all objects of the lake share.
                let names = self.lakes.get_mut(&source.lake).expect("all lakes have a list");
                names.push(Name { name: source.name, item });
            }
        } else if self.which == Which::All {
            let items = &mut self.items;
            let item = *self.anywhere.entry(oid).or_insert_with(|| {
                items.push(new(true));
                items.len() - 1
            });
            for source in self.site.config.candidates(pointer, path) {
                let names = self.lakes.entry(source.lake).or_default();
                names.push(Name { name: source.name, item });
            }
        }
    }

    /// Asks all lakes at the same time; then reads as much of each as is wanted, verified by hash.
    ///
    /// # Errors
    /// If receipts cannot be read or written.
    pub fn check(mut self, read: Option<Share>) -> Result<(Vec<Tally>, Vec<Finding>), PathError> {
        for names in self.lakes.values_mut() {
            names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        let (transfer, items) = (self.site.transfer(), &self.items);
        let asked: Vec<Result<Asked<'_>, PathError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .lakes
                .iter()
                .map(|(url, names)| {
                    let mut asked = Asked::new(&transfer, url, items);
                    scope.spawn(move || asked.ask(names).map(|()| asked))
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("asking does not panic"))
                .collect()
        });
        let (mut tallies, mut findings, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for asked in asked {
            let mut asked = asked?;
            if let Some(share) = read {
                asked.read(share)?;
            }
            held.extend(asked.held);
            findings.extend(asked.findings);
            tallies.push(asked.tally);
        }
        for item in held {
            self.items[item].is_held = true;
        }
        let nowhere = self.items.into_iter().filter(|item| item.is_anywhere && !item.is_held);
        findings.extend(nowhere.map(|item| item.finding(Fault::Nowhere)));
        Ok((tallies, findings))
    }
}

impl Item {
    fn finding(&self, fault: Fault) -> Finding {
        Finding {
            path: Some(self.path.clone()),
            oid: Some(self.oid),
            blob: Some(self.blob),
            ..Finding::about(fault)
        }
    }
}

/// One lake, and what it said.
struct Asked<'a> {
    transfer: &'a Transfer,
    items: &'a [Item],
    tally: Tally,
    findings: Vec<Finding>,
    /// Items that it shows.
    held: Vec<usize>,
    /// What it shows, by name and item.
    shown: Vec<(&'a ObjectName, usize)>,
}

impl<'a> Asked<'a> {
    fn new(transfer: &'a Transfer, url: &LakeUrl, items: &'a [Item]) -> Self {
        let tally = Tally { url: url.clone(), objects: 0, held: 0, read: 0, read_bytes: 0 };
        let (findings, held, shown) = Default::default();
        Self { transfer, items, tally, findings, held, shown }
    }

    /// Asks for names, which are sorted.
    fn ask(&mut self, names: &'a [Name]) -> Result<(), PathError> {
        let mut whole_lake: Option<LakeError> = None;
        let mut rest = names;
        while !rest.is_empty() && !self.transfer.cancel.is_cancelled() {
            // The same name belongs to one question.
            let end = rest.len().min(ASKED_AT_ONCE);
            let same = rest[end..].iter().take_while(|next| next.name == rest[end - 1].name);
            let (now, later) = rest.split_at(end + same.count());
            rest = later;
            let mut questions = Questions::default();
            for name in now {
                let size = self.items[name.item].size;
                questions.add(self.tally.url.source(name.name.clone()), Some(size));
            }
            let answers = self.transfer.ask(questions)?;
            for same in now.chunk_by(|one, other| one.name == other.name) {
                let source = self.tally.url.source(same[0].name.clone());
                match &answers[&source] {
                    Answer::Unknown(error) if error.concerns_lake() => {
                        whole_lake.get_or_insert_with(|| error.clone());
                        self.tally.objects += 1;
                    }
                    answer => self.take(same, answer),
                }
            }
        }
        if let Some(error) = whole_lake {
            let fault = Fault::LakeUnknown(upload::Failure::from(error).cause());
            let lake = Some(self.tally.url.clone());
            self.findings.push(Finding { lake, ..Finding::about(fault) });
        }
        Ok(())
    }

    /// Takes the answer to the question for one name.
    fn take(&mut self, same: &'a [Name], answer: &Answer) {
        self.tally.objects += 1;
        let named = same.iter().find(|name| !self.items[name.item].is_anywhere);
        let fault = match answer {
            Answer::Held(_) => {
                self.tally.held += 1;
                self.held.extend(same.iter().map(|name| name.item));
                self.shown.push((&same[0].name, same[0].item));
                return;
            }
            // Where nothing says that it is there it need not be.
            Answer::Absent if named.is_none() => {
                self.tally.objects -= 1;
                return;
            }
            Answer::Absent => Fault::Absent,
            Answer::OtherSize(size) => Fault::OtherSize(*size),
            Answer::Unknown(LakeError::NotRegular { .. }) => Fault::NotRegular,
            Answer::Unknown(error) => {
                Fault::RemoteUnreadable(upload::Failure::from(error.clone()).cause())
            }
        };
        self.find(&same[0].name, named.map_or(same[0].item, |name| name.item), fault);
    }

    fn find(&mut self, name: &ObjectName, item: usize, fault: Fault) {
        let lake = Some(self.tally.url.clone());
        let finding = self.items[item].finding(fault);
        self.findings.push(Finding { lake, name: Some(name.clone()), ..finding });
    }

    /// Reads those of the objects whose turn it is today.
    fn read(&mut self, share: Share) -> Result<(), PathError> {
        let day = unix_now() / SECONDS_PER_DAY;
        let mut due = std::mem::take(&mut self.shown);
        due.retain(|(_, item)| share.has_turn(self.items[*item].oid, day));
        for part in due.chunks(READ_AT_ONCE) {
            let subject = |(name, item): &(&ObjectName, usize)| {
                let Item { oid, size, .. } = self.items[*item];
                Subject { source: self.tally.url.source((*name).clone()), oid, size }
            };
            let subjects: Vec<Subject> = part.iter().map(subject).collect();
            for ((name, item), (subject, result)) in
                part.iter().zip(subjects.iter().zip(self.transfer.verify(&subjects)))
            {
                let fault = match result {
                    Ok(()) => {
                        self.tally.read += 1;
                        self.tally.read_bytes = self.tally.read_bytes.saturating_add(subject.size);
                        continue;
                    }
                    Err(Failure::Cancelled) => continue,
                    Err(failure) => fault_of(&failure),
                };
                // What it showed proves nothing any more.
                self.transfer.receipts.revoke(&subject.source)?;
                self.find(name, *item, fault);
            }
        }
        Ok(())
    }
}

/// Says what it means that an object could not be read in full.
fn fault_of(failure: &Failure) -> Fault {
    match failure {
        Failure::NoSource(failures) => match failures.first() {
            Some((_, SourceFailure::WrongBytes(_))) => Fault::WrongBytes,
            Some((_, SourceFailure::Lake(LakeError::Absent { .. }))) => Fault::Absent,
            Some((_, SourceFailure::Lake(LakeError::NotRegular { .. }))) => Fault::NotRegular,
            _ => Fault::RemoteUnreadable(failure.to_string()),
        },
        _ => Fault::RemoteUnreadable(failure.to_string()),
    }
}
