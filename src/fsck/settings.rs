//! Which remotes a range of commits changes: whoever takes it in sends data to other places. Pure.

use crate::config::file::{Remote, Settings};
use crate::lake_url::LakeUrl;

/// What happened to a remote of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(LakeUrl),
    /// It is gone.
    Removed(LakeUrl),
    /// Its name stands for another address.
    Moved(LakeUrl, LakeUrl),
    /// These options have other values.
    Options(Vec<&'static str>),
}

/// A remote that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteChange {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub change: Change,
}

/// Compares the remotes of two settings, by their names.
pub fn compare(old: &Settings, new: &Settings) -> Vec<RemoteChange> {
    let named = |settings: &'_ Settings, name: &str| -> Option<Remote> {
        settings.remotes.iter().find(|remote| remote.name == name).cloned()
    };
    let mut changes = Vec::new();
    let mut note =
        |name: &str, change| changes.push(RemoteChange { name: name.to_owned(), change });
    for before in &old.remotes {
        let Some(after) = named(new, &before.name) else {
            note(&before.name, Change::Removed(before.url.clone()));
            continue;
        };
        if before.url != after.url {
            note(&before.name, Change::Moved(before.url.clone(), after.url.clone()));
        }
        let options = options(before, &after);
        if !options.is_empty() {
            note(&before.name, Change::Options(options));
        }
    }
    for after in new.remotes.iter().filter(|after| named(old, &after.name).is_none()) {
        note(&after.name, Change::Added(after.url.clone()));
    }
    changes
}

/// Returns the options in which two remotes differ.
fn options(old: &Remote, new: &Remote) -> Vec<&'static str> {
    let table = [
        ("upload", old.upload != new.upload),
        ("required", old.required != new.required),
        ("hash", old.hash != new.hash),
        ("paths", old.paths != new.paths),
        ("local", old.local != new.local),
        ("region", old.region != new.region),
        ("secure", old.secure != new.secure),
    ];
    table.into_iter().filter(|(_, differs)| *differs).map(|(option, _)| option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Unknown;

    #[test]
    fn remotes_come_go_move_and_change() {
        let parse = |remotes: &str| {
            let text = format!("version = 1\n{remotes}");
            Settings::parse(&text, Unknown::Refuse).expect("settings")
        };
        let remote = |name: &str, url: &str, more: &str| {
            format!("[[remote]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
        };
        let old = [
            remote("gone", "file:///gone", ""),
            remote("moved", "file:///here", ""),
            remote("same", "s3://h/same", "required = true"),
            remote("other", "s3://h/other", ""),
        ];
        let new = [
            remote("same", "s3://h/same", "required = true"),
            remote("moved", "s3://evil.example.com/here", "secure = false"),
            remote("other", "s3://h/other", "upload = false\npaths = [\"x\"]"),
            remote("new", "file:///new", ""),
        ];
        let url = |text: &str| LakeUrl::parse(text).expect("an address");
        let changes = compare(&parse(&old.concat()), &parse(&new.concat()));
        let expected = [
            ("gone", Change::Removed(url("file:///gone"))),
            ("moved", Change::Moved(url("file:///here"), url("s3://evil.example.com/here"))),
            ("moved", Change::Options(vec!["secure"])),
            ("other", Change::Options(vec!["upload", "paths"])),
            ("new", Change::Added(url("file:///new"))),
        ];
        let expected =
            expected.map(|(name, change)| RemoteChange { name: name.to_owned(), change });
        assert_eq!(changes, expected);
        assert_eq!(compare(&parse(&old.concat()), &parse(&old.concat())), []);
    }
}
