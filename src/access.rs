//! How the server of a bucket may be talked to: values that carry a decision, without the reasons.
//!
//! The settings of a clone decide ([`crate::config`]); a lake in a bucket obeys. Secrets have no
//! `Debug` and no `Display`, so they cannot end up in a message by accident.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// An access key with its secret: what signs requests.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id, which is sent with every request.
    pub id: String,
    /// The secret, which never leaves this process but to git's credential helper.
    pub secret: String,
    /// The session token of keys that expire.
    pub token: Option<String>,
}

impl Keys {
    /// Returns true if nothing in the keys could break out of a header or of a line.
    pub fn is_clean(&self) -> bool {
        let texts = [Some(&self.id), Some(&self.secret), self.token.as_ref()];
        !texts.into_iter().flatten().any(|text| text.chars().any(char::is_control))
    }
}

/// Where keys may come from. A list of these is in order: the first that has a complete set wins.
#[derive(Clone)]
pub enum KeySource {
    /// At hand already.
    Known {
        /// Where they were found, for people: "the address", "`AWS_ACCESS_KEY_ID`".
        origin: String,
        /// The keys.
        keys: Keys,
    },
    /// git's credential helpers, asked without a prompt.
    Helper(Arc<dyn CredentialHelper>),
    /// A profile of the AWS files: static keys, SSO, roles to assume, programs that print keys.
    Profile {
        /// Its name; `None` for the one that `AWS_PROFILE` names, else `default`.
        name: Option<String>,
    },
    /// A web identity token, as `AWS_WEB_IDENTITY_TOKEN_FILE` names it.
    WebIdentity,
    /// The role of the container, as `AWS_CONTAINER_CREDENTIALS_…` names its address.
    Container,
    /// The role of the machine, asked at the metadata address.
    Instance,
}

impl KeySource {
    /// Says where the keys come from, in words that fit into a list.
    pub fn describe(&self) -> String {
        match self {
            Self::Known { origin, .. } => origin.clone(),
            Self::Helper(_) => "`git credential`".into(),
            Self::Profile { name: Some(name) } => format!("the AWS profile `{name}`"),
            Self::Profile { name: None } => "the AWS profile".into(),
            Self::WebIdentity => "the web identity of `AWS_ROLE_ARN`".into(),
            Self::Container => "the container's role".into(),
            Self::Instance => "the machine's role".into(),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

/// Why a host gets no keys although there may be some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The user did not say that this host may have keys that are not bound to one.
    Untrusted,
    /// Only the committed settings say that plain http is to be used.
    PlainHttp,
}

impl Withheld {
    /// Says why a server was asked without keys, and how to change that, in words that fit behind
    /// an error: "asked without keys: …".
    pub fn explain(self, host: &str) -> String {
        let quoted = quoted(host);
        match self {
            Self::Untrusted => format!(
                "asked without keys: `{host}` is not trusted with yours (`git lake trust {quoted}`)"
            ),
            Self::PlainHttp => format!(
                "asked without keys: only the settings of the repository say that `{host}` speaks \
                 plain http (`git lake trust --insecure-http {quoted}`)"
            ),
        }
    }
}

/// Writes a host as an argument of a command that is typed; brackets would be taken for a pattern.
pub fn quoted(host: &str) -> String {
    if host.contains('[') { format!("'{host}'") } else { host.to_owned() }
}

/// How requests to the server of one bucket are made, and what they may carry.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Plain http instead of https.
    pub plain_http: bool,
    /// The region that requests are signed for, where somebody named it.
    pub region: Option<String>,
    /// Where keys come from. When all have been tried, the server is asked anonymously.
    pub sources: Vec<KeySource>,
    /// Whether the server is asked with nothing else when it calls the keys wrong, not even anonymously:
    /// the user typed them for it.
    pub is_exclusive: bool,
    /// Why sources are missing in the list.
    pub withheld: Option<Withheld>,
    /// Where sources were looked for that had nothing, for people.
    pub looked_at: Vec<String>,
    /// A file with the certificates to trust instead of the system's (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<PathBuf>,
}

/// git's credential helpers, for one server.
pub trait CredentialHelper: Send + Sync {
    /// Returns the keys that are kept for the server; never asks a person.
    fn fill(&self) -> Option<Keys>;
    /// Hears that keys were accepted.
    fn approve(&self, keys: &Keys);
    /// Hears that the server called keys wrong or expired.
    fn reject(&self, keys: &Keys);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_said_with_the_way_out() {
        assert_eq!(
            Withheld::Untrusted.explain("minio.example.com:9000"),
            "asked without keys: `minio.example.com:9000` is not trusted with yours \
             (`git lake trust minio.example.com:9000`)"
        );
        assert_eq!(
            Withheld::PlainHttp.explain("[2001:db8::1]:9000"),
            "asked without keys: only the settings of the repository say that \
             `[2001:db8::1]:9000` speaks plain http \
             (`git lake trust --insecure-http '[2001:db8::1]:9000'`)"
        );
    }
}
