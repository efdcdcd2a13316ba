//! How an object comes into a lake that was asked for it: from where, or why not.

use crate::digest::HashName;
use crate::fs::platform;
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;
use crate::store::Presence;
use crate::transfer::presence::Answer;
use crate::transfer::upload::{Failure, Job, Origin};
use crate::workspace::Workspace;

/// What the answer of a lake comes to.
pub(super) enum Due {
    /// Nothing: the object is there.
    Held,
    /// It is to be sent, and can be read from these other places, too.
    Send(Job, Vec<Origin>),
    /// It cannot come there, for this reason.
    Hopeless(String),
}

/// Says what is to be done about an object that a lake, which names objects by `hash`, was asked for.
pub(super) fn due(
    site: &Workspace,
    (path, pointer): (&RepoPath, &Pointer),
    url: &SourceUrl,
    hash: HashName,
    answer: Answer,
) -> Due {
    match answer {
        Answer::Held(_) => Due::Held,
        Answer::OtherSize(size) => Due::Hopeless(format!(
            "`{}` holds an object of {size} bytes under its name: `git lake fsck --remote --repair` replaces it",
            url.lake
        )),
        Answer::Unknown(error) => Due::Hopeless(Failure::from(error).cause()),
        Answer::Absent => match job(site, (path, pointer), url, hash) {
            Some((job, others)) => Due::Send(job, others),
            None => Due::Hopeless("no source of it is known".to_owned()),
        },
    }
}

/// Says how an object comes to `url`, in a lake that names objects by `hash`: from the nearest place that may
/// have it, and from which others it could come. `None` if there is no such place.
pub fn job(
    site: &Workspace,
    (path, pointer): (&RepoPath, &Pointer),
    url: &SourceUrl,
    hash: HashName,
) -> Option<(Job, Vec<Origin>)> {
    let mut origins = origins(site, path, pointer, &url.lake).into_iter();
    let from = origins.next()?;
    let (oid, size, url, path) = (pointer.oid(), pointer.size(), url.clone(), path.clone());
    Some((Job { url, oid, size, hash, path, from }, origins.collect()))
}

/// Returns where an object can be read from to come into `target`, nearest first.
fn origins(site: &Workspace, path: &RepoPath, pointer: &Pointer, target: &LakeUrl) -> Vec<Origin> {
    let (oid, size) = (pointer.oid(), pointer.size());
    let mut origins = Vec::new();
    if site.store.presence(oid, size).is_ok_and(|presence| presence != Presence::Absent) {
        origins.push(Origin::Store);
    }
    if let Some(work_tree) = site.repo.work_tree() {
        let file_path = crate::repo_path::join(work_tree, path);
        let file = platform::open_regular(&file_path).and_then(|file| file.metadata());
        // What is not its content is found out when it is read.
        if file.is_ok_and(|file| file.len() == size) {
            origins.push(Origin::File(file_path));
        }
    }
    let candidates = site.config.candidates(pointer, path).into_iter();
    origins.extend(candidates.filter(|source| source.lake != *target).map(Origin::Lake));
    origins
}
