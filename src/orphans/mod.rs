//! Objects of a lake that nothing known refers to: listed, never deleted.
//!
//! What counts as a reference errs on the side of keeping: the content of an object counts, whatever
//! address or extension it is referred to by. What cannot be read may refer to anything, so an error
//! anywhere means that nothing is listed. References are read before the lake is: an upload that finds
//! its object there already gives it a new date, so that it is too young by then.

use std::time::Duration;

use crate::fs::unix_now;
use crate::lake::{AdminLake, Found, LakeError, ObjectInfo};
use crate::object_name::ObjectName;
use crate::transfer::Cancel;

mod age;
mod folder;
mod reader;
pub mod references;

pub use age::{Age, ParseAgeError};
pub use reader::read;
use references::References;

/// An object that nothing known refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its name in the lake.
    pub name: ObjectName,
    /// Its size in bytes.
    pub size: u64,
    /// When it was made or last renewed, in seconds since 1970.
    pub modified: u64,
}

/// How many there are of something, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was made, in seconds since 1970, as far as that is known.
    pub oldest: Option<u64>,
}

impl Tally {
    fn add(&mut self, info: ObjectInfo) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(info.size);
        self.oldest = self.oldest.into_iter().chain(info.modified).min();
    }
}

/// What a lake holds, seen from all that refers to it.
#[derive(Debug)]
pub struct Report {
    /// Objects that nothing known refers to and that are old enough, by name.
    pub orphans: Vec<Orphan>,
    /// All of them.
    pub total: Tally,
    /// Objects that nothing known refers to, and that are too young or of no known age.
    pub young: Tally,
    /// Objects that something refers to.
    pub referenced: Tally,
    /// What is no object of the lake.
    pub foreign: Tally,
    /// Uploads that are under way or ended early; or why they could not be listed.
    pub unfinished: Result<Tally, LakeError>,
    /// Why the hash of the lake is assumed and not declared, if it is.
    pub assumed: Option<Box<str>>,
}

/// Compares a lake with what refers to it; `None` if that was cancelled.
///
/// # Errors
/// If the lake cannot be listed to its end.
pub fn survey(
    lake: &dyn AdminLake,
    references: &References,
    age: Age,
    cancel: &Cancel,
) -> Result<Option<Report>, LakeError> {
    let declaration = lake.declaration()?;
    let before = unix_now().checked_sub(Duration::from(age).as_secs());
    let (mut orphans, mut total) = (Vec::new(), Tally::default());
    let [mut young, mut referenced, mut foreign] = <[Tally; 3]>::default();
    for found in lake.survey()? {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        match found? {
            Found::Object(name, info) if name.hex().len() != declaration.hash.hex_len() => {
                // Named by another hash than the lake's: nobody would look for it there.
                drop(name);
                foreign.add(info);
            }
            Found::Object(name, info) if references.has(&name) => referenced.add(info),
            Found::Object(name, info) => match info.modified {
                Some(modified) if before.is_some_and(|before| modified <= before) => {
                    total.add(info);
                    orphans.push(Orphan { name, size: info.size, modified });
                }
                _ => young.add(info),
            },
            Found::Foreign(info) => foreign.add(info),
        }
    }
    orphans.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let unfinished = lake.unfinished().map(|uploads| {
        let mut tally = Tally::default();
        uploads.into_iter().for_each(|info| tally.add(info));
        tally
    });
    let assumed = declaration.assumed;
    Ok(Some(Report { orphans, total, young, referenced, foreign, unfinished, assumed }))
}
