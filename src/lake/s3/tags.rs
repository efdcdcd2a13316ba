//! A bucket's declaration, in its tags, in the form that pipelime reads and writes.
//!
//! Tags are written only after they were read, and others are kept. They cannot be written under a
//! condition; so that several first declarations at once agree, whoever declares first leaves an
//! object, `.pl/declaration`, that the others then follow. A bucket has one declaration, whatever
//! prefixes lakes have in it.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Tag, Tagging};
use bytes::Bytes;

use super::failure::{Doing, Refusal, Trouble};
use super::request::{Condition, Manners, send};
use super::{S3Lake, listing};
use crate::digest::HashName;
use crate::lake::declaration::{HASH_KEY, ID_KEY, settle_hash};
use crate::lake::{Creation, Declaration, LakeError, LakeId};
use crate::lake_url::LakeUrl;
use crate::oid::Oid;

/// What the first declaration leaves, at the root of the bucket: `<hash> <id>`.
const FIRST: &str = ".pl/declaration";
/// Longer ones are not ours.
const MAX_FIRST_BYTES: u64 = 1 << 10;

/// What a bucket's tags say.
pub(super) enum Tags {
    /// They were read; there may be none.
    Known(BTreeMap<String, String>),
    /// They may not be read, or the server has none.
    Unreadable(Box<str>),
}

impl Tags {
    /// Returns the declaration that they amount to.
    pub(super) fn declaration(&self, url: &LakeUrl) -> Result<Declaration, LakeError> {
        let assume = |why: &str| {
            Ok(Declaration { hash: HashName::Sha256, id: None, assumed: Some(why.into()) })
        };
        let tags = match self {
            Self::Known(tags) => tags,
            Self::Unreadable(why) => return assume(why),
        };
        let id = tags.get(ID_KEY).and_then(|id| id.parse::<LakeId>().ok());
        match hash(url, tags)? {
            Some(hash) => Ok(Declaration { hash, id, assumed: None }),
            None => assume("it declares nothing"),
        }
    }
}

fn hash(url: &LakeUrl, tags: &BTreeMap<String, String>) -> Result<Option<HashName>, LakeError> {
    let parse = |name: &String| {
        name.parse().map_err(|source| LakeError::UnknownHash { url: url.clone(), source })
    };
    tags.get(HASH_KEY).map(parse).transpose()
}

/// Reads the bucket's tags.
pub(super) async fn read(lake: &S3Lake) -> Result<Tags, Trouble> {
    let read = lake.host().call(|client| client.get_bucket_tagging().bucket(&lake.bucket).send());
    match read.await {
        Ok(output) => {
            let pairs = output.tag_set().iter();
            let pairs = pairs.map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
            Ok(Tags::Known(pairs.collect()))
        }
        // Ceph and CubeFS write it in the longer way.
        Err(trouble)
            if trouble
                .says(|refusal| matches!(&*refusal.code, "NoSuchTagSet" | "NoSuchTagSetError")) =>
        {
            Ok(Tags::Known(BTreeMap::new()))
        }
        Err(trouble) if trouble.says(Refusal::is_nowhere) => {
            Err(Trouble::Settings("What answers there does not speak S3".into()))
        }
        Err(trouble) if trouble.says(is_without_tags) => {
            let refusal = trouble.refusal().expect("it says something");
            let code = if refusal.code.is_empty() { "nothing" } else { &refusal.code };
            Ok(Tags::Unreadable(format!("its tags cannot be read (`{code}`)").into()))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Returns true for the answers of servers without bucket tags, and to users who may not see them.
fn is_without_tags(refusal: &Refusal) -> bool {
    !refusal.is_wrong_keys()
        && !refusal.had_wrong_keys
        && !refusal.is_no_bucket()
        && (refusal.is_denied() || refusal.is_unsupported() || refusal.is_not_found())
}

/// Declares the bucket; see [`crate::lake::AdminLake::declare`].
pub(super) async fn declare(
    lake: &S3Lake,
    wanted: Option<HashName>,
    creation: Creation,
) -> Result<Declaration, LakeError> {
    let looking = |trouble| lake.error(trouble, Doing::Looking);
    let mut read_tags = read(lake).await;
    if creation == Creation::WithParents
        && read_tags.as_ref().is_err_and(|trouble| trouble.says(Refusal::is_no_bucket))
    {
        create_bucket(lake).await.map_err(|trouble| lake.error(trouble, Doing::Writing))?;
        read_tags = read(lake).await;
    }
    let tags = match read_tags.map_err(looking)? {
        Tags::Known(tags) => tags,
        unreadable @ Tags::Unreadable(_) => {
            settle_hash(&lake.url, Some(HashName::Sha256), wanted)?;
            return unreadable.declaration(&lake.url);
        }
    };
    let declared = hash(&lake.url, &tags)?;
    let hash = settle_hash(&lake.url, declared, wanted)?;
    if declared.is_some() && tags.contains_key(ID_KEY) {
        return Tags::Known(tags).declaration(&lake.url);
    }
    if declared.is_none() {
        refuse_other_names(lake, hash).await?;
    }
    let (hash, id) = agree(lake, hash, wanted).await?;
    match write(lake, tags.clone(), hash, &id).await {
        Ok(()) => {
            let now = read(lake).await.map_err(looking)?;
            now.declaration(&lake.url)
        }
        // A lake whose tags only others may write does without an id.
        Err(_) if declared.is_some() => Ok(Declaration { hash, id: None, assumed: None }),
        Err(trouble) if trouble.says(is_without_tags) => {
            settle_hash(&lake.url, Some(HashName::Sha256), wanted)?;
            let why = "its tags cannot be written".into();
            Ok(Declaration { hash: HashName::Sha256, id: None, assumed: Some(why) })
        }
        Err(trouble) => Err(lake.error(trouble, Doing::Writing)),
    }
}

async fn create_bucket(lake: &S3Lake) -> Result<(), Trouble> {
    let region = lake.host().region_for_new_buckets();
    let created = lake.host().call(|client| {
        let place = region.as_deref().map(|region| {
            let place = BucketLocationConstraint::from(region);
            CreateBucketConfiguration::builder().location_constraint(place).build()
        });
        client.create_bucket().bucket(&lake.bucket).set_create_bucket_configuration(place).send()
    });
    match created.await {
        Ok(_) => Ok(()),
        Err(trouble) if trouble.says(|refusal| &*refusal.code == "BucketAlreadyOwnedByYou") => {
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

/// Makes sure that no objects are there that a lake of this hash cannot have.
async fn refuse_other_names(lake: &S3Lake, wanted: HashName) -> Result<(), LakeError> {
    // The first page tells: whoever filled the lake used one hash.
    let page = listing::page(lake, None).await;
    let page = page.map_err(|trouble| lake.error(trouble, Doing::Looking))?;
    let other = page.objects.into_iter().find(|(name, _)| name.hex().len() != wanted.hex_len());
    match other {
        Some((example, _)) => {
            Err(LakeError::OtherHashInUse { url: lake.url.clone(), wanted, example })
        }
        None => Ok(()),
    }
}

/// Returns the hash and id of whoever declares first, which may be this call.
async fn agree(
    lake: &S3Lake,
    hash: HashName,
    wanted: Option<HashName>,
) -> Result<(HashName, LakeId), LakeError> {
    let own = (hash, LakeId::random());
    let content = Bytes::from(format!("{} {}\n", own.0.as_str(), own.1));
    let digest = Oid::of(&content);
    let manners = Manners { conditions: true, checksums: true };
    if let Some((first, id)) = read_first(lake).await {
        return Ok((settle_hash(&lake.url, Some(first), wanted)?, id));
    }
    let sent = send(lake, FIRST, content, &digest, manners, Condition::Free).await;
    match sent {
        Err(trouble)
            if trouble.says(Refusal::is_precondition) || trouble.says(Refusal::is_conflict) =>
        {
            match read_first(lake).await {
                Some((first, id)) => Ok((settle_hash(&lake.url, Some(first), wanted)?, id)),
                None => Ok(own),
            }
        }
        // Whether it could be left or not, the tags are what counts.
        _ => Ok(own),
    }
}

async fn read_first(lake: &S3Lake) -> Option<(HashName, LakeId)> {
    let read =
        lake.host().call(|client| client.get_object().bucket(&lake.bucket).key(FIRST).send());
    let output = read.await.ok()?;
    let length = output.content_length().and_then(|length| u64::try_from(length).ok())?;
    if length > MAX_FIRST_BYTES {
        return None;
    }
    // The body comes after the request has ended in time.
    let patience = lake.server.limits.stall;
    let bytes =
        tokio::time::timeout(patience, output.body.collect()).await.ok()?.ok()?.into_bytes();
    let text = std::str::from_utf8(&bytes).ok()?;
    let (hash, id) = text.trim_end().split_once(' ')?;
    Some((hash.parse().ok()?, id.parse().ok()?))
}

async fn write(
    lake: &S3Lake,
    mut tags: BTreeMap<String, String>,
    hash: HashName,
    id: &LakeId,
) -> Result<(), Trouble> {
    tags.insert(HASH_KEY.to_owned(), hash.as_str().to_owned());
    tags.insert(ID_KEY.to_owned(), id.to_string());
    let set: Result<Vec<Tag>, _> =
        tags.into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let tagging = set.and_then(|set| Tagging::builder().set_tag_set(Some(set)).build());
    let tagging = tagging.expect("all parts of the tags are given");
    let written = lake.host().call(|client| {
        client.put_bucket_tagging().bucket(&lake.bucket).tagging(tagging.clone()).send()
    });
    written.await.map(|_| ())
}
