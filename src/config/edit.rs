//! Changing `.gitlake.toml` in place: comments and order stay.

use std::collections::BTreeSet;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

use super::file::{Remote, Settings, SettingsError, Unknown, VERSION};
use crate::digest::HashName;
use crate::lake_url::LakeUrl;

const NO_TABLES: SettingsError =
    SettingsError::Type { key: "remote", expected: "`[[remote]]` tables" };

/// Adds a remote to the text of a settings file; comments and order stay.
///
/// # Errors
/// If the text is no settings file, or has a remote of that name or address.
pub fn add_remote(text: &str, remote: &Remote) -> Result<String, SettingsError> {
    Settings::parse(text, Unknown::Refuse)
        .or_else(|error| match error {
            SettingsError::NoVersion if text.trim().is_empty() => Ok(Settings::default()),
            other => Err(other),
        })?
        .check_unique(remote.clone())?;
    let syntax = |error: toml_edit::TomlError| SettingsError::Syntax(error.to_string());
    let mut document: DocumentMut = text.parse().map_err(syntax)?;
    if document.get("version").is_none() {
        document.insert("version", value(VERSION));
    }
    let mut table = Table::new();
    table.insert("name", value(&remote.name));
    table.insert("url", value(remote.url.to_string()));
    if let Some(region) = &remote.region {
        table.insert("region", value(region));
    }
    if let Some(secure) = remote.secure {
        table.insert("secure", value(secure));
    }
    let mut set_flag = |key: &str, flag: bool, default: bool| {
        if flag != default {
            table.insert(key, value(flag));
        }
    };
    set_flag("upload", remote.upload, true);
    set_flag("required", remote.required, false);
    set_flag("local", remote.local, false);
    if remote.hash != HashName::Sha256 {
        table.insert("hash", value(remote.hash.as_str()));
    }
    if let Some(paths) = &remote.paths {
        table.insert("paths", value(paths.texts().map(str::to_owned).collect::<Array>()));
    }
    match document.entry("remote").or_insert(Item::ArrayOfTables(ArrayOfTables::new())) {
        Item::ArrayOfTables(tables) => tables.push(table),
        Item::Value(Value::Array(list)) => list.push(table.into_inline_table()),
        _ => return Err(NO_TABLES),
    }
    Ok(document.to_string())
}

/// Takes the remotes at these addresses out of the text of a settings file; all else stays.
///
/// # Errors
/// If the text is no settings file.
pub fn remove_remotes(text: &str, lakes: &BTreeSet<LakeUrl>) -> Result<String, SettingsError> {
    let settings = Settings::parse(text, Unknown::Refuse)?;
    let gone: Vec<&str> = settings
        .remotes
        .iter()
        .filter(|remote| lakes.contains(&remote.url))
        .map(|remote| remote.name.as_str())
        .collect();
    if gone.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| SettingsError::Syntax(error.to_string()))?;
    let stays = |name: Option<&str>| name.is_none_or(|name| !gone.contains(&name));
    match document.get_mut("remote") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.retain(|table| stays(table.get("name").and_then(Item::as_str)));
        }
        Some(Item::Value(Value::Array(list))) => list.retain(|remote| {
            let table = remote.as_inline_table();
            stays(table.and_then(|table| table.get("name")).and_then(Value::as_str))
        }),
        _ => return Err(NO_TABLES),
    }
    Ok(document.to_string())
}

/// Merges three versions of a settings file by the names of remotes: ours, with what theirs added and
/// without what theirs removed; comments and order of ours stay.
///
/// Returns `None` if a remote was changed differently on both sides, or removed on one and changed on
/// the other, if a version is no settings file, or if its remotes are no `[[remote]]` tables.
pub fn merge(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let parse = |text: &str| match text.trim() {
        "" => Some(Vec::new()),
        _ => Settings::parse(text, Unknown::Refuse).ok().map(|settings| settings.remotes),
    };
    let (base, our_remotes, their_remotes) = (parse(base)?, parse(ours)?, parse(theirs)?);
    let by_name =
        |remotes: &[Remote], name: &str| remotes.iter().find(|remote| remote.name == name).cloned();
    let mut document: DocumentMut = ours.parse().ok()?;
    let their_document: DocumentMut = theirs.parse().ok()?;
    let table_of = |name: &str| {
        let tables = their_document.get("remote")?.as_array_of_tables()?;
        let named = |table: &&Table| table.get("name").and_then(Item::as_str) == Some(name);
        let mut table = tables.iter().find(named)?.clone();
        // Its place in their file means nothing in ours.
        table.set_position(None);
        Some(table)
    };
    let names = base.iter().chain(&their_remotes).map(|remote| remote.name.as_str());
    let mut seen = std::collections::BTreeSet::new();
    for name in names.filter(|name| seen.insert(*name)) {
        let before = by_name(&base, name);
        let (we, they) = (by_name(&our_remotes, name), by_name(&their_remotes, name));
        if they == before || they == we {
            continue;
        }
        if we != before {
            return None;
        }
        let entry = document.entry("remote").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let tables = entry.as_array_of_tables_mut()?;
        let at =
            tables.iter().position(|table| table.get("name").and_then(Item::as_str) == Some(name));
        match (at, they.is_some()) {
            (Some(at), true) => *tables.get_mut(at)? = table_of(name)?,
            (Some(at), false) => drop(tables.remove(at)),
            (None, true) => tables.push(table_of(name)?),
            (None, false) => {}
        }
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "version = 1\n\n# ours\n[[remote]]\nname = \"team\" # keep\nurl = \"file:///mnt/lake\"\n\
                       [[remote]]\nname = \"nas\"\nurl = \"s3://h:9000/b\"\nupload = false\nhash = \"blake2b\"\npaths = [\"train/**\"]\n";

    #[test]
    fn remotes_are_taken_out_and_nothing_else() {
        let lake = |text| LakeUrl::parse(text).expect("an address");
        let lakes = BTreeSet::from([lake("s3://h:9000/b"), lake("file:///not/there")]);
        let text = remove_remotes(TWO, &lakes).expect("settings");
        assert!(text.contains("# ours") && text.contains("# keep"), "{text}");
        let settings = Settings::parse(&text, Unknown::Refuse).expect("settings");
        assert_eq!(settings.remotes.len(), 1);
        assert_eq!(remove_remotes(&text, &lakes).expect("settings"), text);
        assert!(remove_remotes("version = ", &lakes).is_err());
    }

    #[test]
    fn remotes_in_one_line_are_added_and_taken_out() {
        let text = "version = 1\nremote = [{ name = \"a\", url = \"file:///a\" }] # ours\n";
        let url = LakeUrl::parse("file:///b").expect("an address");
        let added = add_remote(text, &Remote::new("b".into(), url)).expect("adds");
        let names = |text: &str| {
            let settings = Settings::parse(text, Unknown::Refuse).expect("settings");
            settings.remotes.into_iter().map(|remote| remote.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&added), ["a", "b"], "{added}");
        let lakes = BTreeSet::from([LakeUrl::parse("file:///a").expect("an address")]);
        let removed = remove_remotes(&added, &lakes).expect("settings");
        assert_eq!(names(&removed), ["b"], "{removed}");
        assert!(removed.contains("# ours"), "{removed}");
    }

    #[test]
    fn a_remote_is_added_in_place() {
        let url = LakeUrl::parse("file:///new").expect("an address");
        let mut remote = Remote::new("new".into(), url);
        remote.local = true;
        (remote.region, remote.secure) = (Some("eu-west-1".into()), Some(false));
        let text = add_remote(TWO, &remote).expect("adds");
        assert!(text.starts_with(TWO.trim_end()), "{text}");
        assert!(text.contains("# ours") && text.contains("# keep"));
        let settings = Settings::parse(&text, Unknown::Refuse).expect("good");
        assert_eq!(settings.remotes.last(), Some(&remote));
        assert!(add_remote(&text, &remote).is_err());
        let first = add_remote("", &remote).expect("adds");
        assert_eq!(Settings::parse(&first, Unknown::Refuse).expect("good").remotes, [remote]);
    }

    #[test]
    fn settings_merge_by_remote() {
        let remote = |name: &str, more: &str| {
            format!("[[remote]]\nname = \"{name}\"\nurl = \"file:///{name}\"\n{more}")
        };
        let text = |remotes: &[String]| format!("version = 1\n{}", remotes.concat());
        let names = |text: &str| {
            let settings = Settings::parse(text, Unknown::Refuse).expect("good");
            settings.remotes.into_iter().map(|remote| remote.name).collect::<Vec<_>>()
        };
        let (a, b, c) = (remote("a", ""), remote("b", ""), remote("c", ""));
        let base = text(&[a.clone(), b.clone()]);
        let ours = text(&[a.clone(), b.clone(), remote("d", "")]);
        let theirs = text(&[a.clone(), c]);
        let merged = merge(&base, &ours, &theirs).expect("no conflict");
        assert_eq!(names(&merged), ["a", "d", "c"]);
        let changed = text(&[remote("a", "upload = false\n"), b.clone()]);
        let other = text(&[remote("a", "required = true\n"), b.clone()]);
        assert!(merge(&base, &base, &changed).expect("theirs").contains("upload = false"));
        assert_eq!(merge(&base, &changed, &other), None);
        assert_eq!(merge(&base, &text(&[b]), &changed), None);
    }
}
