//! How many bytes items have: by folder, by type, by lake, in the store, and in one commit alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::facts::Facts;
use super::list::{Scope, blobs_in};
use super::{Error, Sum, side_by_side};
use crate::lake_url::LakeUrl;
use crate::oid::Oid;
use crate::repo::history;
use crate::store::Presence;
use crate::workspace::Workspace;

/// What bytes are summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Folders down to this depth, each with everything below it; 0 is the top alone.
    Folder(usize),
    /// The last suffix of the file name.
    Type,
    /// The lakes that pointers name; an item counts for each of them.
    Lake,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// A folder below the top.
    Folder(Vec<u8>),
    /// All items together.
    Top,
    /// A suffix in lower case, with its dot; empty without one.
    Type(Vec<u8>),
    /// A lake.
    Lake(LakeUrl),
    /// Items whose pointers name no lake.
    NoLake,
}

/// One group, and all of it that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub group: Group,
    /// Its items.
    pub items: Sum,
    /// Those whose object is in the store.
    pub stored: Sum,
}

/// What items take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sums by group, in the order of the groups.
    pub rows: Vec<Row>,
    /// All items; the same content at the same path of several commits is one.
    pub items: Sum,
    /// Their objects, each once.
    pub objects: Sum,
    /// Those of them that are in the store.
    pub stored: Sum,
    /// For each commit, the objects that nothing else of what is compared has.
    pub only: Vec<Sum>,
}

impl Usage {
    /// Returns how many bytes items have in common with others.
    pub fn saved_bytes(&self) -> u64 {
        self.items.bytes.saturating_sub(self.objects.bytes)
    }
}

/// What is looked at, with the paths that are meant; `None` for all.
pub type Part = (Scope, Option<HashSet<Vec<u8>>>);

/// Sums up the items of the index, or of commits together.
///
/// What only one commit has is told of several against each other, and of a single one against all other
/// branches, tags and stashes with their history.
///
/// # Errors
/// If git or the store cannot be read.
pub fn usage(site: &Workspace, parts: &[Part], by: By) -> Result<Usage, Error> {
    let mut collected = collect(site, parts, by)?;
    let mut usage = Usage::default();
    let oids: Vec<(Oid, u64)> = collected.objects.iter().map(|(oid, o)| (*oid, o.size)).collect();
    let store = &*site.store;
    let presences = side_by_side(&oids, |(oid, size)| store.presence(*oid, *size));
    for ((oid, size), presence) in oids.iter().zip(presences) {
        usage.objects.add(*size);
        if presence? != Presence::Absent {
            usage.stored.add(*size);
            collected.objects.get_mut(oid).expect("it is from there").is_stored = true;
        }
    }
    usage.only = only(site, parts, &collected.objects)?;
    let mut rows: BTreeMap<Group, Row> = BTreeMap::new();
    for item in &collected.items {
        let object = &collected.objects[&item.oid];
        usage.items.add(object.size);
        for group in groups(item, by, &collected.lakes) {
            let new =
                || Row { group: group.clone(), items: Sum::default(), stored: Sum::default() };
            let row = rows.entry(group.clone()).or_insert_with(new);
            row.items.add(object.size);
            if object.is_stored {
                row.stored.add(object.size);
            }
        }
    }
    usage.rows = rows.into_values().collect();
    Ok(usage)
}

/// Everything that was found.
#[derive(Default)]
struct Collected {
    items: Vec<Item>,
    /// What is among the items already, where several parts may have the same.
    seen: Option<HashSet<(Box<[u8]>, Oid)>>,
    objects: HashMap<Oid, Object>,
    /// Lakes by number, since most items name the same few.
    lakes: Vec<LakeUrl>,
}

struct Item {
    path: Box<[u8]>,
    oid: Oid,
    /// Numbers of lakes; empty if they were not asked for.
    lakes: Box<[usize]>,
}

struct Object {
    size: u64,
    is_stored: bool,
    /// The first part that has it.
    part: usize,
    /// Another part has it, too.
    is_shared: bool,
}

impl Collected {
    fn add(&mut self, path: &[u8], part: usize, oid: Oid, size: u64, lakes: Box<[usize]>) {
        let new = Object { size, is_stored: false, part, is_shared: false };
        let object = self.objects.entry(oid).or_insert(new);
        object.is_shared |= object.part != part;
        if self.seen.as_mut().is_none_or(|seen| seen.insert((path.into(), oid))) {
            self.items.push(Item { path: path.into(), oid, lakes });
        }
    }

    fn number_of(&mut self, lake: &LakeUrl) -> usize {
        let known = self.lakes.iter().position(|known| known == lake);
        known.unwrap_or_else(|| {
            self.lakes.push(lake.clone());
            self.lakes.len() - 1
        })
    }
}

fn collect(site: &Workspace, parts: &[Part], by: By) -> Result<Collected, Error> {
    let seen = (parts.len() > 1).then(HashSet::new);
    let (mut facts, mut collected) = (Facts::of(site), Collected { seen, ..Collected::default() });
    for (part, (scope, paths)) in parts.iter().enumerate() {
        blobs_in(site, scope, paths.as_ref(), |path, blob| {
            let (oid, size, lakes) = match by {
                By::Folder(_) | By::Type => {
                    let Some(named) = facts.get(blob)? else { return Ok(()) };
                    (named.oid, named.size, Box::default())
                }
                By::Lake => {
                    let Some((_, pointer)) = site.pointer_of(blob)? else { return Ok(()) };
                    let lakes = pointer.sources().iter();
                    let lakes = lakes.map(|source| collected.number_of(&source.lake)).collect();
                    (pointer.oid(), pointer.size(), lakes)
                }
            };
            collected.add(path, part, oid, size, lakes);
            Ok::<_, Error>(())
        })?;
    }
    Ok(collected)
}

/// Returns the groups that an item belongs to.
fn groups(item: &Item, by: By, lakes: &[LakeUrl]) -> Vec<Group> {
    match by {
        By::Folder(depth) => {
            let slashes = item.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let folders = slashes.take(depth).map(|(at, _)| Group::Folder(item.path[..at].into()));
            folders.chain([Group::Top]).collect()
        }
        By::Type => {
            let name = item.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            // A dot at the beginning starts no suffix.
            let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
            vec![Group::Type(dot.map_or_else(Vec::new, |at| name[at..].to_ascii_lowercase()))]
        }
        By::Lake if item.lakes.is_empty() => vec![Group::NoLake],
        By::Lake => item.lakes.iter().map(|at| Group::Lake(lakes[*at].clone())).collect(),
    }
}

/// Sums up, for each part, the objects that nothing else has that it is compared with.
fn only(
    site: &Workspace,
    parts: &[Part],
    objects: &HashMap<Oid, Object>,
) -> Result<Vec<Sum>, Error> {
    let mut elsewhere: HashSet<Oid> = HashSet::new();
    match parts {
        [(Scope::Tree(treeish), _)] => {
            let mut facts = Facts::of(site);
            for blob in history::blobs_of_other_refs(&site.repo, treeish)? {
                elsewhere.extend(facts.get(blob.id)?.map(|named| named.oid));
            }
        }
        // Neither is a commit.
        [(Scope::Index | Scope::Everything, _)] => return Ok(Vec::new()),
        _ => {}
    }
    let mut sums = vec![Sum::default(); parts.len()];
    for (oid, object) in objects {
        if !object.is_shared && !elsewhere.contains(oid) {
            sums[object.part].add(object.size);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups_of(path: &[u8], by: By) -> Vec<Group> {
        let item = Item { path: path.into(), oid: Oid::of(b"x"), lakes: Box::default() };
        groups(&item, by, &[])
    }

    #[test]
    fn an_item_counts_for_all_folders_above_it_down_to_the_depth() {
        let folder = |path: &[u8]| Group::Folder(path.into());
        let table = [
            (&b"a/b/c/x.bin"[..], 0, vec![Group::Top]),
            (b"a/b/c/x.bin", 2, vec![folder(b"a"), folder(b"a/b"), Group::Top]),
            (b"a/x.bin", 5, vec![folder(b"a"), Group::Top]),
            (b"x.bin", 1, vec![Group::Top]),
        ];
        for (path, depth, expected) in table {
            assert_eq!(groups_of(path, By::Folder(depth)), expected, "{depth}");
        }
    }

    #[test]
    fn the_last_suffix_is_the_type() {
        let table = [
            (&b"a.b/x.PNG"[..], &b".png"[..]),
            (b"x.tar.gz", b".gz"),
            (b"a.b/x", b""),
            (b"sub/.hidden", b""),
            (b"x.", b"."),
        ];
        for (path, expected) in table {
            assert_eq!(groups_of(path, By::Type), [Group::Type(expected.into())]);
        }
        assert_eq!(groups_of(b"x", By::Lake), [Group::NoLake]);
    }
}
