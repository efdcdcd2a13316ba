//! The store, what is owed, and what ended early.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use crate::config::accepted::Accepted;
use crate::config::{Checkout, UploadAt};
use crate::doctor::Error;
use crate::fill;
use crate::fs::{IoContext as _, PathError, Shared, platform, stage};
use crate::lake_url::LakeUrl;
use crate::owed::{self, Look};
use crate::store::fill_journal;
use crate::workspace::Workspace;

/// A file system shares whole blocks; no known one has larger ones.
const TRIED_BYTES: usize = 64 << 10;

/// What the clone keeps by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Uploads that are owed, for each lake.
    pub owed: BTreeMap<LakeUrl, Owed>,
    /// Whether uploads wait for a push anyway.
    pub waits_for_push: bool,
    /// How many files are pointers although their content is wanted.
    pub left: usize,
    /// How many files are pointers because that is wanted.
    pub left_on_purpose: usize,
    /// How many objects the store has.
    pub objects: usize,
    /// Sum of their sizes.
    pub bytes: u64,
    /// `lake.storageLimit`.
    pub limit: Option<u64>,
    /// Where damaged objects are.
    pub aside: PathBuf,
    /// How many of these the store has again.
    pub replaced: usize,
    /// How many it has not.
    pub lost: usize,
    /// How many objects could not be synced.
    pub unsynced: usize,
    /// How many processes died while files were filled.
    pub unfinished: usize,
    /// `lake.storage`, if it cannot be used.
    pub storage: Option<PathBuf>,
    /// Clones that share the store and cannot be read.
    pub unreadable_clones: Vec<String>,
    /// Whether the store and the work tree share blocks; `None` if that was not tried.
    pub shares_blocks: Option<bool>,
}

/// What one lake is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// How many objects.
    pub objects: usize,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Whether they may go there.
    pub is_accepted: bool,
}

impl State {
    pub(super) fn look(site: &Workspace) -> Result<Self, Error> {
        let (store, config) = (&site.store, &site.config);
        let mut state = Self {
            waits_for_push: config.upload_at == UploadAt::Push,
            limit: config.storage_limit,
            aside: store.damaged_folder(),
            unsynced: store.count_recorded()?,
            owed: owed(site)?,
            shares_blocks: shares_blocks(site)?,
            ..Self::default()
        };
        for item in fill::left(site, &site.repo.index()?, None)? {
            let is_wanted =
                config.checkout != Checkout::Pointer && config.wants_content(&item.path);
            *(if is_wanted { &mut state.left } else { &mut state.left_on_purpose }) += 1;
        }
        store.for_each_object(&mut |stored| {
            state.objects += 1;
            state.bytes += stored.size;
            Ok::<_, PathError>(())
        })?;
        for oid in store.set_aside()? {
            let is_back = store.open(oid).is_ok_and(|file| file.is_some());
            *(if is_back { &mut state.replaced } else { &mut state.lost }) += 1;
        }
        let is_unfinished = |log: &fill_journal::FoundLog| {
            !log.is_running && log.index_path == site.repo.index_path()
        };
        state.unfinished =
            fill_journal::read_all(store.root())?.iter().filter(|log| is_unfinished(log)).count();
        match &config.storage {
            // Without the folder objects stay in the clone.
            Some(folder) if store.objects_root() == store.root() => {
                state.storage = Some(folder.clone());
            }
            Some(_) => {
                let unreadable = store.sharers()?.into_iter().filter(|sharer| {
                    let head = sharer.common_dir.as_ref().map(|folder| folder.join("HEAD"));
                    head.is_none_or(|head| std::fs::File::open(head).is_err())
                });
                state.unreadable_clones = unreadable.map(|sharer| sharer.display()).collect();
            }
            None => {}
        }
        Ok(state)
    }
}

fn owed(site: &Workspace) -> Result<BTreeMap<LakeUrl, Owed>, Error> {
    let accepted = Accepted::load(site.store.root())?;
    let mut owed: BTreeMap<LakeUrl, Owed> = BTreeMap::new();
    for record in owed::settle(site, Look::Everywhere)? {
        let is_accepted = accepted.contains(&record.url.lake);
        let entry = owed.entry(record.url.lake).or_default();
        entry.objects += 1;
        entry.bytes = entry.bytes.saturating_add(record.size);
        entry.is_accepted = is_accepted;
    }
    Ok(owed)
}

/// Tries it with a file where objects are staged and one where files of the work tree are.
fn shares_blocks(site: &Workspace) -> Result<Option<bool>, PathError> {
    let (objects, Some(top)) = (site.store.objects_root(), site.repo.work_tree()) else {
        return Ok(None);
    };
    if !objects.is_dir() {
        return Ok(None);
    }
    let staging = site.store.tmp_folder()?;
    if !platform::same_file_system(staging, top) {
        return Ok(Some(false));
    }
    let (Ok(mut source), target) =
        (stage(&objects.join("tmp"), Shared::No), stage(staging, Shared::No)?)
    else {
        return Ok(None);
    };
    source.write_all(&[0; TRIED_BYTES]).context(source.path())?;
    Ok(Some(platform::shares_blocks(source.as_file(), target.as_file())))
}
