//! Addresses of lakes and of objects in them, in pipelime's grammar and one normal form.
//!
//! Normal form: lower-case scheme and host, no user, password, query or fragment, a path without
//! empty or `.` components and without a final slash, every byte outside `A-Za-z0-9-._~/`
//! percent-encoded in upper case. Two addresses are the same lake exactly when their normal forms
//! are equal. `docs/lake.md` has the table of what is accepted.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::object_name::ObjectName;
use crate::repo_path::{bytes_to_os_path, os_path_to_bytes};

/// Bytes that stay as they are in a path. `+` is not one of them, since pipelime reads it as a space.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// How a lake is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// A folder that this machine can see.
    File,
    /// A bucket of an S3-compatible server.
    S3,
}

/// The address of a lake, in normal form.
///
/// Never holds a user or a password, so it can be shown and stored.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LakeUrl {
    scheme: Scheme,
    /// `host[:port]`; empty for a folder.
    host: Box<str>,
    /// Percent-encoded, begins with `/`.
    path: Box<str>,
}

/// The address of one object: a lake and a name in it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceUrl {
    /// The lake.
    pub lake: LakeUrl,
    /// The object's name there.
    pub name: ObjectName,
}

/// Says why a text is not an address. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUrlError {
    /// Neither `file://` nor `s3://`.
    #[error("`{0}` is not a kind of lake: an address begins with `file:///` or `s3://`")]
    Scheme(String),
    /// `file://host/path`.
    #[error("A folder's address names no host (`{0}`): write `file:///` and the path")]
    FileHost(String),
    /// No path, or only `/`.
    #[error("The address names no folder: write `file:///` and the whole path")]
    NoFolder,
    /// `s3://bucket`.
    #[error("The address names no bucket: the long form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`")]
    NoBucket,
    /// The host is empty, begins with `-`, or has characters that no host has.
    #[error("`{0}` is not a host name with an optional port")]
    Host(String),
    /// A user or password.
    #[error("An address that is stored holds no user or password")]
    Credentials,
    /// `?…` or `#…`.
    #[error("An address that is stored holds no `?options` and no `#fragment`")]
    Query,
    /// `..`, or a control character, possibly percent-encoded.
    #[error("The path holds `..` or a control character")]
    Path,
    /// The last component of a source is not an object name.
    #[error("The last part of a source is an object name: {0}")]
    Name(#[from] crate::object_name::ParseObjectNameError),
    /// Readable, but another text means the same.
    #[error("The address is not in normal form, which is `{0}`")]
    NotNormal(String),
}

impl LakeUrl {
    /// Parses an address that is stored: the long form, without credentials or options.
    ///
    /// Differences that mean nothing (a trailing slash, `localhost`, upper case in the host,
    /// needless or missing percent-encoding) are brought to normal form.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn parse(text: &str) -> Result<Self, ParseUrlError> {
        let (scheme, rest) = split_scheme(text)?;
        if rest.contains(['?', '#']) {
            return Err(ParseUrlError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(ParseUrlError::Credentials);
        }
        let host = authority.to_ascii_lowercase();
        let path = normal_path(&percent_decode_str(path).collect::<Vec<u8>>())?;
        match scheme {
            Scheme::File if !matches!(&*host, "" | "localhost" | "127.0.0.1") => {
                Err(ParseUrlError::FileHost(host))
            }
            Scheme::File if path == "/" => Err(ParseUrlError::NoFolder),
            Scheme::File => Ok(Self { scheme, host: "".into(), path: path.into() }),
            Scheme::S3 if !is_host(&host) => Err(ParseUrlError::Host(host)),
            Scheme::S3 if path == "/" => Err(ParseUrlError::NoBucket),
            Scheme::S3 => Ok(Self { scheme, host: host.into(), path: path.into() }),
        }
    }

    /// Returns the address of a folder; `folder` must be absolute.
    ///
    /// # Errors
    /// If the path is `/`, or holds `..` or a control character.
    pub fn from_folder(folder: &Path) -> Result<Self, ParseUrlError> {
        match normal_path(&os_path_to_bytes(folder))? {
            path if path == "/" => Err(ParseUrlError::NoFolder),
            path => Ok(Self { scheme: Scheme::File, host: "".into(), path: path.into() }),
        }
    }

    /// Parses what a person typed: an address, or the plain path of a folder, relative to `folder`.
    ///
    /// # Errors
    /// Says what is wrong with the address.
    pub fn from_argument(text: &str, folder: &Path) -> Result<Self, ParseUrlError> {
        if text.contains("://") {
            return Self::parse(text);
        }
        let mut absolute = PathBuf::new();
        for component in folder.join(text).components() {
            match component {
                std::path::Component::ParentDir => {
                    absolute.pop();
                }
                other => absolute.push(other),
            }
        }
        Self::from_folder(&absolute)
    }

    /// Returns how the lake is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns `host[:port]`, empty for a folder.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the folder, if the lake is one.
    pub fn folder(&self) -> Option<PathBuf> {
        let decoded: Vec<u8> = percent_decode_str(&self.path).collect();
        (self.scheme == Scheme::File).then(|| bytes_to_os_path(&decoded).into_owned())
    }

    /// Returns the address of an object in this lake.
    pub fn source(&self, name: ObjectName) -> SourceUrl {
        SourceUrl { lake: self.clone(), name }
    }
}

impl SourceUrl {
    /// Parses an object's address that must be in normal form.
    ///
    /// # Errors
    /// Says what is wrong, or what the normal form would be.
    pub fn parse_normal(text: &str) -> Result<Self, ParseUrlError> {
        let (lake, name) = text.rsplit_once('/').unwrap_or((text, ""));
        let source = Self { lake: LakeUrl::parse(lake)?, name: ObjectName::parse(name)? };
        match source.to_string() {
            normal if normal == text => Ok(source),
            normal => Err(ParseUrlError::NotNormal(normal)),
        }
    }
}

fn split_scheme(text: &str) -> Result<(Scheme, &str), ParseUrlError> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| {
        // What stands before `@` could be a password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        ParseUrlError::Scheme(shown.chars().take(40).collect())
    })?;
    match &*scheme.to_ascii_lowercase() {
        "file" => Ok((Scheme::File, rest)),
        "s3" => Ok((Scheme::S3, rest)),
        other => Err(ParseUrlError::Scheme(format!("{other}://"))),
    }
}

/// Normalises decoded path bytes and encodes them.
fn normal_path(decoded: &[u8]) -> Result<String, ParseUrlError> {
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(ParseUrlError::Path);
    }
    let mut path = String::new();
    for part in decoded.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(ParseUrlError::Path),
            part => path.extend(["/", &percent_encode(part, ENCODED).to_string()]),
        }
    }
    Ok(if path.is_empty() { "/".to_owned() } else { path })
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, port)) if inner.bytes().all(|c| c.is_ascii_hexdigit() || c == b':') => {
            (inner, port.strip_prefix(':').or(port.is_empty().then_some("0")))
        }
        Some(_) => return false,
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        },
    };
    let name_is_good = !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b':'));
    let port_is_good = |port: &str| {
        port.bytes().all(|c| c.is_ascii_digit())
            && port.parse::<u16>().is_ok()
            && (port == "0" || !port.starts_with('0'))
    };
    name_is_good && port.is_some_and(port_is_good)
}

impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::File => "file",
            Scheme::S3 => "s3",
        };
        write!(f, "{scheme}://{}{}", self.host, self.path)
    }
}

impl fmt::Debug for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeUrl({self})")
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.lake, self.name)
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms_and_their_normal_form() {
        let table = [
            ("file:///mnt/lake", "file:///mnt/lake"),
            ("FILE://localhost/mnt//lake/", "file:///mnt/lake"),
            ("file://127.0.0.1/mnt/./lake", "file:///mnt/lake"),
            ("file:///mnt/my lake", "file:///mnt/my%20lake"),
            ("file:///mnt/a%2bb", "file:///mnt/a%2Bb"),
            ("file:///mnt/a+b", "file:///mnt/a%2Bb"),
            ("file:///mnt/%6cake", "file:///mnt/lake"),
            ("file:///mnt/l\u{e4}ke", "file:///mnt/l%C3%A4ke"),
            ("s3://Minio.Example.com:9000/datasets/", "s3://minio.example.com:9000/datasets"),
            ("s3://h/my.bucket/a/b", "s3://h/my.bucket/a/b"),
            ("s3://[::1]:9000/b", "s3://[::1]:9000/b"),
        ];
        for (text, normal) in table {
            let url = LakeUrl::parse(text).expect(text);
            assert_eq!(url.to_string(), normal);
            assert_eq!(LakeUrl::parse(normal), Ok(url), "normal form is a fixed point");
        }
    }

    #[test]
    fn refused_forms_and_what_is_said() {
        let table = [
            (
                "/mnt/lake",
                "`/mnt/lake` is not a kind of lake: an address begins with `file:///` or `s3://`",
            ),
            (
                "https://h/b",
                "`https://` is not a kind of lake: an address begins with `file:///` or `s3://`",
            ),
            (
                "file://nas/share",
                "A folder's address names no host (`nas`): write `file:///` and the path",
            ),
            ("file:///", "The address names no folder: write `file:///` and the whole path"),
            ("file:///a/../b", "The path holds `..` or a control character"),
            ("file:///a%0ab", "The path holds `..` or a control character"),
            ("file:///a%2f%2e%2e%2fb", "The path holds `..` or a control character"),
            (
                "s3://bucket",
                "The address names no bucket: the long form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`",
            ),
            ("s3://u:p@h/b", "An address that is stored holds no user or password"),
            (
                "s3://h/b?secure=false",
                "An address that is stored holds no `?options` and no `#fragment`",
            ),
            ("s3://-oProxy/b", "`-oproxy` is not a host name with an optional port"),
            ("s3://h:99999/b", "`h:99999` is not a host name with an optional port"),
            ("s3:///b", "`` is not a host name with an optional port"),
        ];
        for (text, message) in table {
            let error = LakeUrl::parse(text).expect_err(text);
            assert_eq!(error.to_string(), message, "{text}");
        }
        let error = LakeUrl::parse("s3:/user:secret@h/b").expect_err("no scheme");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_plain_path_is_a_folder_address() {
        let here = Path::new("/work");
        let parse = |text| LakeUrl::from_argument(text, here).expect(text).to_string();
        assert_eq!(parse("/mnt/lake/"), "file:///mnt/lake");
        assert_eq!(parse("../lake"), "file:///lake");
        assert_eq!(parse("my lake+"), "file:///work/my%20lake%2B");
        let url = LakeUrl::from_argument("my lake+", here).expect("a folder");
        assert_eq!(url.folder(), Some(PathBuf::from("/work/my lake+")));
    }

    #[test]
    fn a_source_must_be_normal() {
        let name = format!("{}.png", "0".repeat(64));
        let good = format!("s3://h:9000/b/{name}");
        assert_eq!(SourceUrl::parse_normal(&good).expect("normal").to_string(), good);
        let error = SourceUrl::parse_normal(&format!("s3://H:9000/b/{name}")).expect_err("case");
        assert_eq!(error, ParseUrlError::NotNormal(good));
        assert!(SourceUrl::parse_normal("s3://h/b/x.png").is_err());
        assert!(SourceUrl::parse_normal(&name).is_err());
    }
}
