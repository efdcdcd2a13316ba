//! `.gitlake.toml`: its schema, and reading it strictly or leniently.

use super::patterns::{PatternError, Patterns};
use crate::digest::{HashName, UnknownHash};
use crate::lake_url::{LakeUrl, ParseUrlError};

/// The file's name, at the root of the work tree.
pub const FILE_NAME: &str = ".gitlake.toml";
/// Longest settings file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The version that this program reads and writes.
pub(super) const VERSION: i64 = 1;
const REMOTE_KEYS: [&str; 9] =
    ["name", "url", "region", "secure", "upload", "required", "hash", "paths", "local"];
const TOP_KEYS: [&str; 2] = ["version", "remote"];

/// A lake as `[[remote]]` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// Unique, `[a-z0-9-]`.
    pub name: String,
    /// Where it is.
    pub url: LakeUrl,
    /// Whether objects are uploaded to it; otherwise it is only a source.
    pub upload: bool,
    /// Whether a push is refused until it holds its objects.
    pub required: bool,
    /// What it declares.
    pub hash: HashName,
    /// Which paths go to it; `None` for all.
    pub paths: Option<Patterns>,
    /// Whether it exists on this machine alone, so that it never counts as proof.
    pub local: bool,
    /// The region of its server, as the settings say; [`super::hosts`] resolves what is in force.
    pub region: Option<String>,
    /// Whether https is used, as the settings say; `None` where they do not.
    pub secure: Option<bool>,
}

/// What a settings file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The remotes, in order of preference.
    pub remotes: Vec<Remote>,
    /// What was passed over, when reading leniently.
    pub warnings: Vec<SettingsError>,
}

/// Says what is wrong with a settings file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML; conflict markers end here, too.
    #[error("`.gitlake.toml` is not readable as TOML: {0}")]
    Syntax(String),
    /// `version` is missing.
    #[error("`.gitlake.toml` has no `version = 1`")]
    NoVersion,
    /// `version` is larger.
    #[error("`.gitlake.toml` has version {0}; this git-lake reads version 1")]
    Newer(i64),
    /// A key that means nothing.
    #[error("`.gitlake.toml` has an unknown key `{key}`{}", did_you_mean(*.known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest one that exists.
        known: Option<&'static str>,
    },
    /// A key of the wrong type.
    #[error("`{key}` in `.gitlake.toml` should be {expected}")]
    Type {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A remote without a name or address.
    #[error("A remote in `.gitlake.toml` has no `{0}`")]
    Missing(&'static str),
    /// A name with other characters.
    #[error("`{0}` is not a remote's name: use lower-case letters, digits and `-`")]
    Name(String),
    /// The same name twice.
    #[error("Two remotes in `.gitlake.toml` are called `{0}`")]
    DuplicateName(String),
    /// The same address twice.
    #[error("Two remotes in `.gitlake.toml` have the address `{0}`")]
    DuplicateUrl(LakeUrl),
    /// A bad address.
    #[error("The remote `{name}` in `.gitlake.toml` has a bad address: {source}")]
    Url {
        /// The remote.
        name: String,
        /// Why.
        source: ParseUrlError,
    },
    /// A bad hash.
    #[error("The remote `{name}` in `.gitlake.toml` has a bad hash: {source}")]
    Hash {
        /// The remote.
        name: String,
        /// Why.
        source: UnknownHash,
    },
    /// A bad pattern.
    #[error("The remote `{name}` in `.gitlake.toml` has a bad path pattern: {source}")]
    Pattern {
        /// The remote.
        name: String,
        /// Why.
        source: PatternError,
    },
}

/// Words the end of a sentence about something unknown.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// How to treat keys that mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are errors: for commands.
    Refuse,
    /// They are warnings, and so are remotes that make no sense: for the filter and hooks.
    PassOver,
}

impl Settings {
    /// Parses a settings file.
    ///
    /// # Errors
    /// Names what is wrong. With [`Unknown::PassOver`] only for a file that is no TOML.
    pub fn parse(text: &str, unknown: Unknown) -> Result<Self, SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            SettingsError::Syntax(describe_syntax_error(text, &error))
        })?;
        let mut settings = Self::default();
        let mut faults = Vec::new();
        faults.extend(unknown_keys(&table, &TOP_KEYS));
        match table.get("version").map(toml::Value::as_integer) {
            None => faults.push(SettingsError::NoVersion),
            Some(None) => faults.push(SettingsError::Type { key: "version", expected: "a number" }),
            Some(Some(version)) if version > VERSION => faults.push(SettingsError::Newer(version)),
            Some(Some(_)) => {}
        }
        let remotes = match table.get("remote") {
            None => &[][..],
            Some(toml::Value::Array(remotes)) => remotes,
            Some(_) => {
                faults.push(SettingsError::Type { key: "remote", expected: "`[[remote]]` tables" });
                &[]
            }
        };
        for remote in remotes {
            let Some(remote) = remote.as_table() else {
                faults.push(SettingsError::Type { key: "remote", expected: "`[[remote]]` tables" });
                continue;
            };
            faults.extend(unknown_keys(remote, &REMOTE_KEYS));
            match Remote::parse(remote).and_then(|remote| settings.check_unique(remote)) {
                Ok(remote) => settings.remotes.push(remote),
                Err(fault) => faults.push(fault),
            }
        }
        if unknown == Unknown::Refuse && !faults.is_empty() {
            return Err(faults.swap_remove(0));
        }
        settings.warnings = faults;
        Ok(settings)
    }

    /// Refuses a remote whose name or address is taken.
    pub(super) fn check_unique(&self, remote: Remote) -> Result<Remote, SettingsError> {
        if self.remotes.iter().any(|other| other.name == remote.name) {
            return Err(SettingsError::DuplicateName(remote.name));
        }
        if self.remotes.iter().any(|other| other.url == remote.url) {
            return Err(SettingsError::DuplicateUrl(remote.url));
        }
        Ok(remote)
    }
}

impl Remote {
    /// Describes a lake with every option at its default.
    pub fn new(name: String, url: LakeUrl) -> Self {
        Self {
            name,
            url,
            upload: true,
            required: false,
            hash: HashName::Sha256,
            paths: None,
            local: false,
            region: None,
            secure: None,
        }
    }

    fn parse(table: &toml::Table) -> Result<Self, SettingsError> {
        let text = |key: &'static str| match table.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(SettingsError::Type { key, expected: "a text in quotes" }),
        };
        let flag = |key: &'static str| match table.get(key) {
            None => Ok(None),
            Some(toml::Value::Boolean(flag)) => Ok(Some(*flag)),
            Some(_) => Err(SettingsError::Type { key, expected: "true or false" }),
        };
        let name = text("name")?.ok_or(SettingsError::Missing("name"))?.to_owned();
        if !is_remote_name(&name) {
            return Err(SettingsError::Name(name));
        }
        let url = LakeUrl::parse(text("url")?.ok_or(SettingsError::Missing("url"))?)
            .map_err(|source| SettingsError::Url { name: name.clone(), source })?;
        let mut remote = Self::new(name, url);
        if let Some(hash) = text("hash")? {
            let source = |source| SettingsError::Hash { name: remote.name.clone(), source };
            remote.hash = hash.parse().map_err(source)?;
        }
        remote.paths = Self::parse_paths(table, &remote.name)?;
        remote.upload = flag("upload")?.unwrap_or(true);
        remote.required = flag("required")?.unwrap_or(false);
        remote.local = flag("local")?.unwrap_or(false);
        remote.secure = flag("secure")?;
        remote.region = text("region")?.map(str::to_owned);
        Ok(remote)
    }

    fn parse_paths(table: &toml::Table, name: &str) -> Result<Option<Patterns>, SettingsError> {
        let wrong = SettingsError::Type { key: "paths", expected: "a list of patterns" };
        let Some(paths) = table.get("paths") else {
            return Ok(None);
        };
        let list = paths.as_array().ok_or_else(|| wrong.clone())?;
        let patterns: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
        let patterns = Patterns::new(&patterns.ok_or(wrong)?);
        patterns
            .map(Some)
            .map_err(|source| SettingsError::Pattern { name: name.to_owned(), source })
    }
}

/// Returns true if a text may name a remote.
pub fn is_remote_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// Says where the file stops being TOML, in one line.
fn describe_syntax_error(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let marker = |line: &str| ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|m| line.starts_with(m));
    match text.lines().position(marker) {
        Some(marked) => format!("line {} is a conflict marker of a merge", marked + 1),
        None => format!("line {line}: {}", error.message()),
    }
}

fn unknown_keys(
    table: &toml::Table,
    known: &'static [&'static str],
) -> impl Iterator<Item = SettingsError> {
    let unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
    unknown.map(|key| SettingsError::UnknownKey { key: key.clone(), known: nearest_of(key, known) })
}

/// Returns the word that was perhaps meant by another one.
pub(super) fn nearest_of(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let nearest = known.iter().min_by_key(|known| distance(word, known)).copied();
    nearest.filter(|known| distance(word, known) <= 3)
}

/// Counts the single-character edits that lead from one word to the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "version = 1\n\n# ours\n[[remote]]\nname = \"team\" # keep\nurl = \"file:///mnt/lake\"\n\
                       [[remote]]\nname = \"nas\"\nurl = \"s3://h:9000/b\"\nupload = false\nhash = \"blake2b\"\npaths = [\"train/**\"]\n";

    fn refuse(text: &str) -> String {
        Settings::parse(text, Unknown::Refuse).expect_err(text).to_string()
    }

    #[test]
    fn every_key_is_read() {
        let settings = Settings::parse(TWO, Unknown::Refuse).expect("good");
        let [team, nas] = &settings.remotes[..] else { panic!("two remotes") };
        assert!(team.upload && !team.required && !team.local && team.paths.is_none());
        assert_eq!(team.hash, HashName::Sha256);
        assert_eq!((nas.upload, nas.hash), (false, HashName::Blake2b));
        assert_eq!(nas.paths, Some(Patterns::new(&["train/**"]).expect("a pattern")));
    }

    #[test]
    fn faults_are_named() {
        let remote = "version = 1\n[[remote]]\nname = \"a\"\nurl = \"file:///a\"\n";
        let table = [
            (String::new(), "`.gitlake.toml` has no `version = 1`"),
            (
                "version = 2\n".into(),
                "`.gitlake.toml` has version 2; this git-lake reads version 1",
            ),
            (
                format!("{remote}uplaod = false\n"),
                "`.gitlake.toml` has an unknown key `uplaod`; did you mean `upload`?",
            ),
            (
                "version = 1\ncommand = \"x\"\n".into(),
                "`.gitlake.toml` has an unknown key `command`",
            ),
            (
                format!("{remote}upload = \"no\"\n"),
                "`upload` in `.gitlake.toml` should be true or false",
            ),
            (
                format!("{remote}hash = \"crc\"\n"),
                "The remote `a` in `.gitlake.toml` has a bad hash: `crc` is not a hash that git-lake knows: sha256, sha512, sha384, sha224, blake2b, blake2s, sha3_256 or sha3_512",
            ),
            (
                format!("{remote}[[remote]]\nname = \"a\"\nurl = \"file:///b\"\n"),
                "Two remotes in `.gitlake.toml` are called `a`",
            ),
            (
                format!("{remote}[[remote]]\nname = \"b\"\nurl = \"file:///a/\"\n"),
                "Two remotes in `.gitlake.toml` have the address `file:///a`",
            ),
            (
                "version = 1\n[[remote]]\nname = \"A\"\n".into(),
                "`A` is not a remote's name: use lower-case letters, digits and `-`",
            ),
            (
                "version = 1\n[[remote]]\nname = \"a\"\n".into(),
                "A remote in `.gitlake.toml` has no `url`",
            ),
            (
                "version = 1\n<<<<<<< HEAD\n".into(),
                "`.gitlake.toml` is not readable as TOML: line 2 is a conflict marker of a merge",
            ),
        ];
        for (text, message) in table {
            assert_eq!(refuse(&text), message);
        }
    }

    #[test]
    fn the_filter_passes_over_what_it_does_not_know() {
        let text = TWO.replace("upload", "uplaod").replace("version = 1", "version = 9");
        let settings = Settings::parse(&text, Unknown::PassOver).expect("never fatal");
        assert_eq!((settings.remotes.len(), settings.warnings.len()), (2, 2));
        assert!(Settings::parse("<<<<<<< HEAD\n", Unknown::PassOver).is_err());
    }
}
