//! Putting right what was found: from any copy that is verified, into the store and into lakes.
//!
//! Whatever is read from is verified on the way. Lakes are only written to where this clone may: remotes
//! of the settings that it accepted and uploads to.

use std::collections::HashMap;

use super::{Error, Fault, Finding};
use crate::config::accepted::Accepted;
use crate::config::file::Remote;
use crate::fill;
use crate::lake::Replaced;
use crate::lake_url::SourceUrl;
use crate::pointer::Pointer;
use crate::regain;
use crate::repo_path::RepoPath;
use crate::sources::supply;
use crate::transfer::upload::{Job, Origin};
use crate::workspace::Workspace;

/// So many objects are put right together.
const AT_ONCE: usize = 4096;

/// What can be done about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The object comes into the store.
    Fetch,
    /// The object is uploaded.
    Upload(SourceUrl),
    /// The object takes the place of what is there.
    Replace(SourceUrl),
}

/// What is to be done, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// This is to be done.
    Planned(Action),
    /// This was done; what was replaced is kept here.
    Done(Action, Option<String>),
    /// This could not be done, for this reason.
    Failed(Action, String),
    /// Nothing can be done, for this reason.
    Impossible(String),
}

/// Decides for each finding what is to be done about it, if anything could be.
///
/// # Errors
/// If a pointer or the record of accepted remotes cannot be read.
pub fn plan(site: &Workspace, findings: &mut [Finding]) -> Result<(), Error> {
    let accepted = site.accepted()?;
    for finding in findings {
        finding.repair = decide(site, &accepted, finding)?;
    }
    Ok(())
}

fn decide(
    site: &Workspace,
    accepted: &Accepted,
    finding: &Finding,
) -> Result<Option<Repair>, Error> {
    let replaces = match finding.fault {
        Fault::StoredDamaged(_) | Fault::NotStored => {
            return Ok(Some(match finding.blob {
                Some(_) => Repair::Planned(Action::Fetch),
                None => Repair::Impossible("no pointer that was looked at names it".to_owned()),
            }));
        }
        Fault::Absent | Fault::Nowhere => false,
        Fault::OtherSize(_) | Fault::WrongBytes | Fault::NotRegular => true,
        _ => return Ok(None),
    };
    let Some((path, pointer)) = subject(site, finding)? else { return Ok(None) };
    let target = match (&finding.lake, &finding.name) {
        (Some(lake), Some(name)) => Some(lake.source(name.clone())),
        // Wherever readers will find it.
        _ => site.config.candidates(&pointer, &path).into_iter().find(|source| {
            obstacle(site.config.remote_at(&source.lake), accepted, &path).is_none()
        }),
    };
    let Some(target) = target else {
        let why = "no remote that this clone uploads to is looked at for it".to_owned();
        return Ok(Some(Repair::Impossible(why)));
    };
    Ok(Some(match obstacle(site.config.remote_at(&target.lake), accepted, &path) {
        Some(why) => Repair::Impossible(format!("`{}`: {why}", target.lake)),
        None if replaces => Repair::Planned(Action::Replace(target)),
        None => Repair::Planned(Action::Upload(target)),
    }))
}

/// Says why nothing may be written to a lake, if so.
fn obstacle(remote: Option<&Remote>, accepted: &Accepted, path: &RepoPath) -> Option<String> {
    let Some(remote) = remote else {
        return Some("`.gitlake.toml` does not name it".to_owned());
    };
    if !remote.upload {
        Some("nothing is uploaded to it".to_owned())
    } else if !remote.applies_to(path) {
        Some("its `paths` leave this path out".to_owned())
    } else if !remote.hash.is_writable() {
        Some(format!("objects named by {} are only read", remote.hash))
    } else if !accepted.contains(&remote.url) {
        Some(format!("this clone has not accepted it: `git lake trust {}`", remote.url))
    } else {
        None
    }
}

/// Returns the path and the pointer that a finding is about.
fn subject(site: &Workspace, finding: &Finding) -> Result<Option<(RepoPath, Pointer)>, Error> {
    let (Some(path), Some(blob)) = (&finding.path, finding.blob) else { return Ok(None) };
    let pointer = site.pointer_of(blob)?.map(|(_, pointer)| pointer);
    Ok(pointer.map(|pointer| (path.clone(), pointer)))
}

/// Does what is planned: first what comes here, then what is missing elsewhere, then what is damaged there.
///
/// What nobody came to, because the user asked to stop, stays planned.
///
/// # Errors
/// If the repository or the local state cannot be read or written.
pub fn carry_out(site: &Workspace, findings: &mut [Finding]) -> Result<(), Error> {
    let planned = |findings: &[Finding], is_meant: fn(&Action) -> bool| -> Vec<usize> {
        let is_meant = |finding: &Finding| match &finding.repair {
            Some(Repair::Planned(action)) => is_meant(action),
            _ => false,
        };
        (0..findings.len()).filter(|at| is_meant(&findings[*at])).collect()
    };
    let fetches = planned(findings, |action| matches!(action, Action::Fetch));
    for part in fetches.chunks(AT_ONCE) {
        fetch(site, findings, part)?;
    }
    let uploads = planned(findings, |action| matches!(action, Action::Upload(_)));
    for part in uploads.chunks(AT_ONCE) {
        upload(site, findings, part)?;
    }
    for at in planned(findings, |action| matches!(action, Action::Replace(_))) {
        replace(site, &mut findings[at])?;
    }
    Ok(())
}

/// Brings objects into the store: from the work tree, else from lakes.
fn fetch(site: &Workspace, findings: &mut [Finding], part: &[usize]) -> Result<(), Error> {
    let mut wanted = Vec::new();
    for at in part {
        let Some((path, pointer)) = subject(site, &findings[*at])? else { continue };
        if site.cancel.is_cancelled() {
            break;
        }
        if !regain::from_work_tree(site, &path, &pointer)? {
            wanted.push((*at, path, pointer));
        } else {
            findings[*at].repair = Some(Repair::Done(Action::Fetch, None));
        }
    }
    site.store.sync()?;
    let failed = fill::fetch(site, wanted.iter().map(|(_, path, pointer)| (path, pointer)));
    for (at, _, pointer) in wanted {
        findings[at].repair = Some(match failed.get(&pointer.oid()) {
            None => Repair::Done(Action::Fetch, None),
            Some(_) if site.cancel.is_cancelled() => Repair::Planned(Action::Fetch),
            Some(failure) => Repair::Failed(Action::Fetch, failure.to_string()),
        });
    }
    Ok(())
}

/// Uploads objects that lakes lack, from wherever they can be had.
fn upload(site: &Workspace, findings: &mut [Finding], part: &[usize]) -> Result<(), Error> {
    let (mut jobs, mut sent) = (Vec::new(), HashMap::new());
    for at in part {
        let Some(Repair::Planned(Action::Upload(url))) = findings[*at].repair.clone() else {
            continue;
        };
        match job(site, &findings[*at], &url)? {
            Some(job) => {
                jobs.push(job);
                sent.insert(url, *at);
            }
            None => findings[*at].repair = Some(no_copy(Action::Upload(url))),
        }
    }
    if site.cancel.is_cancelled() {
        return Ok(());
    }
    let report = site.transfer().relay(jobs);
    for (job, failure) in report.failures {
        let Some(at) = sent.remove(&job.url) else { continue };
        if !site.cancel.is_cancelled() {
            findings[at].repair = Some(Repair::Failed(Action::Upload(job.url), failure.cause()));
        }
    }
    for (url, at) in sent {
        findings[at].repair = Some(Repair::Done(Action::Upload(url), None));
    }
    Ok(())
}

/// Puts an object in the place of what is damaged.
fn replace(site: &Workspace, finding: &mut Finding) -> Result<(), Error> {
    let Some(Repair::Planned(Action::Replace(url))) = finding.repair.clone() else {
        return Ok(());
    };
    let action = Action::Replace(url.clone());
    if site.cancel.is_cancelled() {
        return Ok(());
    }
    let Some((job, others)) = job(site, finding, &url)? else {
        finding.repair = Some(no_copy(action));
        return Ok(());
    };
    let lake = site.reach.open_admin(&url.lake);
    finding.repair = Some(match site.transfer().replace(&*lake, job, &others) {
        Ok(Replaced::Aside(aside)) => Repair::Done(action, Some(aside)),
        Ok(Replaced::Not(_)) => Repair::Done(action, None),
        Err(_) if site.cancel.is_cancelled() => Repair::Planned(action),
        Err(failure) => Repair::Failed(action, failure.cause()),
    });
    Ok(())
}

/// Says how an object comes to its target, and from where else it could.
fn job(
    site: &Workspace,
    finding: &Finding,
    url: &SourceUrl,
) -> Result<Option<(Job, Vec<Origin>)>, Error> {
    let Some((path, pointer)) = subject(site, finding)? else { return Ok(None) };
    let hash = site.config.remote_at(&url.lake).expect("only remotes are written to").hash;
    Ok(supply::job(site, (&path, &pointer), url, hash))
}

fn no_copy(action: Action) -> Repair {
    Repair::Failed(action, "no copy of it is known".to_owned())
}
