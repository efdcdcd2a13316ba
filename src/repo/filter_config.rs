//! What git has to be told so that it calls git-lake.

use super::gitconfig::{ConfigFile, Error};

/// The keys with their values. `exec` spares a shell that would swallow signals.
/// The second driver merges the common ancestors of a history that crosses itself.
pub const KEYS: [(&str, &str); 9] = [
    ("filter.lake.process", "exec git-lake filter-process"),
    ("filter.lake.clean", "git-lake clean -- %f"),
    ("filter.lake.smudge", "git-lake smudge -- %f"),
    ("filter.lake.required", "true"),
    ("merge.lake.name", "git-lake pointers"),
    ("merge.lake.driver", "git-lake merge-driver %O %A %B %P"),
    ("merge.lake.recursive", "lake-ancestor"),
    ("merge.lake-ancestor.name", "git-lake pointers of common ancestors"),
    ("merge.lake-ancestor.driver", "git-lake merge-driver --ancestor %O %A %B %P"),
];

/// Writes the filter configuration into a file; writing it again changes nothing.
///
/// # Errors
/// If the file cannot be written.
pub fn write(config: &mut ConfigFile) -> Result<(), Error> {
    for (key, value) in KEYS {
        if config.get(key)?.as_deref() != Some(value) {
            config.set(key, value)?;
        }
    }
    Ok(())
}
