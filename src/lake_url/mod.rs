//! Addresses of lakes and of objects in them, in pipelime's grammar and one normal form.
//!
//! Normal form: lower-case scheme and host, no user, password, query or fragment, a path without
//! empty or `.` components and without a final slash, every byte outside `A-Za-z0-9-._~/`
//! percent-encoded in upper case. Two addresses are the same lake exactly when their normal forms
//! are equal. `docs/lake.md` has the table of what is accepted. What a person types may hold more, and
//! is read by [`typed`]; what a server's name says about it is in [`host`].

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use host::Host;

use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::repo_path::{bytes_to_os_path, os_path_to_bytes};

pub mod host;
#[cfg(test)]
mod tests;
pub mod typed;

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
/// Never holds a user or a password, so it can be shown and stored. Copies share their text, since
/// there is one in each source.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LakeUrl(Arc<Parts>);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Parts {
    scheme: Scheme,
    /// `host[:port]`; empty for a folder.
    host: String,
    /// Percent-encoded, begins with `/`.
    path: String,
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
    /// `https://…`; holds what to write.
    #[error("The address of a bucket begins with `s3://`: write {0}")]
    Web(String),
    /// `file://host/path`.
    #[error("A folder's address names no host (`{0}`): write `file:///` and the path")]
    FileHost(String),
    /// No path, or only `/`.
    #[error("The address names no folder: write `file:///` and the whole path")]
    NoFolder,
    /// `s3://bucket`; holds the name, which may be that of a bucket of AWS.
    #[error(
        "The address names no bucket: the long form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`, for AWS \
         `s3://s3.us-east-1.amazonaws.com/{0}`"
    )]
    NoBucket(String),
    /// `s3:///bucket`.
    #[error("The address names no host: the form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`")]
    NoHost,
    /// The host begins with `-`, or has characters that no host has.
    #[error("`{0}` is not a host name with an optional port")]
    Host(String),
    /// An address where no lake can be, but a cloud's secrets may.
    #[error("`{0}` is a link-local or metadata address, which git-lake never asks")]
    Forbidden(String),
    /// A user or password.
    #[error("An address that is stored holds no user or password")]
    Credentials,
    /// `?…` or `#…`.
    #[error("An address that is stored holds no `?options` and no `#fragment`")]
    Query,
    /// `..`, or a control character, possibly percent-encoded.
    #[error("The path holds `..` or a control character")]
    Path,
    /// The path of a bucket is not UTF-8 when decoded.
    #[error("The path is not UTF-8, as names in a bucket are")]
    NotUtf8,
    /// The last component of a source is not an object name.
    #[error("The last part of a source is an object name: {0}")]
    Name(#[from] crate::object_name::ParseObjectNameError),
    /// Readable, but another text means the same.
    #[error("The address is not in normal form, which is `{0}`")]
    NotNormal(String),
    /// Only one half of a pair of keys, or an empty one.
    #[error("Keys are typed as `USER:PASSWORD@`; the {0} is missing")]
    HalfKeys(&'static str),
    /// A control character in keys or options.
    #[error("The user, the password or an option holds a control character")]
    Control,
    /// An `@` behind the first `/` or `?` that could end a password.
    #[error(
        "An `@` here could end a password or belong to the path: write `%40` for one in the path, \
         and `%2F`, `%3F` or `%23` for a `/`, `?` or `#` in the password"
    )]
    AmbiguousKeys,
    /// An option that means nothing; its name, where that cannot be a secret.
    #[error("An address has the options `secure`, `region` and `session`, and no {}", unknown(.0))]
    UnknownOption(Option<String>),
    /// An option with a value that it cannot have.
    #[error("The option `{name}` of an address should be {expected}")]
    OptionValue {
        /// The option.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// `session` without keys.
    #[error("The option `session` goes with a user and a password")]
    SessionAlone,
}

fn unknown(name: &Option<String>) -> String {
    name.as_ref().map_or_else(|| "other".to_owned(), |name| format!("`{name}`"))
}

impl LakeUrl {
    fn of_parts(scheme: Scheme, host: String, path: String) -> Self {
        Self(Arc::new(Parts { scheme, host, path }))
    }

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
        let decoded: Vec<u8> = percent_decode_str(path).collect();
        let path = normal_path(&decoded)?;
        match scheme {
            Scheme::File if !matches!(&*host, "" | "localhost" | "127.0.0.1") => {
                Err(ParseUrlError::FileHost(host))
            }
            Scheme::File if path == "/" => Err(ParseUrlError::NoFolder),
            Scheme::File => Ok(Self::of_parts(scheme, String::new(), path)),
            Scheme::S3 if host.is_empty() => Err(ParseUrlError::NoHost),
            Scheme::S3 => {
                let host = Host::parse(&host)?.to_string();
                if path == "/" {
                    return Err(ParseUrlError::NoBucket(host::bucket_to_show(&host)));
                }
                std::str::from_utf8(&decoded).map_err(|_| ParseUrlError::NotUtf8)?;
                Ok(Self::of_parts(scheme, host, path))
            }
        }
    }

    /// Returns the address of a folder; `folder` must be absolute.
    ///
    /// # Errors
    /// If the path is `/`, or holds `..` or a control character.
    pub fn from_folder(folder: &Path) -> Result<Self, ParseUrlError> {
        match normal_path(&os_path_to_bytes(folder))? {
            path if path == "/" => Err(ParseUrlError::NoFolder),
            path => Ok(Self::of_parts(Scheme::File, String::new(), path)),
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

    /// Returns the name of files about this lake in a clone: the first 16 digits of the SHA-256 of the
    /// address.
    pub fn file_key(&self) -> String {
        let mut digits = Oid::of(self.to_string().as_bytes()).to_hex();
        digits.truncate(16);
        digits
    }

    /// Returns how the lake is reached.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// Returns `host[:port]`, empty for a folder.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Returns the server of a bucket; `None` for a folder.
    pub fn server(&self) -> Option<Host> {
        Host::parse(&self.0.host).ok()
    }

    /// Returns the port of the server, where the address names one.
    pub fn port(&self) -> Option<u16> {
        self.server().and_then(|server| server.port())
    }

    /// Returns true if the server is this machine, by `localhost` or a loopback address.
    pub fn is_loopback_host(&self) -> bool {
        self.server().is_some_and(|server| server.is_loopback())
    }

    /// Returns the bucket and what the keys of its objects begin with, both decoded; `None` for a
    /// folder. The second is empty or ends with `/`.
    ///
    /// The bucket is the first part of the path, or stands before the host where that is
    /// `<bucket>.s3.<region>.amazonaws.com`.
    pub fn bucket(&self) -> Option<(String, String)> {
        if self.0.scheme != Scheme::S3 {
            return None;
        }
        let path = percent_decode_str(&self.0.path).decode_utf8().ok()?;
        let path = path.trim_start_matches('/');
        let in_host = host::aws_endpoint(&self.0.host).and_then(|endpoint| endpoint.bucket);
        let (bucket, prefix) = match in_host {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').map_or((path.to_owned(), ""), |(b, p)| (b.to_owned(), p)),
        };
        Some((bucket, if prefix.is_empty() { String::new() } else { format!("{prefix}/") }))
    }

    /// Returns the folder, if the lake is one.
    pub fn folder(&self) -> Option<PathBuf> {
        let decoded: Vec<u8> = percent_decode_str(&self.0.path).collect();
        (self.0.scheme == Scheme::File).then(|| bytes_to_os_path(&decoded).into_owned())
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
        if let Some(lake) = known_lake(lake) {
            return Ok(Self { lake, name: ObjectName::parse(name)? });
        }
        let source = Self { lake: LakeUrl::parse(lake)?, name: ObjectName::parse(name)? };
        match source.to_string() {
            normal if normal == text => {
                know_lake(lake, &source.lake);
                Ok(source)
            }
            normal => Err(ParseUrlError::NotNormal(normal)),
        }
    }
}

/// Sources by the thousand name the same few lakes, which need not be read, nor held, for each of them.
const KNOWN_LAKES: usize = 8;

thread_local! {
    /// Lakes that sources named lately, by their normal form.
    static KNOWN: RefCell<Vec<(Box<str>, LakeUrl)>> = const { RefCell::new(Vec::new()) };
}

fn known_lake(normal: &str) -> Option<LakeUrl> {
    KNOWN.with_borrow(|known| {
        known.iter().find(|(text, _)| **text == *normal).map(|(_, lake)| lake.clone())
    })
}

fn know_lake(normal: &str, lake: &LakeUrl) {
    KNOWN.with_borrow_mut(|known| {
        known.truncate(KNOWN_LAKES - 1);
        known.insert(0, (normal.into(), lake.clone()));
    });
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
        "https" => Err(ParseUrlError::Web(format!("`{}`", as_bucket(rest)))),
        "http" => {
            let address = as_bucket(rest);
            Err(ParseUrlError::Web(format!("`{address}`, and `secure = false` beside it")))
        }
        other => Err(ParseUrlError::Scheme(format!("{other}://"))),
    }
}

/// Percent-encodes the bytes of a path as addresses have it; slashes stay.
pub fn encoded(path: &[u8]) -> String {
    percent_encode(path, ENCODED).to_string()
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
            part => path.extend(["/", &encoded(part)]),
        }
    }
    Ok(if path.is_empty() { "/".to_owned() } else { path })
}

/// Returns the address of a bucket that stands for one of the web, without what may be secret.
fn as_bucket(rest: &str) -> String {
    let address = rest.rsplit('@').next().unwrap_or_default();
    let address = address.split(['?', '#']).next().unwrap_or_default();
    format!("s3://{}", host::without_secret(address.trim_end_matches('/')))
}

impl fmt::Display for LakeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.0.scheme {
            Scheme::File => "file",
            Scheme::S3 => "s3",
        };
        write!(f, "{scheme}://{}{}", self.0.host, self.0.path)
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
