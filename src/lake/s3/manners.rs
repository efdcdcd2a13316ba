//! What a server honours of what it is asked for, found out once by trying and kept.
//!
//! S3 refuses a conditional PUT of a name that is taken; some servers ignore the condition and
//! overwrite, some refuse the request itself. The trial is a small object of fixed content,
//! `<prefix>.pl/probe`, that is written twice under the condition; nothing is ever deleted.

use bytes::Bytes;

use super::failure::{Refusal, Trouble};
use super::request::Manners;
use super::{S3Lake, request};
use crate::fs::HeldFile;
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::oid::Oid;

/// The name of the trial, next to nothing that could be an object of the lake.
pub(super) const PROBE: &str = ".pl/probe";
const PROBE_CONTENT: &[u8] =
    b"git-lake writes this to learn whether the server keeps the first of two uploads.\n";

/// Keeps what was learned about a lake's server, and which uploads were begun, for later processes.
pub trait Notes: Send + Sync {
    /// Returns what was kept last.
    fn recall(&self, lake: &LakeUrl) -> Option<String>;
    /// Keeps a line of text; where it cannot be kept, it is learned again.
    fn keep(&self, lake: &LakeUrl, line: &str);
    /// Takes the note on the upload of an object, for as long as it is held; `None` if somebody else has
    /// it, or if none can be kept.
    fn take_upload(&self, lake: &LakeUrl, name: &ObjectName) -> Option<HeldFile>;
    /// Returns the objects of a lake whose uploads are noted.
    fn uploads(&self, lake: &LakeUrl) -> Vec<ObjectName>;
}

/// Keeps nothing, so everything is learned anew by each process.
#[derive(Debug, Clone, Copy)]
pub struct Forgetful;

impl Notes for Forgetful {
    fn recall(&self, _: &LakeUrl) -> Option<String> {
        None
    }

    fn keep(&self, _: &LakeUrl, _: &str) {}

    fn take_upload(&self, _: &LakeUrl, _: &ObjectName) -> Option<HeldFile> {
        None
    }

    fn uploads(&self, _: &LakeUrl) -> Vec<ObjectName> {
        Vec::new()
    }
}

impl Manners {
    fn line(self) -> String {
        format!("conditions={} checksums={}", self.conditions, self.checksums)
    }

    fn parse(line: &str) -> Option<Self> {
        let all = [(true, true), (true, false), (false, true), (false, false)];
        let all = all.map(|(conditions, checksums)| Self { conditions, checksums });
        all.into_iter().find(|manners| manners.line() == line)
    }
}

/// Returns how the lake's server behaves, from memory, from notes, or by trying.
pub(super) async fn of(lake: &S3Lake) -> Result<Manners, Trouble> {
    let remembered = || *lake.manners.lock().expect("no holder panics");
    if let Some(manners) = remembered() {
        return Ok(manners);
    }
    let _finding = lake.finding_manners.lock().await;
    match known(lake) {
        Some(manners) => Ok(manners),
        None => try_out(lake).await,
    }
}

/// Returns how the lake's server behaves, as far as that is known without a request.
pub(super) fn known(lake: &S3Lake) -> Option<Manners> {
    let mut remembered = lake.manners.lock().expect("no holder panics");
    if remembered.is_none() {
        let noted = || lake.server.notes.recall(&lake.url).and_then(|line| Manners::parse(&line));
        *remembered = match lake.host().is_aws() {
            true => Some(Manners { conditions: true, checksums: true }),
            false => noted(),
        };
    }
    *remembered
}

/// Finds out how the lake's server behaves by uploading something to it.
pub(super) async fn try_out(lake: &S3Lake) -> Result<Manners, Trouble> {
    let manners = probe(lake).await?;
    lake.server.notes.keep(&lake.url, &manners.line());
    *lake.manners.lock().expect("no holder panics") = Some(manners);
    Ok(manners)
}

/// Remembers that the server refused a condition although it was thought to honour them.
pub(super) fn doubt_conditions(lake: &S3Lake) {
    let mut manners = lake.manners.lock().expect("no holder panics");
    if let Some(manners) = manners.as_mut() {
        manners.conditions = false;
        lake.server.notes.keep(&lake.url, &manners.line());
    }
}

async fn probe(lake: &S3Lake) -> Result<Manners, Trouble> {
    let key = format!("{}{PROBE}", lake.prefix);
    let digest = Oid::of(PROBE_CONTENT);
    let content = Bytes::from_static(PROBE_CONTENT);
    let send = |conditions, checksums| {
        let manners = Manners { conditions, checksums };
        let condition = request::Condition::free_by(manners);
        request::send(lake, &key, content.clone(), &digest, manners, condition)
    };
    let conditions = match send(true, true).await {
        // It was free, so the second time tells.
        Ok(()) => match send(true, true).await {
            Ok(()) => false,
            Err(trouble) if trouble.says(Refusal::is_precondition) => true,
            Err(trouble) => return Err(trouble),
        },
        Err(trouble) if trouble.says(Refusal::is_precondition) => true,
        // Either of the two headers may be what is not understood.
        Err(trouble) if trouble.says(request::refuses_conditions) => {
            if send(false, true).await.is_err() {
                send(false, false).await?;
            }
            false
        }
        Err(trouble) => return Err(trouble),
    };
    let told = lake.head(&key).await.ok().flatten().and_then(|head| head.checksum);
    Ok(Manners { conditions, checksums: told == Some(request::base64(digest.as_bytes())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manners_are_written_and_read() {
        for (conditions, checksums) in [(true, true), (false, true), (true, false)] {
            let manners = Manners { conditions, checksums };
            assert_eq!(Manners::parse(&manners.line()), Some(manners));
        }
        assert_eq!(Manners::parse("conditions=maybe"), None);
    }
}
