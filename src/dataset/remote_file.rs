//! The text of a `.remote` file: where the content of an item can be had.
//!
//! A JSON list of addresses, written byte for byte as pipelime writes it: `["u1", "u2"]`, ASCII, no
//! final newline. Read as leniently as pipelime reads it. Entries are kept as they were written, also
//! those that mean nothing here. Pure.

use serde_json::Value;

use crate::lake_url::{LakeUrl, ParseUrlError, SourceUrl};
use crate::object_name::ObjectName;

/// What the name of such a file ends with.
pub const SUFFIX: &str = ".remote";
/// Longest text that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The suffixes that pipelime takes for one kind of item; all addresses of a file are of one kind.
const KINDS: [&[&str]; 15] = [
    &["png"],
    &["bmp"],
    &["jpeg", "jpg", "jfif", "jpe"],
    &["tiff", "tif"],
    &["npy"],
    &["txt"],
    &["json"],
    &["yaml", "yml"],
    &["toml", "tml"],
    &["pkl", "pickle"],
    &["bin"],
    &["stl"],
    &["obj"],
    &["ply", "off"],
    &["glb", "gltf"],
];

/// The entries of a `.remote` file, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile(Vec<Box<str>>);

/// Says why a text is no `.remote` file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ParseError {
    /// It is no JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It is neither a list nor an object.
    #[error("it is not a list of addresses")]
    NotList,
    /// One of its entries is neither text nor empty.
    #[error("an entry is not text")]
    NotText,
    /// It has no entry.
    #[error("it names no source")]
    Empty,
    /// Its sources are of several kinds.
    #[error("its sources end in `.{0}` and `.{1}`, which are not the same kind of item")]
    Kinds(String, String),
}

impl RemoteFile {
    /// Makes a file of addresses; each counts once. `None` if there is none.
    pub fn of(sources: impl IntoIterator<Item = SourceUrl>) -> Option<Self> {
        let mut file = Self(Vec::new());
        sources.into_iter().for_each(|source| file.add(&source));
        (!file.0.is_empty()).then_some(file)
    }

    /// Parses the text of a file.
    ///
    /// Entries that Python takes for false are dropped, an object stands for its keys, an entry counts
    /// once.
    ///
    /// # Errors
    /// If pipelime would refuse it, too; and for a bare text, which pipelime reads letter by letter.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| ParseError::NotJson)?;
        let values = match value {
            Value::Array(values) => values,
            Value::Object(object) => {
                object.into_iter().map(|(key, _)| Value::String(key)).collect()
            }
            _ => return Err(ParseError::NotList),
        };
        let mut entries: Vec<Box<str>> = Vec::new();
        for value in values.into_iter().filter(is_true) {
            let Value::String(entry) = value else { return Err(ParseError::NotText) };
            if entries.iter().all(|other| **other != *entry) {
                entries.push(entry.into());
            }
        }
        let first = entries.first().ok_or(ParseError::Empty)?;
        for other in &entries[1..] {
            if kind(first) != kind(other) {
                let (one, other) = (suffix(first), suffix(other));
                return Err(ParseError::Kinds(one.to_owned(), other.to_owned()));
            }
        }
        Ok(Self(entries))
    }

    /// Writes the text of the file.
    pub fn to_text(&self) -> String {
        let entries: Vec<String> = self.0.iter().map(|entry| quoted(entry)).collect();
        format!("[{}]", entries.join(", "))
    }

    /// Returns the sources that can be asked, in order. What is no address of an object is left out.
    pub fn sources(&self) -> Vec<SourceUrl> {
        self.0.iter().filter_map(|entry| parse_entry(entry).ok()).collect()
    }

    /// Returns the names of objects that its entries end with, whatever addresses stand before them.
    pub fn names(&self) -> impl Iterator<Item = ObjectName> {
        let last = |entry: &str| address(entry).rsplit('/').next().map(ObjectName::parse);
        self.0.iter().filter_map(move |entry| last(entry)?.ok())
    }

    /// Says why an entry cannot be asked, if one cannot.
    pub fn fault(&self) -> Option<ParseUrlError> {
        self.0.iter().find_map(|entry| parse_entry(entry).err())
    }

    /// Returns the suffix of the objects, without its dot; empty if they have none.
    pub fn suffix(&self) -> &str {
        self.0.first().map_or("", |entry| suffix(entry))
    }

    /// Adds a source at the end, unless it is there.
    pub fn add(&mut self, source: &SourceUrl) {
        let is_there = self.0.iter().any(|entry| parse_entry(entry).as_ref() == Ok(source));
        if !is_there {
            self.0.push(source.to_string().into());
        }
    }

    /// Splits off the sources in these lakes: what remains, if anything, and whether any was split off.
    pub fn without<'a>(&self, is_meant: impl Fn(&LakeUrl) -> bool + 'a) -> (Option<Self>, bool) {
        let is_kept =
            |entry: &str| parse_entry(entry).map_or(true, |source| !is_meant(&source.lake));
        let kept: Vec<Box<str>> = self.0.iter().filter(|entry| is_kept(entry)).cloned().collect();
        let is_changed = kept.len() < self.0.len();
        ((!kept.is_empty()).then_some(Self(kept)), is_changed)
    }
}

/// Returns whether Python takes a value for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// Reads an address as pipelime does: options and fragments mean nothing, `+` is a space.
fn parse_entry(entry: &str) -> Result<SourceUrl, ParseUrlError> {
    let (lake, name) = address(entry).rsplit_once('/').unwrap_or((entry, ""));
    let name = ObjectName::parse(name)?;
    Ok(SourceUrl { lake: LakeUrl::parse(&lake.replace('+', "%20"))?, name })
}

fn address(entry: &str) -> &str {
    entry.split(['?', '#']).next().unwrap_or_default()
}

/// Returns what stands behind the last dot of an address' last part.
fn suffix(entry: &str) -> &str {
    let name = address(entry).rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, suffix)| suffix)
}

fn kind(entry: &str) -> usize {
    let suffix = suffix(entry);
    KINDS.iter().position(|kind| kind.contains(&suffix)).unwrap_or(KINDS.len())
}

/// Writes a text as Python's `json.dumps` does.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            ' '..='~' => quoted.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, ParseError> {
        RemoteFile::parse(text.as_bytes()).map(|file| file.to_text())
    }

    #[test]
    fn what_pipelime_reads_is_read() {
        let table = [
            (r#"["a/b.png"]"#, r#"["a/b.png"]"#),
            ("[\n  \"b.png\"\n]\n", r#"["b.png"]"#),
            (r#"["b.png","b.png", "c.png"]"#, r#"["b.png", "c.png"]"#),
            (r#"[null, "", 0, false, [], {}, 0.0, "b.png"]"#, r#"["b.png"]"#),
            (r#"{"b.png": 1}"#, r#"["b.png"]"#),
            (r#"["b.png?x=1", "c.png"]"#, r#"["b.png?x=1", "c.png"]"#),
            (r#"["b.jpg", "c.jpeg"]"#, r#"["b.jpg", "c.jpeg"]"#),
            (r#"["b.csv", "c.gz", "d"]"#, r#"["b.csv", "c.gz", "d"]"#),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_pipelime_refuses_is_refused() {
        let table = [
            ("", ParseError::NotJson),
            ("[", ParseError::NotJson),
            ("\u{feff}[\"a.png\"]", ParseError::NotJson),
            ("[]", ParseError::Empty),
            ("[null, \"\"]", ParseError::Empty),
            ("{}", ParseError::Empty),
            ("[1]", ParseError::NotText),
            ("[\"a.png\", [\"b.png\"]]", ParseError::NotText),
            ("[\"a.png\", true]", ParseError::NotText),
            ("[\"a.png\", \"b.jpg\"]", ParseError::Kinds("png".into(), "jpg".into())),
            ("[\"a.PNG\", \"b.png\"]", ParseError::Kinds("PNG".into(), "png".into())),
            // pipelime takes each letter for an address, none of which is one.
            ("\"a.png\"", ParseError::NotList),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn text_is_escaped_as_python_does() {
        // Python 3.11: json.dumps(["a\u00fc\U0001f600\"\\\n\x7f\x01/b"])
        let file = RemoteFile(vec!["a\u{fc}\u{1f600}\"\\\n\u{7f}\u{1}/b".into()]);
        let expected = r#"["a\u00fc\ud83d\ude00\"\\\n\u007f\u0001/b"]"#;
        assert_eq!(file.to_text(), expected);
        assert_eq!(RemoteFile::parse(expected.as_bytes()), Ok(file));
    }

    #[test]
    fn sources_are_read_as_pipelime_reads_addresses() {
        let name = format!("{}.png", "a".repeat(128));
        let parse = |text: &str| {
            let file = RemoteFile(vec![text.replace("NAME", &name).into()]);
            file.sources().first().map(|source| source.lake.to_string())
        };
        let table = [
            ("file:///d/pl+us/NAME", Some("file:///d/pl%20us")),
            ("file:///d/pl us/NAME", Some("file:///d/pl%20us")),
            ("file:///d/pl%2Bus/NAME", Some("file:///d/pl%2Bus")),
            ("file://localhost/d/NAME", Some("file:///d")),
            ("s3://h:9000/b/NAME?secure=false", Some("s3://h:9000/b")),
            ("s3://h:9000/b/NAME#x", Some("s3://h:9000/b")),
            ("file:///d/no-name.png", None),
            ("http://h/b/NAME", None),
            ("s3://user:secret@h/b/NAME", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn entries_come_and_go_and_others_stay_as_they_are() {
        let name = "a".repeat(64);
        let text = format!("[\"file://localhost/d//{name}.png?x=1\", \"odd.png\"]");
        let mut file = RemoteFile::parse(text.as_bytes()).expect("parses");
        let source = |lake: &str| {
            let text = format!("{lake}/{name}.png");
            SourceUrl::parse_normal(&text).expect("a source")
        };
        file.add(&source("file:///d"));
        assert_eq!(file.to_text(), text, "it was there");
        file.add(&source("file:///e"));
        assert_eq!(file.sources(), [source("file:///d"), source("file:///e")]);
        let is_d = |lake: &LakeUrl| *lake == source("file:///d").lake;
        let (rest, is_changed) = file.without(is_d);
        let rest = rest.expect("two are left");
        assert_eq!(rest.to_text(), format!("[\"odd.png\", \"file:///e/{name}.png\"]"));
        assert!(is_changed && rest.fault().is_some());
        assert_eq!(rest.without(is_d), (Some(rest.clone()), false));
        let only = RemoteFile::of([source("file:///d")]).expect("one");
        assert_eq!(only.without(is_d), (None, true));
    }
}
