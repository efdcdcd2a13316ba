//! The keys of git's configuration that git-lake reads, of which `docs/settings.md` says what they are.

use super::file::nearest_of;

/// Those of everything, without `lake.`.
const OF_ALL: [&str; 20] = [
    "allowIncompletePush",
    "checkout",
    "connectTimeout",
    "fetchExclude",
    "fetchInclude",
    "inbandLimit",
    "installHooks",
    "instanceRole",
    "jobs",
    "maxRate",
    "minCopies",
    "partSize",
    "repair",
    "stallTimeout",
    "storage",
    "storageLimit",
    "strict",
    "trustLoopback",
    "trustedHost",
    "upload",
];
/// Those of one remote or server, behind its name.
const OF_ONE: [&str; 7] = ["ignore", "prefer", "profile", "region", "secure", "upload", "url"];

/// A key that nothing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// As it is written.
    pub key: String,
    /// The one that was perhaps meant.
    pub nearest: Option<String>,
}

/// Returns those of the keys `lake.…` that git-lake does not read. Git sees no difference between upper and
/// lower case in the last word.
pub fn unknown(keys: Vec<String>) -> Vec<UnknownKey> {
    let judge = |key: String| {
        let (before, last) = key.rsplit_once('.')?;
        let known: &[&str] = if before == "lake" { &OF_ALL } else { &OF_ONE };
        if known.iter().any(|known| known.eq_ignore_ascii_case(last)) {
            return None;
        }
        let nearest = nearest_of(last, known).map(|near| format!("{before}.{near}"));
        Some(UnknownKey { key, nearest })
    };
    keys.into_iter().filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::super::file::{Settings, Unknown};
    use super::super::{Config, GitConfig};
    use super::*;

    /// Notes which keys are asked for.
    #[derive(Default)]
    struct Asked(RefCell<BTreeSet<String>>);

    impl Asked {
        fn note(&self, key: &str) {
            self.0.borrow_mut().insert(key.to_owned());
        }
    }

    impl GitConfig for Asked {
        fn string(&self, key: &str) -> Option<String> {
            self.note(key);
            None
        }

        fn path(&self, key: &str) -> Option<PathBuf> {
            self.note(key);
            None
        }

        fn strings(&self, key: &str) -> Vec<String> {
            self.note(key);
            Vec::new()
        }

        fn subsections(&self, section: &str) -> Vec<String> {
            if section == "lake" { vec!["a".to_owned()] } else { Vec::new() }
        }
    }

    #[test]
    fn what_is_read_is_known_and_nothing_else() {
        let asked = Asked::default();
        let text = "version = 1\n[[remote]]\nname = \"a\"\nurl = \"file:///a\"\n";
        let settings = Settings::parse(text, Unknown::Refuse).expect("good settings");
        drop(Config::resolve(&settings, &asked));
        // The hook asks by itself.
        asked.note("lake.allowIncompletePush");
        let known = OF_ALL.map(|key| format!("lake.{key}")).into_iter();
        let known: BTreeSet<String> =
            known.chain(OF_ONE.map(|key| format!("lake.a.{key}"))).collect();
        assert_eq!(asked.0.into_inner(), known);
    }

    #[test]
    fn the_nearest_key_is_named() {
        let keys =
            ["lake.JOBS", "lake.uploadAt", "lake.host:9000.secure", "lake.a.b.prefers", "lake.x"];
        let unknown: Vec<_> = unknown(keys.map(str::to_owned).into())
            .into_iter()
            .map(|UnknownKey { key, nearest }| (key, nearest.unwrap_or_default()))
            .collect();
        let expected = [
            ("lake.uploadAt", "lake.upload"),
            ("lake.a.b.prefers", "lake.a.b.prefer"),
            ("lake.x", ""),
        ];
        assert_eq!(unknown, expected.map(|(key, near)| (key.to_owned(), near.to_owned())));
    }
}
