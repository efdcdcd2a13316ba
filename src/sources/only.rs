//! What only one lake is known to hold: what would be lost with it.

use std::collections::{BTreeMap, HashMap};

use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::Failure;
use crate::workspace::Workspace;

/// So many pointers are asked for together.
const AT_ONCE: usize = 8192;

/// What counts as knowing that another lake holds an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It proved it once.
    ByReceipt,
    /// It says so now.
    Now,
}

/// An object that nothing but the lake is known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lonely {
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// A path that has it.
    pub path: RepoPath,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that nothing else is known to hold, by path.
    pub lonely: Vec<Lonely>,
    /// How many objects are in the lake, or should be.
    pub objects: usize,
    /// Lakes that could not be asked, and why.
    pub unasked: BTreeMap<LakeUrl, String>,
}

/// An object that was seen.
struct Seen {
    size: u64,
    path: RepoPath,
    /// A pointer names the lake for it, or the lake proved to hold it.
    is_there: bool,
    is_elsewhere: bool,
}

/// Looks for what only one lake holds, pointer by pointer. A lake of this machine alone is no other lake.
pub struct Only<'a> {
    site: &'a Workspace,
    lake: LakeUrl,
    known: Known,
    waiting: Vec<(RepoPath, Pointer)>,
    seen: HashMap<Oid, Seen>,
    unasked: BTreeMap<LakeUrl, String>,
}

impl<'a> Only<'a> {
    /// Begins; looks at nothing yet.
    pub fn begin(site: &'a Workspace, lake: LakeUrl, known: Known) -> Self {
        let (waiting, seen, unasked) = Default::default();
        Self { site, lake, known, waiting, seen, unasked }
    }

    /// Adds a pointer.
    ///
    /// # Errors
    /// If receipts cannot be read or written.
    pub fn add(&mut self, path: RepoPath, pointer: Pointer) -> Result<(), PathError> {
        self.waiting.push((path, pointer));
        if self.waiting.len() >= AT_ONCE { self.look() } else { Ok(()) }
    }

    /// Looks at the rest and says what was found.
    ///
    /// # Errors
    /// If receipts cannot be read or written.
    pub fn finish(mut self) -> Result<Report, PathError> {
        self.look()?;
        let is_lonely = |seen: &Seen| seen.is_there && !seen.is_elsewhere;
        let objects = self.seen.values().filter(|seen| seen.is_there).count();
        let lonely = self.seen.into_iter().filter(|(_, seen)| is_lonely(seen));
        let mut lonely: Vec<Lonely> =
            lonely.map(|(oid, Seen { size, path, .. })| Lonely { oid, size, path }).collect();
        lonely.sort_by(|a, b| (&a.path, a.oid).cmp(&(&b.path, b.oid)));
        Ok(Report { lonely, objects, unasked: self.unasked })
    }

    fn look(&mut self) -> Result<(), PathError> {
        let waiting = std::mem::take(&mut self.waiting);
        let site = self.site;
        let candidates = |(path, pointer): &(RepoPath, Pointer)| {
            let all = site.config.candidates(pointer, path).into_iter();
            all.filter(|source| self.lake == source.lake || is_shared(site, &source.lake))
                .collect::<Vec<_>>()
        };
        let mut questions = Questions::default();
        if self.known == Known::Now {
            for item in &waiting {
                for source in candidates(item) {
                    questions.add(source, Some(item.1.size()));
                }
            }
        }
        let answers = site.transfer().ask(questions)?;
        for (source, answer) in &answers {
            if let Answer::Unknown(error) = answer
                && !self.unasked.contains_key(&source.lake)
            {
                let cause = Failure::from(error.clone()).cause();
                self.unasked.insert(source.lake.clone(), cause);
            }
        }
        let mut found = Vec::new();
        for item in &waiting {
            let (mut is_there, mut is_elsewhere) = (false, false);
            for source in candidates(item) {
                let holds = self.holds(&source, item.1.size(), &answers)?;
                match source.lake == self.lake {
                    true => is_there |= holds || item.1.sources().contains(&source),
                    false => is_elsewhere |= holds,
                }
            }
            found.push((is_there, is_elsewhere));
        }
        for ((path, pointer), (is_there, is_elsewhere)) in waiting.into_iter().zip(found) {
            let size = pointer.size();
            let new = Seen { size, path, is_there: false, is_elsewhere: false };
            let seen = self.seen.entry(pointer.oid()).or_insert(new);
            seen.is_there |= is_there;
            seen.is_elsewhere |= is_elsewhere;
        }
        Ok(())
    }

    fn holds(
        &self,
        source: &SourceUrl,
        size: u64,
        answers: &HashMap<SourceUrl, Answer>,
    ) -> Result<bool, PathError> {
        Ok(match self.known {
            Known::Now => matches!(answers.get(source), Some(Answer::Held(_))),
            Known::ByReceipt => {
                self.site.receipts.get(source)?.is_some_and(|receipt| receipt.size == size)
            }
        })
    }
}

/// Returns true if the lake is one that others can reach.
pub(super) fn is_shared(site: &Workspace, lake: &LakeUrl) -> bool {
    site.config.remote_at(lake).is_none_or(|remote| !remote.local)
}
