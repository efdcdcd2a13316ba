//! A folder's declaration, `<base>/.pl/tags.json`, in the form that pipelime reads and writes.
//!
//! One JSON object. `__HASH_FN__` names the hash, `__LAKE_ID__` the lake; other keys belong to others
//! and are kept byte for byte. A file that is not understood is never rewritten, since whoever
//! guesses its hash mixes two kinds of names in one folder.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::declaration::{HASH_KEY, ID_KEY};
use super::{Creation, Declaration, LakeError, LakeId, Obstacle, declaration};
use crate::digest::HashName;
use crate::fs::{self, IoContext as _, PathError, Shared, platform, sync};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;

/// The folder for a lake's settings, in the lake's own folder.
pub(super) const SETTINGS_FOLDER: &str = ".pl";
/// Longer files are no declaration.
const MAX_TAGS_BYTES: u64 = 64 << 10;
/// How long another process may hold the file while it adds an id.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a tags file says; either part may be missing.
struct Tags {
    text: String,
    hash: Option<HashName>,
    id: Option<LakeId>,
}

/// Reads the declaration of the lake `url`, which is kept in `folder`.
///
/// # Errors
/// [`LakeError::Unreachable`] without a folder or a declaration in it, [`LakeError::UnknownHash`],
/// [`LakeError::DamagedTags`].
pub(super) fn read(url: &LakeUrl, folder: &Path) -> Result<Declaration, LakeError> {
    let obstacle = match load(url, folder)? {
        Some(Tags { hash: Some(hash), id, .. }) => {
            return Ok(Declaration { hash, id, assumed: None });
        }
        None if !folder.is_dir() => Obstacle::NoFolder,
        _ => Obstacle::NotDeclared,
    };
    Err(LakeError::Unreachable { url: url.clone(), obstacle })
}

/// Declares the lake `url`; see [`super::AdminLake::declare`].
pub(super) fn declare(
    url: &LakeUrl,
    folder: &Path,
    wanted: Option<HashName>,
    creation: Creation,
) -> Result<Declaration, LakeError> {
    if std::fs::metadata(folder).is_ok_and(|found| !found.is_dir()) {
        let error = io::Error::other("it is a file, and a lake is a folder");
        return Err(LakeError::Io(Arc::new(PathError { path: folder.to_owned(), source: error })));
    }
    let found = load(url, folder)?;
    let declared = found.as_ref().and_then(|tags| tags.hash);
    let hash = declaration::settle_hash(url, declared, wanted)?;
    if declared.is_none() {
        create_folders(url, folder, creation)?;
        refuse_other_names(url, folder, hash)?;
    }
    if found.is_none() {
        write_first(folder, hash).map_err(|error| LakeError::writing(url, error))?;
    }
    complete(url, folder, wanted)
}

/// Adds what is missing to a tags file that exists, and returns what it says in the end.
///
/// The lock is on the file that is replaced. Who gets it late holds the old one, but then reads the
/// new one and has nothing left to add.
fn complete(
    url: &LakeUrl,
    folder: &Path,
    wanted: Option<HashName>,
) -> Result<Declaration, LakeError> {
    let path = tags_path(folder);
    let lock = lock(&path);
    let tags = load(url, folder)?.ok_or_else(|| LakeError::Unreachable {
        url: url.clone(),
        obstacle: Obstacle::NotDeclared,
    })?;
    let hash = declaration::settle_hash(url, tags.hash, wanted)?;
    let id = tags.id.clone().unwrap_or_else(LakeId::random);
    let mut text = tags.text;
    if tags.hash.is_none() {
        text = insert(&text, HASH_KEY, hash.as_str());
    }
    if tags.id.is_none() {
        text = insert(&text, ID_KEY, id.as_str());
    }
    let written = match (tags.hash, &tags.id) {
        (Some(_), Some(_)) => Ok(()),
        _ => fs::write_atomic(&path, text.as_bytes(), Shared::Yes),
    };
    drop(lock);
    match written {
        Ok(()) => Ok(Declaration { hash, id: Some(id), assumed: None }),
        // The id is a convenience: a lake that only others may write to does without.
        Err(_) if tags.hash.is_some() => Ok(Declaration { hash, id: None, assumed: None }),
        Err(error) => Err(LakeError::writing(url, error)),
    }
}

/// Keeps other processes from completing the same file; `None` where that cannot be had.
///
/// Without the lock two ids may be written one after the other, and a receipt bound to the first one
/// is asked for again.
fn lock(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if fs::try_lock(&file, path).ok()? {
            return Some(file);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Writes a new tags file, durable on return; one that somebody else wrote meanwhile stays.
fn write_first(folder: &Path, hash: HashName) -> Result<(), PathError> {
    let path = tags_path(folder);
    let settings = folder.join(SETTINGS_FOLDER);
    let above = std::fs::metadata(folder).context(folder)?;
    platform::create_shared_folder(&settings, &above).context(&settings)?;
    let text = insert("{}", HASH_KEY, hash.as_str());
    let text = insert(&text, ID_KEY, LakeId::random().as_str());
    let mut staged = fs::stage(&settings, Shared::Yes)?;
    staged.write_all(text.as_bytes()).context(&path)?;
    // Only the user's own groups can be given; the others can still read.
    drop(platform::adopt_group(staged.as_file(), &above));
    staged.as_file().sync_all().context(&path)?;
    match staged.persist_noclobber(&path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error).context(&path),
    }
    sync::folder(&settings)?;
    sync::folder(folder)
}

fn create_folders(url: &LakeUrl, folder: &Path, creation: Creation) -> Result<(), LakeError> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.is_dir()).collect();
    let created = match creation {
        Creation::WithParents => std::fs::create_dir_all(folder),
        Creation::IfParentExists if missing.len() > 1 => {
            let path = folder.to_owned();
            return Err(LakeError::NoParent { path });
        }
        Creation::IfParentExists => match std::fs::create_dir(folder) {
            Err(_) if folder.is_dir() => Ok(()),
            other => other,
        },
    };
    let sync_above = |path: &Path| sync::folder(path.parent().unwrap_or(path));
    created
        .context(folder)
        .and_then(|()| missing.into_iter().try_for_each(sync_above))
        .map_err(|error| LakeError::writing(url, error))
}

/// Looks for objects whose digests have another length than those of `hash`.
fn refuse_other_names(url: &LakeUrl, folder: &Path, hash: HashName) -> Result<(), LakeError> {
    let reading = |error| LakeError::reading(url, error);
    for entry in std::fs::read_dir(folder).context(folder).map_err(reading)? {
        let entry = entry.context(folder).map_err(reading)?;
        let name = entry.file_name();
        let Some(Ok(name)) = name.to_str().map(ObjectName::parse) else {
            continue;
        };
        if name.hex().len() != hash.hex_len() {
            return Err(LakeError::OtherHashInUse {
                url: url.clone(),
                wanted: hash,
                example: name,
            });
        }
    }
    Ok(())
}

fn tags_path(folder: &Path) -> PathBuf {
    folder.join(SETTINGS_FOLDER).join("tags.json")
}

fn load(url: &LakeUrl, folder: &Path) -> Result<Option<Tags>, LakeError> {
    let path = tags_path(folder);
    let bytes = match fs::read_small_regular(&path, MAX_TAGS_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.source.kind() == ErrorKind::FileTooLarge => {
            return Err(damaged(url, "it is too long"));
        }
        Err(error) => return Err(LakeError::reading(url, error)),
    };
    bytes.map(|bytes| parse(url, bytes)).transpose()
}

fn parse(url: &LakeUrl, bytes: Vec<u8>) -> Result<Tags, LakeError> {
    let text = String::from_utf8(bytes).map_err(|_| damaged(url, "it is not UTF-8"))?;
    let keys: Map<String, Value> =
        serde_json::from_str(&text).map_err(|_| damaged(url, "it is no JSON object"))?;
    let value = |key: &str| match keys.get(key) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.as_str())),
        Some(_) => Err(damaged(url, &format!("`{key}` is no text"))),
    };
    let hash = value(HASH_KEY)?.map(str::parse).transpose();
    let hash = hash.map_err(|source| LakeError::UnknownHash { url: url.clone(), source })?;
    let id = value(ID_KEY)?.map(str::parse).transpose();
    let id = id.map_err(|_| damaged(url, &format!("`{ID_KEY}` is no lake id")))?;
    Ok(Tags { text, hash, id })
}

fn damaged(url: &LakeUrl, reason: &str) -> LakeError {
    LakeError::DamagedTags { url: url.clone(), reason: reason.to_owned() }
}

/// Adds a key to the text of a JSON object that does not have it, in Python's `json.dump` style.
fn insert(object: &str, key: &str, value: &str) -> String {
    let (head, tail) = object.split_at(object.rfind('}').unwrap_or(object.len()));
    let head = head.trim_end();
    let separator = if head.ends_with('{') { "" } else { ", " };
    format!("{head}{separator}\"{key}\": \"{value}\"{tail}")
}
