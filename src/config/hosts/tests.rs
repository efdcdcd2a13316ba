//! Every source of keys, every rule of trust, and what wins.

use std::path::Path;

use super::*;
use crate::config::tests::resolve;
use crate::fs::{Shared, write_atomic};
use crate::lake_url::typed;

struct NoKeys;

impl CredentialHelper for NoKeys {
    fn fill(&self) -> Option<Keys> {
        None
    }

    fn approve(&self, _: &Keys) {}

    fn reject(&self, _: &Keys) {}
}

/// One clone in one environment, with an empty home.
struct Case {
    toml: String,
    git: Vec<(&'static str, &'static str)>,
    variables: Vec<(&'static str, &'static str)>,
    typed: Vec<&'static str>,
    has_helper: bool,
    home: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            toml: String::new(),
            git: Vec::new(),
            variables: Vec::new(),
            typed: Vec::new(),
            has_helper: false,
            home: tempfile::tempdir().expect("a folder"),
        }
    }

    fn with_keys() -> Self {
        let keys = [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "SKENV")];
        Self { variables: keys.to_vec(), ..Self::new() }
    }

    fn git(mut self, key: &'static str, value: &'static str) -> Self {
        self.git.push((key, value));
        self
    }

    fn var(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn typed(mut self, url: &'static str) -> Self {
        self.typed.push(url);
        self
    }

    fn helper(mut self) -> Self {
        self.has_helper = true;
        self
    }

    /// Adds a remote to the committed settings.
    fn remote(mut self, name: &str, url: &str, more: &str) -> Self {
        self.toml += &format!("[[remote]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n");
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
        write_atomic(&path, text.as_bytes(), Shared::No).expect("writes");
        self
    }

    fn ask(&self, url: &str) -> Access {
        let (config, warnings) = resolve(&format!("version = 1\n{}", self.toml), &self.git);
        assert_eq!(warnings, []);
        let helper: Box<HelperFactory> = Box::new(|_, _| Arc::new(NoKeys));
        let hosts = Hosts::new(config, self.has_helper.then_some(helper));
        let variable = |name: &str| {
            let found = self.variables.iter().rev().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let around = Surroundings::gather(&variable, Some(self.home.path()));
        assert!(hosts.surroundings.set(around).is_ok(), "nothing was read before");
        for typed in &self.typed {
            let around = typed::Surroundings::default();
            hosts.hear(&TypedUrl::parse(typed, Path::new("/"), &around).expect(typed));
        }
        hosts.access_to(&LakeUrl::parse(url).expect(url))
    }

    /// Returns where keys come from, in short.
    fn sources(&self, url: &str) -> Vec<String> {
        self.ask(url).sources.iter().map(KeySource::describe).collect()
    }

    /// Returns whether keys of the environment go to the server, else why not.
    fn ambient(&self, url: &str) -> Result<(), Withheld> {
        let access = self.ask(url);
        let is_sent = access
            .sources
            .iter()
            .any(|source| matches!(source, KeySource::Known { keys, .. } if keys.id == "AKENV"));
        assert_ne!(is_sent, access.withheld.is_some(), "{access:?}");
        access.withheld.map_or(Ok(()), Err)
    }
}

const HOST: &str = "s3://minio.example.com:9000/b";
const AWS: &str = "s3://s3.eu-west-1.amazonaws.com/b";
const MC: &str = r#"{"version": "10", "aliases": {
    "lab": {"url": "https://minio.example.com:9000", "accessKey": "AKLAB", "secretKey": "SKLAB"},
    "half": {"url": "https://half.example.com", "accessKey": "AKHALF", "secretKey": ""},
    "s3": {"url": "https://s3.amazonaws.com", "accessKey": "AKS3", "secretKey": "SKS3"},
    "plain": {"url": "http://plain.example.com:9000", "accessKey": "AKP", "secretKey": "SKP"}}}"#;

#[test]
fn keys_without_a_host_go_only_to_trusted_ones() {
    let (yes, no) = (Ok(()), Err(Withheld::Untrusted));
    let table = [
        (Case::with_keys(), AWS, yes),
        (Case::with_keys(), "s3://b.s3.eu-west-1.amazonaws.com/x", yes),
        (Case::with_keys(), "s3://s3.amazonaws.com:443/b", yes),
        (Case::with_keys(), "s3://evil.amazonaws.com/b", no),
        (Case::with_keys(), "s3://s3.eu-west-1.amazonaws.com:8443/b", no),
        (
            Case::with_keys().git("lake.s3.amazonaws.com.secure", "false"),
            "s3://s3.amazonaws.com/b",
            no,
        ),
        (Case::with_keys(), HOST, no),
        (Case::with_keys(), "s3://localhost:9000/b", yes),
        (Case::with_keys(), "s3://127.0.0.1:9000/b", yes),
        (Case::with_keys(), "s3://[::1]/b", yes),
        (Case::with_keys().git("lake.trustLoopback", "false"), "s3://localhost:9000/b", no),
        (Case::with_keys().git("lake.trustedHost", "minio.example.com:9000"), HOST, yes),
        (Case::with_keys().git("lake.trustedHost", "a\nMinio.Example.com:9000"), HOST, yes),
        (Case::with_keys().git("lake.trustedHost", "minio.example.com"), HOST, no),
        (Case::with_keys().git("lake.trustedHost", "minio.example.com:9001"), HOST, no),
        (Case::with_keys().git("lake.trustedHost", "example.com:9000"), HOST, no),
        (Case::with_keys().git("lake.trustedHost", "h"), "s3://h/b", yes),
        (Case::with_keys().git("lake.trustedHost", "h:443"), "s3://h/b", yes),
        (Case::with_keys().git("lake.trustedHost", "h:80"), "s3://h/b", no),
        (Case::with_keys().var("GIT_LAKE_TRUST", "a, minio.example.com:9000"), HOST, yes),
        (Case::with_keys().var("GIT_LAKE_TRUST", "a minio.example.com:9000 b"), HOST, yes),
        (Case::with_keys().var("GIT_LAKE_TRUST", "minio.example.com"), HOST, no),
        (Case::with_keys().var("AWS_ENDPOINT_URL", "https://minio.example.com:9000"), HOST, yes),
        (
            Case::with_keys().var("AWS_ENDPOINT_URL_S3", "https://minio.example.com:9000/"),
            HOST,
            yes,
        ),
        (Case::with_keys().var("AWS_ENDPOINT_URL", "https://minio.example.com"), HOST, no),
        (Case::with_keys().typed("s3://minio.example.com:9000/other"), HOST, yes),
        (Case::with_keys().typed("s3://minio.example.com/b"), HOST, no),
        // What is committed trusts nobody.
        (Case::with_keys().remote("team", HOST, "region = \"x\"\nsecure = true"), HOST, no),
    ];
    for (at, (case, url, expected)) in table.into_iter().enumerate() {
        assert_eq!(case.ambient(url), expected, "case {at}: {url}");
    }
}

#[test]
fn committed_settings_do_not_send_keys_over_plain_http() {
    let (yes, no) = (Ok(()), Err(Withheld::PlainHttp));
    let trusted = || {
        let case = Case::with_keys().git("lake.trustedHost", "minio.example.com:9000");
        case.remote("team", HOST, "secure = false")
    };
    let own = "lake.minio.example.com:9000.secure";
    let endpoint = "http://minio.example.com:9000";
    let table = [
        (trusted(), no),
        (trusted().git("lake.team.secure", "false"), yes),
        (trusted().git(own, "false"), yes),
        (trusted().var("AWS_ENDPOINT_URL", endpoint), yes),
        (trusted().var("AWS_ENDPOINT_URL", "https://minio.example.com:9000"), no),
        (trusted().typed("s3://minio.example.com:9000/b?secure=false"), yes),
        (trusted().typed("s3://AKENV:SK@minio.example.com:9000/b"), no),
        (trusted().typed("s3://h:9000/b?secure=false"), no),
    ];
    for (at, (case, expected)) in table.into_iter().enumerate() {
        let access = case.ask(HOST);
        assert!(access.plain_http, "case {at}");
        assert_eq!(case.ambient(HOST), expected, "case {at}");
        assert_eq!(access.sources.is_empty(), expected.is_err(), "case {at}");
    }
    // Not even what is bound to the server.
    let bound = trusted().helper().git("lake.minio.example.com:9000.profile", "lab");
    assert_eq!(bound.sources(HOST), [""; 0]);
    let local = Case::with_keys().remote("local", "s3://localhost:9000/b", "secure = false");
    assert_eq!(local.ambient("s3://localhost:9000/b"), Ok(()));
    // A host without a port is trusted at 80 when http is spoken.
    let plain = Case::with_keys().git("lake.h.secure", "false").git("lake.trustedHost", "h");
    assert_eq!(plain.ambient("s3://h/b"), Ok(()));
    assert_eq!(plain.ambient("s3://h:443/b"), Ok(()), "https is spoken there");
}

#[test]
fn https_is_spoken_unless_somebody_says_otherwise() {
    let committed = |flag: bool| Case::new().remote("team", HOST, &format!("secure = {flag}"));
    let other = "s3://minio.example.com:9000/other";
    let endpoint = "http://minio.example.com:9000";
    let table = [
        (Case::new(), HOST, false),
        (committed(false), HOST, true),
        (committed(false), other, true),
        (committed(false), "s3://minio.example.com/b", false),
        (committed(false).remote("here", other, "secure = true"), other, false),
        (committed(false).git("lake.team.secure", "true"), HOST, false),
        (committed(true).git("lake.minio.example.com:9000.secure", "false"), HOST, true),
        (
            Case::new()
                .remote("team", HOST, "")
                .git("lake.team.secure", "true")
                .git("lake.minio.example.com:9000.secure", "false"),
            HOST,
            false,
        ),
        (Case::new().git("lake.minio.example.com:9000.secure", "false"), HOST, true),
        (Case::new().var("AWS_ENDPOINT_URL", endpoint), HOST, true),
        (Case::new().var("AWS_ENDPOINT_URL", "http://h:80"), "s3://h/b", true),
        (Case::new().var("AWS_ENDPOINT_URL", "http://h"), "s3://h:80/b", true),
        (Case::new().var("AWS_ENDPOINT_URL", "http://h"), "s3://h:443/b", false),
        (committed(true).var("AWS_ENDPOINT_URL", endpoint), HOST, false),
        (Case::new().var("AWS_ENDPOINT_URL", endpoint), "s3://minio.example.com/b", false),
        (committed(true).typed("s3://minio.example.com:9000/b?secure=false"), HOST, true),
        (committed(false).typed("s3://minio.example.com:9000/b?secure=true"), HOST, false),
        // Options of the address apply before those of the same server.
        (
            Case::new()
                .typed("s3://minio.example.com:9000/b?secure=false")
                .typed("s3://minio.example.com:9000/other?secure=true"),
            HOST,
            true,
        ),
    ];
    for (at, (case, url, plain_http)) in table.into_iter().enumerate() {
        assert_eq!(case.ask(url).plain_http, plain_http, "case {at}: {url}");
    }
}

#[test]
fn the_region_is_the_first_that_somebody_names() {
    let committed = || Case::new().remote("team", HOST, "region = \"committed\"");
    let table = [
        (Case::new(), HOST, None),
        (Case::new(), AWS, Some("eu-west-1")),
        (Case::new().var("AWS_REGION", "around"), HOST, Some("around")),
        (Case::new().var("AWS_DEFAULT_REGION", "around"), HOST, Some("around")),
        (Case::new().var("AWS_REGION", "around"), AWS, Some("eu-west-1")),
        (Case::new().var("AWS_REGION", "around"), "s3://s3.amazonaws.com/b", None),
        (committed().var("AWS_REGION", "around"), HOST, Some("committed")),
        (committed(), "s3://minio.example.com:9000/other", Some("committed")),
        (committed(), "s3://minio.example.com:9001/b", None),
        (committed().git("lake.team.region", "own"), HOST, Some("own")),
        (committed().git("lake.minio.example.com:9000.region", "own"), HOST, Some("own")),
        (committed().typed("s3://minio.example.com:9000/b?region=typed"), HOST, Some("typed")),
        (Case::new().remote("team", HOST, "region = \"a\\nb\""), HOST, None),
    ];
    for (at, (case, url, region)) in table.into_iter().enumerate() {
        assert_eq!(case.ask(url).region.as_deref(), region, "case {at}: {url}");
    }
}

#[test]
fn all_sources_stand_in_their_order() {
    let case = Case::with_keys()
        .typed("s3://AK:SK@minio.example.com:9000/b")
        .helper()
        .git("lake.minio.example.com:9000.profile", "lab")
        .git("lake.instanceRole", "true")
        .var("MINIO_ACCESS_KEY", "AKM")
        .var("MINIO_SECRET_KEY", "SKM")
        .var("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
        .var("AWS_ROLE_ARN", "arn:x")
        .var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")
        .file(".aws/credentials", "")
        .file(".mc/config.json", MC);
    let all = [
        "`git credential`",
        "the AWS profile `lab`",
        "`AWS_ACCESS_KEY_ID`",
        "`MINIO_ACCESS_KEY`",
        "the AWS profile",
        "the web identity of `AWS_ROLE_ARN`",
        "the container's role",
        "the machine's role",
        "the alias `lab` of `~/.mc/config.json`",
    ];
    // Whoever types keys means these.
    assert_eq!(case.sources(HOST), ["the address"]);
    assert!(case.ask(HOST).is_exclusive);
    let named = Case { typed: vec!["s3://minio.example.com:9000/b"], ..case };
    assert_eq!(named.sources(HOST), all);
    assert!(!named.ask(HOST).is_exclusive);
    // Of an untrusted server, only what is bound to it.
    let untrusted = Case { typed: Vec::new(), ..named };
    assert_eq!(untrusted.sources(HOST), [all[0], all[1], all[8]]);
    assert_eq!(untrusted.ask(HOST).withheld, Some(Withheld::Untrusted));
    let said = format!("{:?}", untrusted.ask(HOST));
    assert!(!said.contains("SK"), "{said}");
}

#[test]
fn a_profile_by_name_is_bound_to_no_server() {
    let case = || Case::new().remote("team", HOST, "").git("lake.team.profile", "lab");
    assert_eq!(case().ask(HOST).withheld, Some(Withheld::Untrusted));
    assert_eq!(case().sources(HOST), [""; 0]);
    let trusted = case().git("lake.trustedHost", "minio.example.com:9000");
    assert_eq!(trusted.sources(HOST), ["the AWS profile `lab`"]);
    assert_eq!(case().remote("aws", AWS, "").sources(AWS), ["the machine's role"]);
    // A remote that is called like a host binds nothing to that host.
    let called = Case::new().remote("minio", "s3://minio/b", "").git("lake.minio.profile", "lab");
    assert_eq!(called.ask("s3://minio/b").withheld, Some(Withheld::Untrusted));
    let host = Case::new().git("lake.minio.profile", "lab");
    assert_eq!(host.sources("s3://minio/b"), ["the AWS profile `lab`"]);
}

#[test]
fn roles_are_asked_only_where_they_may_help() {
    assert_eq!(Case::new().sources(AWS), ["the machine's role"]);
    let disabled = Case::new().var("AWS_EC2_METADATA_DISABLED", "TRUE");
    assert_eq!(disabled.sources(AWS), [""; 0]);
    assert_eq!(Case::new().sources("s3://localhost:9000/b"), [""; 0]);
    let role = Case::new().git("lake.instanceRole", "true");
    assert_eq!(role.sources("s3://localhost:9000/b"), ["the machine's role"]);
    assert_eq!(role.ask(HOST).withheld, Some(Withheld::Untrusted));
    // Half of what a web identity needs.
    let half = Case::new().var("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    assert_eq!(half.sources("s3://localhost/b"), [""; 0]);
    let full = Case::new().var("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x");
    assert_eq!(full.sources("s3://localhost/b"), ["the container's role"]);
}

#[test]
fn incomplete_pairs_are_skipped_whole_and_named() {
    let half = Case::new()
        .var("AWS_ACCESS_KEY_ID", "AK")
        .var("MINIO_ACCESS_KEY", "AKM")
        .var("MINIO_SECRET_KEY", "SKM");
    assert_eq!(half.sources("s3://localhost/b"), ["`MINIO_ACCESS_KEY`"]);
    assert_eq!(
        half.ask("s3://localhost/b").looked_at,
        [
            "`AWS_ACCESS_KEY_ID` without `AWS_SECRET_ACCESS_KEY`",
            "`~/.aws/credentials`",
            "`~/.aws/config`",
            "`~/.mc/config.json`"
        ]
    );
    let looked = |case: Case| case.ask("s3://localhost/b").looked_at.swap_remove(0);
    assert_eq!(looked(Case::new()), "the environment");
    let secret = Case::new().var("AWS_SECRET_KEY", "SK").var("AWS_ACCESS_KEY", "");
    assert_eq!(looked(secret), "`AWS_SECRET_KEY` without `AWS_ACCESS_KEY_ID`");
    let broken = Case::with_keys().var("AWS_SESSION_TOKEN", "a\nb");
    assert_eq!(looked(broken), "`AWS_ACCESS_KEY_ID`, which holds a control character");
    let endpoint = Case::with_keys().var("AWS_ENDPOINT_URL", "minio:9000");
    assert_eq!(looked(endpoint), "`AWS_ENDPOINT_URL`, which is no address of a server");
    let trust = Case::with_keys().var("GIT_LAKE_TRUST", "https://h,h:9");
    assert!(
        trust.ask(HOST).looked_at.contains(&"`GIT_LAKE_TRUST`, of which a part is no host".into())
    );
    let alias = Case::with_keys().file(".mc/config.json", MC).ask("s3://half.example.com/b");
    let half = "the alias `half` of `~/.mc/config.json`, which lacks a key".to_owned();
    assert!(alias.looked_at.contains(&half), "{alias:?}");
}

#[test]
fn the_older_names_of_variables_are_known() {
    let case = Case::new()
        .var("AWS_ACCESS_KEY", "AK")
        .var("AWS_SECRET_KEY", "SK")
        .var("AWS_SESSION_TOKEN", "TOKEN");
    let access = case.ask("s3://localhost/b");
    let [KeySource::Known { origin, keys }] = &access.sources[..] else { panic!("{access:?}") };
    assert_eq!(
        (origin.as_str(), keys.id.as_str(), keys.secret.as_str()),
        ("`AWS_ACCESS_KEY`", "AK", "SK")
    );
    assert_eq!(keys.token.as_deref(), Some("TOKEN"));
}

#[test]
fn profiles_need_a_file() {
    let url = "s3://localhost/b";
    assert_eq!(Case::new().var("AWS_PROFILE", "x").sources(url), [""; 0]);
    assert_eq!(Case::new().file(".aws/config", "").sources(url), ["the AWS profile"]);
    let elsewhere = Case::new().file(".aws/credentials", "");
    let elsewhere = elsewhere.var("AWS_SHARED_CREDENTIALS_FILE", "/does/not/exist");
    assert_eq!(elsewhere.sources(url), [""; 0]);
    let looked_at = elsewhere.ask(url).looked_at;
    assert!(
        looked_at.contains(&"the file of `AWS_SHARED_CREDENTIALS_FILE`".to_owned()),
        "{looked_at:?}"
    );
}

#[test]
fn aliases_of_mc_are_bound_to_their_address() {
    let case = || Case::new().file(".mc/config.json", MC);
    let lab = ["the alias `lab` of `~/.mc/config.json`"];
    let s3 = ["the alias `s3` of `~/.mc/config.json`"];
    assert_eq!(case().sources(HOST), lab);
    assert_eq!(case().ask(HOST).withheld, None);
    // Any other server gets that of `s3`, if it is trusted.
    assert_eq!(case().sources("s3://localhost/b"), s3);
    assert_eq!(case().ask("s3://h/b").withheld, Some(Withheld::Untrusted));
    assert_eq!(case().var("MINIO_ALIAS", "lab").sources("s3://localhost/b"), lab);
    assert_eq!(case().var("MINIO_ALIAS", "half").sources("s3://localhost/b"), [""; 0]);
    // Keys of an http alias are not for https, and the other way round.
    assert_eq!(case().sources("s3://plain.example.com:9000/b"), [""; 0]);
    let plain = case().git("lake.plain.example.com:9000.secure", "false");
    assert_eq!(
        plain.sources("s3://plain.example.com:9000/b"),
        ["the alias `plain` of `~/.mc/config.json`"]
    );
    let http = case().git("lake.minio.example.com:9000.secure", "false");
    assert_eq!(http.sources(HOST), [""; 0]);
    // The older name of the table, and the folder of Windows.
    let old = Case::new().file("mc/config.json", &MC.replace("aliases", "hosts"));
    assert_eq!(old.sources(HOST), ["the alias `lab` of `~/mc/config.json`"]);
    let damaged = Case::new().file(".mc/config.json", "{");
    let looked_at = damaged.ask(HOST).looked_at;
    let said = "`~/.mc/config.json`, which is not readable as JSON".to_owned();
    assert!(looked_at.contains(&said), "{looked_at:?}");
}

#[test]
fn insteadof_applies_before_trust() {
    let case = Case::with_keys()
        .remote("team", HOST, "secure = false")
        .git("url.s3://new.example.com/.insteadOf", "s3://minio.example.com:9000/");
    let access = case.ask("s3://new.example.com/b");
    assert!(access.plain_http, "the remote is found where it is opened");
    assert_eq!(access.withheld, Some(Withheld::PlainHttp));
}

#[test]
fn remotes_that_become_known_later_count() {
    let (config, _) = resolve("version = 1\n", &[]);
    let hosts = Hosts::new(config, None);
    assert!(hosts.surroundings.set(Surroundings::default()).is_ok());
    let url = LakeUrl::parse(HOST).expect("an address");
    assert!(!hosts.access_to(&url).plain_http);
    hosts.learn(&[Remote { secure: Some(false), ..Remote::new("old".into(), url.clone()) }]);
    let access = hosts.access_to(&url);
    assert!(access.plain_http);
    assert_eq!(access.withheld, Some(Withheld::PlainHttp));
}

#[test]
fn accepted_keys_are_kept_by_git_for_the_server_they_were_typed_for() {
    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);
    impl CredentialHelper for Log {
        fn fill(&self) -> Option<Keys> {
            None
        }
        fn approve(&self, keys: &Keys) {
            self.0.lock().expect("no holder panics").push(keys.id.clone());
        }
        fn reject(&self, _: &Keys) {}
    }
    let log = Arc::new(Log::default());
    let (config, _) = resolve("version = 1\n", &[]);
    let given = Arc::clone(&log);
    let helper = move |host: &Host, plain_http: bool| -> Arc<dyn CredentialHelper> {
        given.0.lock().expect("no holder panics").push(format!("{host} {plain_http}"));
        given.clone()
    };
    let hosts = Hosts::new(config, Some(Box::new(helper)));
    assert!(hosts.surroundings.set(Surroundings::default()).is_ok());
    let typed = "s3://AK:SK@minio.example.com:9000/b?secure=false";
    let typed = TypedUrl::parse(typed, Path::new("/"), &typed::Surroundings::default());
    let typed = typed.expect("an address");
    hosts.hear(&typed);
    hosts.keep(&typed.url, typed.keys.as_ref().expect("keys"));
    let log = log.0.lock().expect("no holder panics");
    assert_eq!(log.last().map(String::as_str), Some("AK"));
    assert!(log.contains(&"minio.example.com:9000 true".to_owned()), "{log:?}");
}

#[test]
fn a_folder_has_no_server() {
    let access = Case::with_keys().helper().ask("file:///mnt/lake");
    assert!(access.sources.is_empty() && access.withheld.is_none());
}
