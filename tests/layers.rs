//! Imports go down the levels, and foreign crates stay at home.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module may use of the others. A module that is not listed fails the test.
const MAY_USE: &[(&str, &[&str])] = &[
    // Values and safe file primitives.
    ("oid", BOTTOM),
    ("digest", BOTTOM),
    ("object_name", BOTTOM),
    ("repo_path", BOTTOM),
    ("lake_url", BOTTOM),
    ("access", BOTTOM),
    ("pointer", BOTTOM),
    ("fs", BOTTOM),
    ("underfolder", BOTTOM),
    ("fail_point", BOTTOM),
    ("kind", BOTTOM),
    ("parallel", BOTTOM),
    ("size", BOTTOM),
    // One outside thing each.
    ("lake", BOTTOM),
    ("store", BOTTOM),
    ("repo", BOTTOM),
    ("config", BOTTOM),
    // The engines.
    ("transfer", OUTSIDE),
    ("workspace", &["transfer"]),
    ("regain", &["workspace"]),
    ("owed", &["workspace", "transfer", "regain"]),
    ("copies", &["workspace", "transfer"]),
    ("fill", &["workspace", "transfer"]),
    ("content", &["workspace", "transfer", "fill"]),
    ("proof", &["workspace", "transfer", "regain", "owed"]),
    ("sources", &["workspace", "transfer"]),
    ("space", &["workspace", "transfer", "copies", "fill"]),
    ("fsck", &["workspace", "transfer", "regain", "sources", "fill"]),
    ("orphans", &["transfer", "dataset"]),
    ("inventory", &["workspace", "transfer", "copies", "space"]),
    ("dataset", &["transfer"]),
    ("diff", &["workspace", "transfer"]),
    ("doctor", &["workspace", "transfer", "owed", "fill", "sources", "fsck"]),
    ("import", &["workspace", "transfer", "dataset"]),
    ("filter", &["workspace", "transfer", "owed", "fill", "space"]),
    ("add", &["workspace", "transfer", "sources", "fill", "space", "filter"]),
    // Verbs, and what a person sees.
    ("ui", &["transfer"]),
    (
        "commands",
        &[
            "workspace",
            "transfer",
            "owed",
            "copies",
            "fill",
            "content",
            "proof",
            "sources",
            "fsck",
            "orphans",
            "space",
            "inventory",
            "dataset",
            "diff",
            "import",
            "doctor",
            "filter",
            "add",
            "ui",
        ],
    ),
    ("cli", &["workspace", "transfer", "fsck", "orphans", "ui", "commands"]),
    ("main", &["cli"]),
];

const BOTTOM: &[&str] = &[
    "oid",
    "digest",
    "object_name",
    "repo_path",
    "lake_url",
    "access",
    "pointer",
    "fs",
    "underfolder",
    "fail_point",
    "kind",
    "parallel",
    "size",
];
const OUTSIDE: &[&str] = &["lake", "store", "repo", "config"];

/// Where a foreign crate, or a thing of the standard library, may be named.
const HOMES: &[(&str, &[&str])] = &[
    ("git2::", &["repo/"]),
    ("gix::", &["repo/"]),
    ("clap::", &["cli/", "commands/"]),
    ("clap_complete::", &["commands/completions.rs"]),
    ("clap_mangen::", &["commands/man.rs"]),
    ("toml::", &["config/"]),
    ("toml_edit::", &["config/"]),
    ("tokio::", &["lake/s3/"]),
    ("aws_config::", &["lake/s3/"]),
    ("aws_sdk_s3::", &["lake/s3/"]),
    ("aws_smithy", &["lake/s3/"]),
    ("aws_credential_types::", &["lake/s3/"]),
    ("process::Command", &["repo/process.rs"]),
    ("std::env::var", &["config/env.rs", "repo/environment.rs", "fail_point.rs"]),
];

/// A source file without comments and test code.
struct Source {
    name: String,
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            let is_test = name.ends_with("tests.rs") || name.ends_with("testing.rs");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !is_test && name != "lib.rs" {
                found.push(read(&path, name));
            }
        }
    }
    found
}

fn read(path: &PathBuf, name: String) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    // Test modules stand at the end of a file.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.split("#[cfg(test)]\npub(crate) mod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let module = name.split(['/', '.']).next().unwrap_or_default().to_owned();
    Source { name, module, text }
}

/// Returns the modules of this crate that a text names: after `crate::`, or after as many `super::`
/// as lead to the top.
fn modules_named(source: &Source) -> BTreeSet<String> {
    let depth = source.name.matches('/').count()
        + usize::from(!source.name.ends_with("/mod.rs") && !source.name.ends_with("main.rs"));
    let up = "super::".repeat(depth.max(1));
    let mut named = BTreeSet::new();
    for prefix in ["crate::", "git_lake::", &up] {
        for (at, _) in source.text.match_indices(prefix) {
            let before = source.text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &source.text[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(list) => named.extend(first_words(list)),
                None => named.extend(word(rest)),
            }
        }
    }
    named
}

/// Returns the first word of each member of a `{…}` list.
fn first_words(list: &str) -> Vec<String> {
    let (mut depth, mut words, mut start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                words.extend(word(list[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && depth == 0 && start == at + 1 {
            break;
        }
    }
    words
}

fn word(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let word: String = text.chars().take_while(|c| is_part(*c)).collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn modules_use_only_lower_levels() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(module, _)| *module == source.module) else {
            faults.push(format!("src/{}: the module has no level in tests/layers.rs", source.name));
            continue;
        };
        let is_bottom = BOTTOM.contains(&&*source.module) || OUTSIDE.contains(&&*source.module);
        for named in modules_named(&source) {
            let is_level = MAY_USE.iter().any(|(module, _)| *module == named);
            let is_low = BOTTOM.contains(&&*named) || !is_bottom && OUTSIDE.contains(&&*named);
            let may = is_low || allowed.contains(&&*named) || named == source.module;
            if is_level && !may {
                faults.push(format!("src/{}: `{named}` is not below it", source.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn foreign_crates_stay_at_home() {
    let mut faults = Vec::new();
    for source in sources() {
        for (needle, homes) in HOMES {
            let is_home = homes.iter().any(|home| source.name.starts_with(home));
            let is_named = source.text.match_indices(needle).any(|(at, _)| {
                let before = source.text[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            if is_named && !is_home {
                faults.push(format!(
                    "src/{}: `{needle}` belongs in {}",
                    source.name,
                    homes.join(", ")
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_what_it_should() {
    let source = |name: &str, text: &str| Source {
        name: name.to_owned(),
        module: String::new(),
        text: text.to_owned(),
    };
    let named = |name, text| modules_named(&source(name, text)).into_iter().collect::<Vec<_>>();
    assert_eq!(
        named("fill.rs", "use crate::{repo, store::{stage, queue}, ui};"),
        ["repo", "store", "ui"]
    );
    assert_eq!(named("fill.rs", "fn f() { super::cli::run() }"), ["cli"]);
    assert_eq!(named("lake/open.rs", "use super::LakeError; use super::super::ui;"), ["ui"]);
    assert_eq!(named("lake/mod.rs", "crate::lake_url::LakeUrl"), ["lake_url"]);
}
