//! The part of a command line that is about a dataset in a folder.

use std::path::{Path, PathBuf};

use super::super::Error;
use crate::dataset::copy::Serialization;
use crate::digest::HashName;
use crate::lake_url::typed::{Surroundings, TypedUrl, without_secrets};

/// Above the options that only datasets have.
pub(in crate::commands) const HEADING: &str = "Datasets outside of git";

/// Which dataset, and how its lakes are talked to.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct InputArgs {
    /// Folder of a dataset, without a repository; or one in a commit: `REPO[@REV]:PATH`
    #[arg(short, long, value_name = "DIR", help_heading = HEADING)]
    input: Option<PathBuf>,
    /// Options of a server that addresses name: `s3://HOST[:PORT]?secure=false:region=NAME` (can be
    /// repeated)
    #[arg(long = "host", value_name = "SERVER", requires = "input", help_heading = HEADING)]
    hosts: Vec<String>,
    /// Print one JSON document
    #[arg(long, help_heading = HEADING)]
    json: bool,
}

/// Where the dataset is written.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct OutputArgs {
    /// Folder to write the dataset to, which must not exist; the input to change it in place
    #[arg(short, long, value_name = "DIR", requires = "input", help_heading = HEADING)]
    output: Option<PathBuf>,
    /// How files come into a new folder [default: create-new-file]
    #[arg(long, value_name = "MODE", requires = "input", help_heading = HEADING)]
    serialization: Option<Mode>,
}

/// Which lakes are meant.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct LakeArgs {
    /// Lakes: `file:///folder`, the path of a folder, or `s3://host/bucket` (can be repeated)
    #[arg(short, long = "remote", value_name = "URL", requires = "input", num_args = 1.., help_heading = HEADING)]
    remotes: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Mode {
    /// Copies; content in lakes is brought back
    CreateNewFile,
    /// The same
    DeepCopy,
    /// Hard links where that can be; content in lakes is brought back
    HardLink,
    /// Symbolic links; content in lakes is brought back
    SymLink,
    /// Content in lakes stays there; hard links for the rest
    RemoteFile,
}

/// The dataset that was named.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Input<'a> {
    pub(super) folder: &'a Path,
    pub(super) hosts: &'a [String],
    pub(super) json: bool,
}

/// The lakes that were named, and how new ones are made.
pub(in crate::commands) struct Naming<'a> {
    pub(super) urls: &'a [String],
    pub(super) create: bool,
    pub(super) insecure_http: bool,
    pub(super) hash: Option<HashName>,
}

impl InputArgs {
    /// Returns the dataset, if one was named.
    pub(in crate::commands) fn given(&self) -> Option<Input<'_>> {
        let folder = self.input.as_deref()?;
        Some(Input { folder, hosts: &self.hosts, json: self.json })
    }

    /// Returns the dataset.
    ///
    /// # Errors
    /// If none was named.
    pub(in crate::commands) fn required(&self) -> Result<Input<'_>, Error> {
        self.given().ok_or_else(|| missing("-i DIR", "names the dataset"))
    }
}

impl InputArgs {
    /// Returns true if a summary as JSON is wanted.
    pub(in crate::commands) fn wants_json(&self) -> bool {
        self.json
    }

    /// Refuses `--json` where only datasets have a summary.
    ///
    /// # Errors
    /// If it was given without a dataset.
    pub(in crate::commands) fn refuse_json(&self) -> Result<(), Error> {
        match self.json && self.input.is_none() {
            true => Err(Error::Usage("`--json` goes with `-i DIR`".into())),
            false => Ok(()),
        }
    }
}

impl OutputArgs {
    /// Returns where the dataset is written.
    ///
    /// # Errors
    /// If that was not said.
    pub(in crate::commands) fn required(&self) -> Result<&Path, Error> {
        let output = self.output.as_deref();
        output.ok_or_else(|| missing("-o DIR", "says where the dataset is written"))
    }

    /// Returns how files come into a new folder.
    pub(in crate::commands) fn serialization(&self) -> Serialization {
        match self.serialization {
            None | Some(Mode::CreateNewFile) => Serialization::CreateNewFile,
            Some(Mode::DeepCopy) => Serialization::DeepCopy,
            Some(Mode::HardLink) => Serialization::HardLink,
            Some(Mode::SymLink) => Serialization::SymLink,
            Some(Mode::RemoteFile) => Serialization::RemoteFile,
        }
    }
}

impl LakeArgs {
    /// Returns the lakes.
    ///
    /// # Errors
    /// If none was named.
    pub(in crate::commands) fn naming(
        &self,
        create: bool,
        insecure_http: bool,
        hash: Option<HashName>,
    ) -> Result<Naming<'_>, Error> {
        match self.remotes.is_empty() {
            true => Err(missing("-r URL", "names a lake")),
            false => Ok(Naming { urls: &self.remotes, create, insecure_http, hash }),
        }
    }
}

fn missing(option: &str, what: &str) -> Error {
    Error::Usage(format!("`{option}` is missing: it {what}"))
}

/// Parses `s3://HOST[:PORT]?OPTIONS`: the address of a bucket without the bucket.
pub(in crate::commands) fn parse_server(text: &str) -> Result<TypedUrl, Error> {
    const ANY_BUCKET: &str = "/any";
    let (server, options) = text.split_once('?').unwrap_or((text, ""));
    let server = server.trim_end_matches('/');
    let address = format!("{server}{ANY_BUCKET}?{options}");
    let typed = TypedUrl::parse(&address, Path::new(""), &Surroundings::default())
        .map_err(|source| Error::Url { text: without_secrets(text).to_owned(), source })?;
    let has_path = !typed.url.to_string().ends_with(&format!("{}{ANY_BUCKET}", typed.url.host()));
    if typed.url.server().is_none() || has_path {
        return Err(Error::Usage(format!(
            "`{}` is no server: `--host` takes `s3://HOST[:PORT]?secure=false:region=NAME`",
            without_secrets(text)
        )));
    }
    Ok(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_options_and_no_path() {
        let typed = parse_server("s3://h:9000?secure=false:region=eu-west-1").expect("a server");
        assert_eq!(typed.url.host(), "h:9000");
        assert_eq!(typed.options.secure, Some(false));
        assert_eq!(typed.options.region.as_deref(), Some("eu-west-1"));
        assert_eq!(parse_server("s3://h/").expect("a server").options.secure, None);
        let typed = parse_server("s3://id:s/ec@h:1?secure=false").expect("with keys");
        assert_eq!(typed.keys.map(|keys| keys.secret), Some("s/ec".to_owned()));
        for bad in
            ["s3://h:9000/bucket?secure=false", "file:///x", "h:9000", "s3://?x", "s3://h?x=1"]
        {
            assert!(parse_server(bad).is_err(), "{bad}");
        }
    }
}
