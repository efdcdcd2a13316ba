//! What is in a bucket: page by page, or only where somebody wants to know.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::failure::{Doing, Trouble};
use super::runtime::block_on;
use super::{S3Lake, seconds};
use crate::lake::tags::SETTINGS_FOLDER;
use crate::lake::{ASIDE_FOLDER, Found, LakeError, Listing, ObjectInfo, Survey};
use crate::object_name::ObjectName;

/// A page of up to a thousand names has to answer at least so many questions, else each is asked alone.
const WORTH_A_PAGE: usize = 16;
/// Single questions at once.
const QUESTIONS_AT_ONCE: usize = 16;
/// Parts of the lake that are listed at once.
const LISTED_AT_ONCE: usize = 8;

/// A page of a listing, in the order of names.
pub(super) struct Page {
    pub(super) objects: Vec<(ObjectName, ObjectInfo)>,
    /// What else lies there, but for what is the lake's own.
    foreign: Vec<ObjectInfo>,
    /// The last key, object or not; where the next page begins. `None` if this is the last page.
    next: Option<String>,
}

/// Lists up to a thousand names behind the key `after`.
pub(super) async fn page(lake: &S3Lake, after: Option<&str>) -> Result<Page, Trouble> {
    let listed = lake.host().call(|client| {
        client
            .list_objects_v2()
            .bucket(&lake.bucket)
            .set_prefix((!lake.prefix.is_empty()).then(|| lake.prefix.clone()))
            .set_start_after(after.map(str::to_owned))
            .send()
    });
    let output = listed.await?;
    let is_last = !output.is_truncated().unwrap_or(false);
    let (mut objects, mut foreign, mut last) = (Vec::new(), Vec::new(), None);
    for entry in output.contents() {
        let Some(key) = entry.key() else { continue };
        last = Some(key.to_owned());
        let Some(key) = key.strip_prefix(&lake.prefix) else { continue };
        let Some(size) = entry.size().and_then(|size| u64::try_from(size).ok()) else { continue };
        let info = ObjectInfo { size, modified: entry.last_modified().and_then(seconds) };
        match ObjectName::parse(key) {
            Ok(name) => objects.push((name, info)),
            Err(_) if is_own(key) => {}
            Err(_) => foreign.push(info),
        }
    }
    let goes_on = last.as_deref() > after;
    match (is_last, goes_on) {
        (true, _) => Ok(Page { objects, foreign, next: None }),
        (false, true) => Ok(Page { objects, foreign, next: last }),
        // Whoever asked for what is behind it would ask for ever.
        (false, false) => Err(Trouble::Settings("The server's listing does not go on".into())),
    }
}

/// Returns true if what lies under a key, without the lake's prefix, is the lake's own.
fn is_own(key: &str) -> bool {
    let folder = key.split('/').next().unwrap_or_default();
    [SETTINGS_FOLDER, ASIDE_FOLDER].contains(&folder)
}

/// Lists all objects; see [`crate::lake::ReadLake::list`].
pub(super) fn list(lake: &S3Lake) -> Result<Listing, LakeError> {
    let objects = |page: Page| page.objects.into_iter().map(Ok).collect::<Vec<_>>();
    Ok(Box::new(
        pages(lake)?.flat_map(move |page| page.map_or_else(|error| vec![Err(error)], objects)),
    ))
}

/// Lists all that is there; see [`crate::lake::AdminLake::survey`].
pub(super) fn survey(lake: &S3Lake) -> Result<Survey, LakeError> {
    let all = |page: Page| {
        let objects = page.objects.into_iter().map(|(name, info)| Found::Object(name, info));
        objects.chain(page.foreign.into_iter().map(Found::Foreign)).map(Ok).collect::<Vec<_>>()
    };
    Ok(Box::new(pages(lake)?.flat_map(move |page| page.map_or_else(|error| vec![Err(error)], all))))
}

/// Lists page by page; nothing comes after an error.
fn pages(
    lake: &S3Lake,
) -> Result<impl Iterator<Item = Result<Page, LakeError>> + Send + use<>, LakeError> {
    let looking = |lake: &S3Lake, trouble| lake.error(trouble, Doing::Looking);
    let first = block_on(page(lake, None)).map_err(|trouble| looking(lake, trouble))?;
    let (lake, mut next) = (lake.clone(), Some(Ok(first)));
    Ok(std::iter::from_fn(move || {
        let current: Result<Page, LakeError> = next.take()?;
        if let Ok(Page { next: Some(after), .. }) = &current {
            let read = block_on(page(&lake, Some(after)));
            next = Some(read.map_err(|trouble| looking(&lake, trouble)));
        }
        Some(current)
    }))
}

/// One answer for each of the names.
type Answer = (usize, Result<Option<ObjectInfo>, LakeError>);

/// Answers for many objects; see [`crate::lake::ReadLake::stat_all`].
///
/// Digests are spread evenly, so where many are wanted a page of the listing answers many questions;
/// as soon as one does not, the rest is asked one by one.
pub(super) async fn stat_all(
    lake: &S3Lake,
    names: &[ObjectName],
) -> Vec<Result<Option<ObjectInfo>, LakeError>> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|a, b| names[*a].cmp(&names[*b]));
    let shards = order.chunk_by(|a, b| names[*a].hex().get(..1) == names[*b].hex().get(..1));
    let answered = stream::iter(shards.map(|shard| list_shard(lake, names, shard)));
    let answered: Vec<_> = answered.buffer_unordered(LISTED_AT_ONCE).collect().await;
    let (mut answers, mut open) = (Vec::new(), Vec::new());
    for (known, rest) in answered {
        answers.extend(known);
        open.extend(rest);
    }
    let asked = stream::iter(open.into_iter().map(|at| ask(lake, names, at)));
    answers.extend(asked.buffer_unordered(QUESTIONS_AT_ONCE).collect::<Vec<_>>().await);
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(lake: &S3Lake, names: &[ObjectName], at: usize) -> Answer {
    let name = &names[at];
    let head = lake.head(&lake.key(name)).await;
    let head = head.map_err(|trouble| lake.error(trouble, Doing::Reading(name)));
    (at, head.map(|head| head.map(|head| head.info)))
}

/// Answers by listing as long as that is worth it; returns the answers and what is still open.
async fn list_shard(
    lake: &S3Lake,
    names: &[ObjectName],
    mut wanted: &[usize],
) -> (Vec<Answer>, Vec<usize>) {
    let mut answers = Vec::new();
    while wanted.len() >= WORTH_A_PAGE {
        let key = lake.key(&names[wanted[0]]);
        // The longest text that is certainly before the first name.
        let Ok(page) = page(lake, key.get(..key.len() - 1)).await else { break };
        let end = match &page.next {
            Some(last) => wanted.partition_point(|at| lake.key(&names[*at]) <= *last),
            None => wanted.len(),
        };
        let there: HashMap<ObjectName, ObjectInfo> = page.objects.into_iter().collect();
        let (answered, rest) = wanted.split_at(end);
        answers.extend(answered.iter().map(|at| (*at, Ok(there.get(&names[*at]).copied()))));
        wanted = rest;
        if end < WORTH_A_PAGE {
            break;
        }
    }
    (answers, wanted.to_vec())
}
