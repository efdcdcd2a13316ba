//! Putting an object in the place of a damaged one, of which the server keeps a copy aside.

use std::io::Cursor;

use bytes::Bytes;

use super::failure::{Doing, Refusal, Trouble};
use super::manners;
use super::parts::{Parts, Stop};
use super::request::{Condition, Manners, copy, refuses_conditions, send};
use super::there::{MAX_COPY_BYTES, head, is_same};
use super::unfinished::Note;
use super::{S3Lake, budget, put};
use crate::digest::COPY_BUFFER_BYTES;
use crate::lake::upload::{CopyError, names_aside};
use crate::lake::{LakeError, Observer, Proof, Put, ReadLake as _, Replaced, Upload};
use crate::oid::Oid;

/// How often it begins again when what stands there changes meanwhile.
const ATTEMPTS: u32 = 3;

/// An object that is to stand where another version of something stands now.
struct Replacing<'a> {
    lake: &'a S3Lake,
    upload: &'a Upload<'a>,
    observer: &'a dyn Observer,
    key: String,
    etag: String,
    size: u64,
    manners: Manners,
}

/// Why it was not put there.
enum Failed {
    /// Something else stands there by now.
    Changed,
    Error(LakeError),
}

impl From<LakeError> for Failed {
    fn from(error: LakeError) -> Self {
        Self::Error(error)
    }
}

/// Replaces what is damaged; see [`crate::lake::AdminLake::replace`].
///
/// What stands there is read, whatever digest the server tells of it: the digest may be that of what was
/// sent once, and the bytes others.
pub(super) async fn replace(
    lake: &S3Lake,
    upload: &Upload<'_>,
    observer: &dyn Observer,
) -> Result<Replaced, LakeError> {
    let declared = match lake.known_declaration() {
        Some(declaration) => declaration.hash,
        None => lake.declaration()?.hash,
    };
    upload.check_hash(&lake.url, declared)?;
    let key = lake.key(upload.name);
    for _ in 0..ATTEMPTS {
        let Some(there) = head(lake, upload.name, &key).await? else {
            return put::put(lake, &[*upload], observer).remove(0).map(Replaced::Not);
        };
        if there.info.size == upload.size && is_same(lake, upload, observer)? {
            return Ok(Replaced::Not(Put::AlreadyThere(Proof::Content)));
        }
        let manners =
            manners::of(lake).await.map_err(|trouble| lake.error(trouble, Doing::Writing))?;
        let replacing = Replacing {
            lake,
            upload,
            observer,
            key: key.clone(),
            etag: there.etag.unwrap_or_default(),
            size: there.info.size,
            manners,
        };
        match replacing.run().await {
            Ok(aside) => return Ok(Replaced::Aside(format!("{}/{aside}", lake.url))),
            Err(Failed::Changed) => {}
            Err(Failed::Error(error)) => return Err(error),
        }
    }
    Err(LakeError::Busy { url: lake.url.clone(), after: None })
}

impl Replacing<'_> {
    async fn run(&self) -> Result<String, Failed> {
        if self.size > MAX_COPY_BYTES {
            return Err(self.not_kept("the server copies no more than 5 GiB at once").into());
        }
        if self.upload.size > self.lake.server.limits.part_bytes {
            return self.in_parts().await;
        }
        let size = usize::try_from(self.upload.size).expect("a part fits into memory");
        let (mut bytes, mut buffer) =
            (budget::Buffer::take(size).await, vec![0; COPY_BUFFER_BYTES.min(size + 1)]);
        let mut sink = Cursor::new(bytes.as_mut());
        let copied = self.upload.copy_to(&mut sink, &mut buffer, self.observer);
        copied.map_err(|error| match error {
            CopyError::Read(error) => self.upload.unreadable(error),
            CopyError::Write(_) | CopyError::Mismatch => self.upload.changed(),
            CopyError::Cancelled => LakeError::Cancelled,
        })?;
        let (digest, bytes) = (Oid::of(bytes.as_ref()), Bytes::from_owner(bytes));
        let aside = self.keep().await?;
        for condition in self.conditions() {
            let (lake, key, bytes) = (self.lake, &self.key, bytes.clone());
            match send(lake, key, bytes, &digest, self.manners, condition).await {
                Ok(()) => return Ok(aside),
                Err(trouble) => self.sort(trouble, condition)?,
            }
        }
        Err(Failed::Changed)
    }

    /// Sends parts, which are checked as a whole before they take anything's place.
    async fn in_parts(&self) -> Result<String, Failed> {
        let mut note = Note::take(self.lake, self.upload.name);
        note.abort(self.lake, &self.key).await;
        let begun = Parts::begin(self.lake, self.upload, &self.key, self.manners, &mut note).await;
        let result = match begun {
            Ok(mut parts) => {
                let result = self.send_parts(&mut parts).await;
                if result.is_err() {
                    parts.abort().await;
                }
                result
            }
            Err(error) => Err(error.into()),
        };
        note.forget();
        note.end();
        result
    }

    async fn send_parts(&self, parts: &mut Parts<'_>) -> Result<String, Failed> {
        parts.send(self.observer).await.map_err(|stop| match stop {
            Stop::Here(error) => error,
            Stop::There(trouble) => self.lake.error(trouble, Doing::Writing),
        })?;
        let aside = self.keep().await?;
        for condition in self.conditions() {
            match parts.complete(condition).await {
                Ok(()) => return Ok(aside),
                Err(trouble) => self.sort(trouble, condition)?,
            }
        }
        Err(Failed::Changed)
    }

    /// Returns what to ask for, best first.
    fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        let has_conditions = self.manners.conditions && !self.etag.is_empty();
        let best = has_conditions.then_some(Condition::Stands(&self.etag));
        best.into_iter().chain([Condition::None])
    }

    /// Passes over a server that does not take the condition.
    fn sort(&self, trouble: Trouble, condition: Condition<'_>) -> Result<(), Failed> {
        let is_conditional = matches!(condition, Condition::Stands(_));
        if is_conditional
            && (trouble.says(Refusal::is_precondition) || trouble.says(Refusal::is_conflict))
        {
            return Err(Failed::Changed);
        }
        if is_conditional && trouble.says(refuses_conditions) {
            return Ok(());
        }
        Err(Failed::Error(self.lake.error(trouble, Doing::Writing)))
    }

    /// Lets the server copy what stands there; returns the key of the copy, without the prefix.
    async fn keep(&self) -> Result<String, Failed> {
        if self.observer.is_cancelled() {
            return Err(LakeError::Cancelled.into());
        }
        let lake = self.lake;
        let (aside, key) = self.free_place().await?;
        let etag = (!self.etag.is_empty()).then(|| self.etag.clone());
        let copied = lake.host().call(|client| {
            copy(&client, (&lake.bucket, &self.key), (&lake.bucket, &key))
                .set_copy_source_if_match(etag.clone())
                .customize()
                .config_override(lake.timeouts_for(self.size))
                .send()
        });
        match copied.await {
            Ok(_) => Ok(aside),
            Err(trouble) if trouble.says(Refusal::is_precondition) => Err(Failed::Changed),
            Err(trouble) if trouble.says(Refusal::is_not_found) => Err(Failed::Changed),
            Err(trouble) => match lake.error(trouble, Doing::Writing) {
                error @ (LakeError::Busy { .. } | LakeError::Unreachable { .. }) => {
                    Err(error.into())
                }
                error => Err(self.not_kept(&with_cause(&error)).into()),
            },
        }
    }

    /// Returns a name aside that nothing has, and its key.
    async fn free_place(&self) -> Result<(String, String), LakeError> {
        let mut names = names_aside(self.upload.name);
        loop {
            let aside = names.next().expect("there are many names");
            let key = format!("{}{aside}", self.lake.prefix);
            if head(self.lake, self.upload.name, &key).await?.is_none() {
                return Ok((aside, key));
            }
        }
    }

    fn not_kept(&self, reason: &str) -> LakeError {
        let object = self.lake.url.source(self.upload.name.clone());
        LakeError::NotKept { object, reason: reason.into() }
    }
}

fn with_cause(error: &LakeError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
