//! What the environment and the user's own files say about servers and keys.

use std::path::{Path, PathBuf};

use super::mc::{self, Alias};
use crate::access::{KeySource, Keys};
use crate::config::env;
use crate::lake_url::host::Host;
use crate::lake_url::typed::{self, Endpoint};

/// What stands around the program, read once; holds secrets, so it has no `Debug`.
#[derive(Default)]
pub struct Surroundings {
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`, and `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`.
    pub aws: typed::Surroundings,
    /// `GIT_LAKE_TRUST`.
    pub trusted: Vec<Host>,
    /// Keys of the environment, best first.
    pub keys: Vec<KeySource>,
    /// Whether one of the AWS files is there.
    pub has_profiles: bool,
    /// Whether the variables of a web identity are set.
    pub has_web_identity: bool,
    /// Whether the variables of a container's role are set.
    pub has_container: bool,
    /// `AWS_EC2_METADATA_DISABLED`.
    pub is_metadata_disabled: bool,
    /// Servers and keys that the MinIO client knows.
    pub aliases: Vec<Alias>,
    /// The alias that stands for any server: `MINIO_ALIAS`, else `s3`.
    pub default_alias: String,
    /// `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// Where nothing was found, for people.
    pub looked_at: Vec<String>,
}

impl Surroundings {
    /// Reads the environment and the files that it names.
    pub fn read() -> Self {
        Self::gather(&env::text, env::home().as_deref())
    }

    /// Reads what `variable` returns, and files below `home`.
    pub(super) fn gather(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| set(name));
        let mut looked_at = Vec::new();
        let keys = environment_keys(&set, &mut looked_at);
        let endpoint = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).and_then(|text| {
            let endpoint = Endpoint::parse(&text);
            if endpoint.is_none() {
                looked_at.push("`AWS_ENDPOINT_URL`, which is no address of a server".into());
            }
            endpoint
        });
        let has_profiles = has_profiles(&set, home, &mut looked_at);
        let container =
            ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        let is_off = |value: String| value.eq_ignore_ascii_case("true") || value == "1";
        let trusted = set("GIT_LAKE_TRUST").unwrap_or_default();
        let mut hosts = Vec::new();
        for host in trusted.split([',', ' ', '\t']).filter(|host| !host.is_empty()) {
            match Host::parse(host) {
                Ok(host) => hosts.push(host),
                Err(_) => looked_at.push("`GIT_LAKE_TRUST`, of which a part is no host".into()),
            }
        }
        Self {
            trusted: hosts,
            keys,
            has_profiles,
            has_web_identity: set("AWS_WEB_IDENTITY_TOKEN_FILE").is_some()
                && set("AWS_ROLE_ARN").is_some(),
            has_container: first(&container).is_some(),
            is_metadata_disabled: set("AWS_EC2_METADATA_DISABLED").is_some_and(is_off),
            aliases: home.map(|home| mc::read(home, &mut looked_at)).unwrap_or_default(),
            default_alias: set("MINIO_ALIAS").unwrap_or_else(|| "s3".into()),
            ca_bundle: set("AWS_CA_BUNDLE").map(PathBuf::from),
            aws: typed::Surroundings {
                region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
                    .filter(|region| typed::is_region(region)),
                endpoint,
            },
            looked_at,
        }
    }
}

/// Pairs of the environment, as pipelime pairs them; a half is skipped whole.
fn environment_keys(
    set: &dyn Fn(&str) -> Option<String>,
    looked_at: &mut Vec<String>,
) -> Vec<KeySource> {
    let first =
        |names: &[&'static str]| names.iter().find_map(|name| set(name).map(|text| (*name, text)));
    let aws = (
        ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"].as_slice(),
        ["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"].as_slice(),
        set("AWS_SESSION_TOKEN"),
    );
    let minio = (["MINIO_ACCESS_KEY"].as_slice(), ["MINIO_SECRET_KEY"].as_slice(), None);
    let mut found = Vec::new();
    for (ids, secrets, token) in [aws, minio] {
        match (first(ids), first(secrets)) {
            (Some((name, id)), Some((_, secret))) => {
                let keys = Keys { id, secret, token };
                match keys.is_clean() {
                    true => found.push(KeySource::Known { origin: format!("`{name}`"), keys }),
                    false => looked_at.push(format!("`{name}`, which holds a control character")),
                }
            }
            (Some((name, _)), None) => looked_at.push(format!("`{name}` without `{}`", secrets[0])),
            (None, Some((name, _))) => looked_at.push(format!("`{name}` without `{}`", ids[0])),
            (None, None) => {}
        }
    }
    if found.is_empty() && looked_at.is_empty() {
        looked_at.push("the environment".into());
    }
    found
}

fn has_profiles(
    set: &dyn Fn(&str) -> Option<String>,
    home: Option<&Path>,
    looked_at: &mut Vec<String>,
) -> bool {
    let files = [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")];
    let mut is_found = false;
    for (variable, name) in files {
        let (path, shown) = match set(variable) {
            Some(named) => (Some(PathBuf::from(named)), format!("the file of `{variable}`")),
            None => (home.map(|home| home.join(".aws").join(name)), format!("`~/.aws/{name}`")),
        };
        match path.is_some_and(|path| path.is_file()) {
            true => is_found = true,
            false => looked_at.push(shown),
        }
    }
    is_found
}
