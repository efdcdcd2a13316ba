//! The environment, read in one place.

use std::ffi::OsString;
use std::path::PathBuf;

/// Returns a variable that is set, not empty and Unicode.
pub fn text(name: &str) -> Option<String> {
    path(name).and_then(|value| value.into_os_string().into_string().ok())
}

/// Returns a variable that is set and not empty, as a path.
pub fn path(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    let value: Option<OsString> = std::env::var_os(name);
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns true if a variable is set to anything but nothing, `0`, `false`, `no` or `off`.
pub fn is_on(name: &str) -> bool {
    text(name).is_some_and(|value| {
        !["0", "false", "no", "off"].contains(&value.to_ascii_lowercase().as_str())
    })
}

/// Returns the user's home folder.
pub fn home() -> Option<PathBuf> {
    path("HOME").or_else(|| path("USERPROFILE"))
}

/// Returns the folder for a user's data: `XDG_DATA_HOME`, else below the home folder.
pub fn data_folder() -> Option<PathBuf> {
    path("XDG_DATA_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| path("LOCALAPPDATA"))
        .or_else(|| home().map(|home| home.join(".local").join("share")))
}
