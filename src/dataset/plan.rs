//! What is to be done with each item of a dataset. Pure.

use std::collections::BTreeSet;

use super::remote_file::RemoteFile;
use super::{Dataset, Error, Item, Place, State};
use crate::lake_url::LakeUrl;
use crate::underfolder::Slice;

/// Most keys that a message names.
const SHOWN_KEYS: usize = 10;

/// Which items are meant. The others stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Their keys; empty for all.
    pub keys: Vec<String>,
    /// Their samples. Shared items are meant if any sample is.
    pub slice: Slice,
}

/// What is to be done with one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It stays as it is.
    Keep,
    /// Its content goes to lakes, whose sources are added to its `.remote` file.
    Send,
    /// It becomes this `.remote` file.
    Point(RemoteFile),
    /// It becomes a file with its content.
    Restore,
    /// Nothing can be done with it, and why.
    Refuse(Refusal),
}

/// Why nothing can be done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not clear what it is.
    #[error("several files claim to be this item, and they do not have the same content")]
    Ambiguous,
    /// None of its sources can be asked.
    #[error("none of its sources is the address of an object")]
    NoSource,
    /// What would be left could not be read.
    #[error("what would be left is no address of an object")]
    NothingReadable,
}

/// What is to be done with the items of a dataset, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Step>);

/// How much there is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Items that the selection means.
    pub selected: usize,
    /// Files whose content is to be sent.
    pub send: usize,
    /// Bytes of those files.
    pub send_bytes: u64,
    /// Items whose content is to be sent from one lake to others.
    pub relay: usize,
    /// `.remote` files to write that need no content.
    pub point: usize,
    /// Items to bring back from lakes.
    pub restore: usize,
}

impl Selection {
    /// Checks that each key is one that an item has.
    ///
    /// # Errors
    /// Names the first that none has.
    pub fn check(&self, dataset: &Dataset) -> Result<(), Error> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<Vec<u8>> = dataset.items.iter().map(Item::key).collect();
        match self.keys.iter().find(|key| !known.contains(key.as_bytes())) {
            Some(key) => Err(Error::UnknownKey { key: key.clone(), known: describe(&known) }),
            None => Ok(()),
        }
    }

    /// Returns true if the item is meant.
    pub fn means(&self, dataset: &Dataset, item: &Item) -> bool {
        let is_in_slice = match item.place {
            Place::Sample(id) => self.slice.contains(id, dataset.samples),
            Place::Shared => self.slice.is_all() || self.slice.means_any(dataset.samples),
        };
        let has_key = || {
            let key = item.key();
            self.keys.iter().any(|meant| meant.as_bytes() == key)
        };
        is_in_slice && (self.keys.is_empty() || has_key())
    }
}

fn describe(known: &BTreeSet<Vec<u8>>) -> String {
    let text = |key: &Vec<u8>| format!("`{}`", String::from_utf8_lossy(key));
    let mut shown: Vec<String> = known.iter().take(SHOWN_KEYS).map(text).collect();
    if known.len() > SHOWN_KEYS {
        shown.push(format!("{} more", known.len() - SHOWN_KEYS));
    }
    if shown.is_empty() { "none at all".to_owned() } else { shown.join(", ") }
}

impl Plan {
    /// Plans to send the content of what is meant.
    pub fn to_send(dataset: &Dataset, selection: &Selection) -> Self {
        Self::of(dataset, selection, |item| match item.is_out_of_reach() {
            true => Step::Refuse(Refusal::NoSource),
            false => Step::Send,
        })
    }

    /// Plans to take sources in some lakes out of what is meant.
    ///
    /// An item that names no other source gets its content back; while content is still in a lake or
    /// on disk, an item never loses both.
    pub fn to_remove(dataset: &Dataset, selection: &Selection, lakes: &BTreeSet<LakeUrl>) -> Self {
        Self::of(dataset, selection, |item| {
            let Some(remote) = item.remote() else { return as_it_is(item) };
            match remote.without(|lake| lakes.contains(lake)) {
                (_, false) => Step::Keep,
                (None, true) => Step::Restore,
                (Some(rest), true) if rest.sources().is_empty() => {
                    Step::Refuse(Refusal::NothingReadable)
                }
                (Some(rest), true) => Step::Point(rest),
            }
        })
    }

    /// Plans to bring back the content of what is meant; with `keeps_remote`, it stays in lakes.
    pub fn to_clone(dataset: &Dataset, selection: &Selection, keeps_remote: bool) -> Self {
        Self::of(dataset, selection, |item| match &item.state {
            State::Both(_, remote) if keeps_remote => Step::Point(remote.clone()),
            _ if keeps_remote => as_it_is(item),
            _ if item.is_out_of_reach() => Step::Refuse(Refusal::NoSource),
            State::Remote(_) | State::Tracked(_) | State::Both(..) => Step::Restore,
            State::File(_) | State::Ambiguous(_) => Step::Keep,
        })
    }

    fn of(dataset: &Dataset, selection: &Selection, step: impl Fn(&Item) -> Step) -> Self {
        let decide = |item: &Item| match (&item.state, selection.means(dataset, item)) {
            (_, false) => as_it_is(item),
            (State::Ambiguous(_), true) => Step::Refuse(Refusal::Ambiguous),
            (_, true) => step(item),
        };
        Self(dataset.items.iter().map(decide).collect())
    }

    /// Counts what there is to do.
    pub fn tally(&self, dataset: &Dataset, selection: &Selection) -> Tally {
        let mut tally = Tally::default();
        for (item, step) in dataset.items.iter().zip(&self.0) {
            tally.selected += usize::from(selection.means(dataset, item));
            match (step, &item.state) {
                (Step::Send, State::File(stamp) | State::Both(stamp, _)) => {
                    tally.send += 1;
                    tally.send_bytes += stamp.size();
                }
                (Step::Send, _) => tally.relay += 1,
                (Step::Point(_), _) => tally.point += 1,
                (Step::Restore, State::Remote(_) | State::Tracked(_)) => tally.restore += 1,
                (Step::Restore | Step::Keep | Step::Refuse(_), _) => {}
            }
        }
        tally
    }
}

/// Returns what leaves an item as it is. A pointer that names no source cannot be a `.remote` file.
fn as_it_is(item: &Item) -> Step {
    match &item.state {
        State::Tracked(tracked) if tracked.remote.is_some() => Step::Keep,
        State::Tracked(_) if item.is_out_of_reach() => Step::Refuse(Refusal::NoSource),
        State::Tracked(_) => Step::Restore,
        _ => Step::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake_url::SourceUrl;

    fn remote(lakes: &[&str]) -> RemoteFile {
        let source = |lake: &&str| {
            let text = format!("file:///{lake}/{}.x", "a".repeat(64));
            SourceUrl::parse_normal(&text).expect("a source")
        };
        RemoteFile::of(lakes.iter().map(source)).expect("some")
    }

    fn dataset(items: &[(Place, &str, State)]) -> Dataset {
        let item = |(place, file, state): &(Place, &str, State)| Item {
            place: *place,
            file: (*file).into(),
            state: state.clone(),
        };
        let items = items.iter().map(item).collect();
        Dataset { folder: "/in".into(), items, samples: 2, strangers: Vec::new() }
    }

    #[test]
    fn only_the_last_source_needs_the_content() {
        let lakes = BTreeSet::from([LakeUrl::parse("file:///a").expect("a lake")]);
        let odd = RemoteFile::parse(
            format!("[\"file:///a/{}.x\", \"odd.x\"]", "a".repeat(64)).as_bytes(),
        );
        let of = |remote: RemoteFile| (Place::Sample(0), "0_a.x.remote", State::Remote(remote));
        let items = [
            of(remote(&["a", "b"])),
            of(remote(&["a"])),
            of(remote(&["b"])),
            of(odd.expect("parses")),
        ];
        let plan = Plan::to_remove(&dataset(&items), &Selection::default(), &lakes);
        let expected = [
            Step::Point(remote(&["b"])),
            Step::Restore,
            Step::Keep,
            Step::Refuse(Refusal::NothingReadable),
        ];
        assert_eq!(plan.0, expected);
    }

    #[test]
    fn shared_items_are_meant_with_any_sample_and_without_one_by_no_slice() {
        let shared = (Place::Shared, "c.x", State::Remote(remote(&["a"])));
        let sample = (Place::Sample(1), "1_a.x.remote", State::Remote(remote(&["a"])));
        let both = dataset(&[shared, sample]);
        let meant = |slice: Slice| {
            let selection = Selection { keys: Vec::new(), slice };
            let is_kept = |step: &Step| *step == Step::Keep;
            let plan = Plan::to_clone(&both, &selection, false);
            plan.0.iter().map(|step| !is_kept(step)).collect::<Vec<_>>()
        };
        assert_eq!(meant(Slice::default()), [true, true]);
        assert_eq!(meant(Slice { start: Some(1), ..Slice::default() }), [true, true]);
        assert_eq!(meant(Slice { stop: Some(1), ..Slice::default() }), [true, false]);
        assert_eq!(meant(Slice { start: Some(2), ..Slice::default() }), [false, false]);
    }

    #[test]
    fn both_files_of_an_item_become_one() {
        let file = std::env::current_exe().and_then(std::fs::metadata).expect("there");
        let state = State::Both(crate::fs::Stamp::of(&file), remote(&["a"]));
        let dataset = dataset(&[(Place::Sample(0), "0_a.x", state)]);
        let all = Selection::default();
        let lakes = BTreeSet::from([LakeUrl::parse("file:///a").expect("a lake")]);
        assert_eq!(Plan::to_send(&dataset, &all).0, [Step::Send]);
        assert_eq!(Plan::to_remove(&dataset, &all, &lakes).0, [Step::Restore]);
        assert_eq!(Plan::to_clone(&dataset, &all, false).0, [Step::Restore]);
        assert_eq!(Plan::to_clone(&dataset, &all, true).0, [Step::Point(remote(&["a"]))]);
    }
}
