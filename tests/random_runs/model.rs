//! What a clone should look like: trees of numbers that stand for contents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use git_lake::oid::Oid;
use git_lake::pointer::Parsed;

use crate::common::{Repo, noise};

/// Stands for bytes; see [`bytes_of`].
pub(super) type Content = u64;
pub(super) type Tree = BTreeMap<String, Content>;

/// A few contents are large, so that they are streamed, filled out of git's pipe, and kept in part.
pub(super) fn bytes_of(content: Content) -> Vec<u8> {
    let size = match content % 16 {
        0 => 1_200_000,
        1 => 70_000,
        other => 10 + 97 * other,
    };
    noise(content, usize::try_from(size).unwrap())
}

/// Commits of all clones, each with its parent.
#[derive(Default)]
pub(super) struct History(Vec<(Option<usize>, Tree)>);

impl History {
    pub(super) fn add(&mut self, parent: Option<usize>, tree: Tree) -> usize {
        self.0.push((parent, tree));
        self.0.len() - 1
    }

    pub(super) fn tree(&self, commit: usize) -> &Tree {
        &self.0[commit].1
    }

    pub(super) fn is_ancestor(&self, old: usize, new: usize) -> bool {
        let mut at = Some(new);
        while let Some(commit) = at {
            if commit == old {
                return true;
            }
            at = self.0[commit].0;
        }
        false
    }
}

/// What a clone should look like.
pub(super) struct Expected {
    pub(super) branch: &'static str,
    pub(super) branches: BTreeMap<&'static str, usize>,
    pub(super) index: Tree,
    pub(super) work: Tree,
    /// Files that may be pointers: content was given up, or no lake was there.
    pub(super) may_be_pointers: BTreeSet<String>,
    /// Files where a pointer may have been before they were written or removed: git knows how long that was, and takes a file of
    /// another length for modified without a look, until it is added.
    pub(super) may_look_modified: BTreeSet<String>,
}

impl Expected {
    pub(super) fn new(commit: usize, tree: Tree) -> Self {
        let branches = BTreeMap::from([("main", commit), ("side", commit)]);
        let (may_be_pointers, may_look_modified) = Default::default();
        let (branch, index, work) = ("main", tree.clone(), tree);
        Self { branch, branches, index, work, may_be_pointers, may_look_modified }
    }

    pub(super) fn head(&self) -> usize {
        self.branches[self.branch]
    }

    /// Everything is as in a commit. Git wrote these files: for other content, other sources, or since it saw
    /// that they had been written.
    pub(super) fn check_out(
        &mut self,
        tree: &Tree,
        written: &BTreeSet<String>,
        are_lakes_there: bool,
    ) {
        // What stays as it is stays a pointer, too.
        self.may_be_pointers.retain(|path| tree.contains_key(path) && !written.contains(path));
        if !are_lakes_there {
            self.may_be_pointers.extend(written.iter().cloned());
        }
        self.index.clone_from(tree);
        self.work.clone_from(tree);
        self.may_look_modified.clear();
    }

    /// A file has this content now.
    pub(super) fn write(&mut self, path: &str, content: Content) {
        self.remove(path);
        self.work.insert(path.to_owned(), content);
    }

    /// There is no file any more.
    pub(super) fn remove(&mut self, path: &str) {
        if self.may_be_pointers.remove(path) {
            self.may_look_modified.insert(path.to_owned());
        }
        self.work.remove(path);
    }

    /// Returns what is wrong with the files of the work tree.
    pub(super) fn check_files(&self, repo: &Repo) -> Result<(), String> {
        for (path, content) in &self.work {
            let expected = bytes_of(*content);
            let found =
                fs::read(repo.path.join(path)).map_err(|error| format!("{path}: {error}"))?;
            if found == expected {
                continue;
            }
            let pointer = Parsed::of(&found).pointer();
            let is_its = pointer.is_some_and(|pointer| pointer.oid() == Oid::of(&expected));
            if !is_its || !self.may_be_pointers.contains(path) {
                return Err(format!("{path} is {} bytes of something else", found.len()));
            }
        }
        Ok(())
    }

    /// Returns how git differs from what is expected of it.
    pub(super) fn check_git(&self, repo: &Repo, head: &Tree) -> Result<(), String> {
        let mut expected = BTreeMap::new();
        for path in head.keys().chain(self.index.keys()).chain(self.work.keys()) {
            let [head, index, work] = [head, &self.index, &self.work].map(|tree| tree.get(path));
            let staged = match (head, index) {
                (None, Some(_)) => 'A',
                (Some(_), None) => 'D',
                (one, other) if one != other => 'M',
                _ => ' ',
            };
            let changed = match (index, work) {
                (Some(_), None) => 'D',
                (Some(one), Some(other)) if one != other => 'M',
                (None, Some(_)) => '?',
                _ => ' ',
            };
            expected.insert(path.clone(), (staged, changed));
        }
        let mut found: BTreeMap<String, (char, char)> =
            expected.keys().map(|path| (path.clone(), (' ', ' '))).collect();
        let args = ["status", "--porcelain", "-z", "--no-renames", "-uall", "--", "*.bin", "*.txt"];
        for line in repo.git(args).stdout.split('\0').filter(|line| !line.is_empty()) {
            let (codes, path) = line.split_at(2);
            let mut codes = codes.chars();
            let (staged, changed) = (codes.next().unwrap(), codes.next().unwrap());
            let there = found.entry(path[1..].to_owned()).or_insert((' ', ' '));
            if changed == '?' {
                there.1 = '?';
            } else {
                *there = (staged, if there.1 == '?' { '?' } else { changed });
            }
        }
        for (path, (staged, changed)) in &mut found {
            // A pointer may have got other sources, with the same content.
            if *staged == 'M' && expected.get(path).is_some_and(|expected| expected.0 == ' ') {
                *staged = ' ';
            }
            if *changed == 'M' && self.may_look_modified.contains(path) {
                *changed = expected.get(path).map_or('M', |expected| expected.1);
            }
            let is_expected = expected.get(path) == Some(&(*staged, *changed));
            if !is_expected {
                let expected = expected.get(path);
                return Err(format!("{path} is {staged:?} {changed:?}, not {expected:?}"));
            }
        }
        self.check_index(repo)
    }

    fn check_index(&self, repo: &Repo) -> Result<(), String> {
        for (path, content) in self.index.iter().filter(|(path, _)| path.ends_with(".bin")) {
            let blob = repo.git(["cat-file", "blob", &format!(":{path}")]).bytes;
            let pointer = Parsed::of(&blob).pointer();
            let expected = Oid::of(&bytes_of(*content));
            if pointer.is_none_or(|pointer| pointer.oid() != expected) {
                return Err(format!("the index has another pointer for {path}"));
            }
        }
        Ok(())
    }
}
