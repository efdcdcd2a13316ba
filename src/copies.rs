//! Which lakes hold objects now, surely enough that a copy here may be given up.
//!
//! A lake counts if others reach it, too: not one of this machine alone, nor a folder that only a
//! pointer names. It has to show the object now; and either this clone has sent or read it there, or its bytes are
//! read now. An answer that cannot be had is no.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::fs::PathError;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::store::receipts::Strength;
use crate::transfer::presence::{Answer, Questions};
use crate::transfer::upload::Failure;
use crate::transfer::verify::Subject;
use crate::workspace::Workspace;

/// An object and where others look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The object.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
    /// Where readers of its pointers look for it and may get there, each address once.
    pub sources: Vec<SourceUrl>,
}

impl Object {
    /// Returns the object of a pointer.
    pub fn of(site: &Workspace, path: &RepoPath, pointer: &Pointer) -> Self {
        let mut object = Self { oid: pointer.oid(), size: pointer.size(), sources: Vec::new() };
        object.learn(site, path, pointer);
        object
    }

    /// Adds what another pointer to the same object knows.
    pub fn learn(&mut self, site: &Workspace, path: &RepoPath, pointer: &Pointer) {
        for source in site.config.candidates(pointer, path) {
            if site.is_for_others(pointer, &source) && !self.sources.contains(&source) {
                self.sources.push(source);
            }
        }
    }
}

/// What lakes said.
#[derive(Debug, Default)]
pub struct Copies {
    holders: HashMap<Oid, BTreeSet<LakeUrl>>,
    /// Why a lake is not known to hold something, the first reason for each lake.
    pub reasons: BTreeMap<LakeUrl, String>,
}

impl Copies {
    /// Returns the lakes that hold an object.
    pub fn holders(&self, oid: Oid) -> impl Iterator<Item = &LakeUrl> {
        self.holders.get(&oid).into_iter().flatten()
    }

    /// Returns true if so many lakes hold an object.
    pub fn are_enough(&self, oid: Oid, wanted: usize) -> bool {
        self.holders(oid).count() >= wanted
    }

    fn note(&mut self, oid: Oid, lake: LakeUrl) {
        self.holders.entry(oid).or_default().insert(lake);
    }

    fn doubt(&mut self, lake: &LakeUrl, reason: impl FnOnce() -> String) {
        if !self.reasons.contains_key(lake) {
            self.reasons.insert(lake.clone(), reason());
        }
    }
}

/// Asks the lakes which of the objects they hold, and reads what is only known by its size, until
/// `wanted` lakes are sure for each object.
///
/// # Errors
/// If receipts cannot be read or written.
pub fn confirm(site: &Workspace, objects: &[Object], wanted: usize) -> Result<Copies, PathError> {
    let (transfer, mut copies) = (site.transfer(), Copies::default());
    let mut questions = Questions::default();
    for object in objects {
        for source in &object.sources {
            questions.add(source.clone(), Some(object.size));
        }
    }
    let answers = transfer.ask(questions)?;
    let mut unsure: Vec<(usize, Subject)> = Vec::new();
    for object in objects {
        // The place in the order of its sources: those of one lake are alternatives.
        let mut place = 0;
        for source in &object.sources {
            match &answers[source] {
                Answer::Held(_) => {
                    let receipt = site.receipts.get(source)?;
                    let is_sure = receipt.is_some_and(|receipt| {
                        receipt.size == object.size && receipt.strength >= Strength::Checksum
                    });
                    if is_sure {
                        copies.note(object.oid, source.lake.clone());
                    } else {
                        let (oid, size) = (object.oid, object.size);
                        unsure.push((place, Subject { source: source.clone(), oid, size }));
                        place += 1;
                    }
                }
                Answer::Unknown(error) => {
                    copies.doubt(&source.lake, || Failure::from(error.clone()).cause());
                }
                Answer::Absent | Answer::OtherSize(_) => {}
            }
        }
    }
    // One source of each object at a time: reading is dear.
    for round in 0.. {
        if !unsure.iter().any(|(place, _)| *place >= round) {
            break;
        }
        let due = unsure
            .iter()
            .filter(|(place, subject)| *place == round && !copies.are_enough(subject.oid, wanted));
        let due: Vec<Subject> = due.map(|(_, subject)| subject.clone()).collect();
        for (subject, result) in due.iter().zip(transfer.verify(&due)) {
            match result {
                Ok(()) => copies.note(subject.oid, subject.source.lake.clone()),
                Err(failure) => copies.doubt(&subject.source.lake, || failure.to_string()),
            }
        }
    }
    Ok(copies)
}
