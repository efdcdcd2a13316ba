//! Addresses: one normal form, in which nothing is hidden, and no secret in what is shown.

use std::path::Path;

use git_lake::lake_url::host::{Host, aws_endpoint};
use git_lake::lake_url::typed::{Endpoint, Surroundings, TypedUrl, without_secrets};
use git_lake::lake_url::{LakeUrl, Scheme, SourceUrl};

/// What a typed address has in its password.
const SECRET: &str = "CANARY";

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match LakeUrl::parse(text) {
        Ok(url) => is_normal(&url),
        Err(error) => drop(error.to_string()),
    }
    if let Ok(source) = SourceUrl::parse_normal(text) {
        assert_eq!(source.to_string(), text);
        is_normal(&source.lake);
    }
    if let Ok(host) = Host::parse(text) {
        assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
        assert!(!host.name().starts_with('-') && host.to_string().is_ascii());
        assert!(host.is_same(&host, true));
        aws_endpoint(host.name());
    }
    let endpoint = Endpoint::parse(text);
    for around in
        [Surroundings::default(), Surroundings { region: Some("eu-west-1".into()), endpoint }]
    {
        typed(text, &around);
        no_secret_is_shown(text, &around);
    }
}

/// Nothing in the text is more than it seems, and what is made of it is the same again.
fn is_normal(url: &LakeUrl) {
    let text = url.to_string();
    assert_eq!(LakeUrl::parse(&text).as_ref(), Ok(url));
    let is_plain = |c: u8| c.is_ascii_graphic() && !b"@?#\\\"'<>|`$;&*(){}!^,+=".contains(&c);
    assert!(text.bytes().all(is_plain), "{text}");
    assert!(!text.ends_with('/') && !text.contains("/../") && !text.contains("/./"), "{text}");
    match url.scheme() {
        Scheme::File => {
            let folder = url.folder().expect("a folder");
            assert!(folder.is_absolute());
            assert_eq!(LakeUrl::from_folder(&folder).as_ref(), Ok(url));
            assert!(url.server().is_none() && url.bucket().is_none());
        }
        Scheme::S3 => {
            let (bucket, prefix) = url.bucket().expect("a bucket");
            assert!(!bucket.is_empty() && (prefix.is_empty() || prefix.ends_with('/')));
            assert!(!bucket.chars().chain(prefix.chars()).any(|c| c.is_ascii_control()));
            assert!(url.server().is_some() && url.folder().is_none());
        }
    }
}

fn typed(text: &str, around: &Surroundings) {
    match TypedUrl::parse(text, Path::new("/work"), around) {
        Ok(typed) => {
            is_normal(&typed.url);
            drop((typed.doubt(), format!("{typed:?}")));
            if let Some(keys) = &typed.keys {
                let all = [Some(&keys.id), Some(&keys.secret), keys.token.as_ref()];
                for part in all.into_iter().flatten() {
                    assert!(!part.is_empty() && !part.chars().any(char::is_control));
                }
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Whatever stands around it, a password and a session token that were typed are not shown.
fn no_secret_is_shown(text: &str, around: &Surroundings) {
    let (before, behind) = text.split_at(text.find('|').unwrap_or(text.len()));
    let behind = behind.trim_start_matches('|');
    for typed in [
        format!("s3://AK:{before}{SECRET}@{behind}"),
        format!("s3://AK:{SECRET}{before}@{behind}"),
        format!("https://AK:{before}{SECRET}@{behind}"),
        format!("s3://AK:{before}@host/bucket?session={SECRET}{behind}"),
    ] {
        let shown = match TypedUrl::parse(&typed, Path::new("/work"), around) {
            Ok(typed) => format!("{} {typed:?} {:?}", typed.url, typed.doubt()),
            Err(error) => format!("{error} {error:?}"),
        };
        // What is stored holds no keys, so what looks like them is a path, where it can be one.
        let stored = LakeUrl::parse(&typed).err().map(|error| format!("{error} {error:?}"));
        let stored = stored.unwrap_or_default();
        let shown = format!("{shown} {stored} {}", without_secrets(&typed));
        assert!(!shown.to_ascii_uppercase().contains(SECRET), "{typed}: {shown}");
    }
}
