//! Keys from where the AWS programs have them: files, programs, roles, machines.
//!
//! All of these are found by way of the environment, so each test runs this very program again, with
//! an environment of its own and [`child`] as the only test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use git_lake::access::{Access, KeySource};
use git_lake::lake::contract::Sample;
use tempfile::TempDir;

use crate::common::s3::endpoint::{Endpoint, LIMITS, words};
use crate::common::s3::web::Web;
use crate::common::s3::{Recorded, Rights, S3Server};

/// Is in every secret here, and must be in nothing that is shown.
const CANARY: &str = "canary";

#[test]
#[ignore = "the other tests of this file start it, with an environment of its own"]
#[expect(clippy::print_stdout, reason = "this is how it answers")]
fn child() {
    let Ok(host) = std::env::var("LAKE_HOST") else { return };
    let source = match &*std::env::var("LAKE_SOURCE").unwrap() {
        "web identity" => KeySource::WebIdentity,
        "container" => KeySource::Container,
        "instance" => KeySource::Instance,
        "" => KeySource::Profile { name: None },
        name => KeySource::Profile { name: Some(name.to_owned()) },
    };
    let access = Access { plain_http: true, sources: vec![source], ..Access::default() };
    let keys = git_lake::access::Keys { id: String::new(), secret: String::new(), token: None };
    let mut limits = LIMITS;
    if std::env::var_os("LAKE_IN_A_HURRY").is_some() {
        limits.connect = Duration::from_millis(500);
        limits.stall = Duration::from_millis(500);
    }
    let lake = Endpoint { host, keys }.lake_with("lake", access, limits);
    for number in 0..3_u8 {
        match Sample::new(&[number]).put(&lake) {
            Ok(put) => println!("put: {put:?}"),
            Err(error) => println!("error: {} {error:?}", words(&error)),
        }
    }
}

/// A server, and a folder with the files of a user.
struct Site {
    server: S3Server,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let server = S3Server::start();
        server.add_key("fixed", "canary-fixed", Rights::All);
        server.add_key("passing", "canary-passing", Rights::All);
        server.require_token("passing", "canary-token");
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program for `sh` that profiles can name.
    fn program(&self, text: &str) -> String {
        format!("sh {}", self.write("program", text).display())
    }

    /// Uploads three objects with keys from `source`, and returns what was said about it.
    fn upload(&self, source: &str, variables: &[(&str, &str)]) -> String {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "s3_profiles::child", "--ignored", "--nocapture"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("AWS_CONFIG_FILE", at("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", at("credentials"))
            .env("LAKE_HOST", self.server.host())
            .env("LAKE_SOURCE", source)
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains(CANARY), "{said}");
        said
    }

    /// The same, and expects that all were uploaded with one key.
    #[track_caller]
    fn uploads_as(&self, id: &str, source: &str, variables: &[(&str, &str)]) {
        let said = self.upload(source, variables);
        assert_eq!(said.matches("put: Created").count(), 3, "{said}");
        let is_by = |request: &Recorded| request.access_key_id.as_deref() == Some(id);
        assert!(self.server.take_requests().iter().all(is_by), "{said}");
    }

    /// Counts how often the program was started.
    fn starts(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap().lines().count()
    }

    fn log(&self) -> String {
        path_text(&self.folder.path().join("log"))
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Seconds from now as the documents of AWS write them.
fn after(seconds: i64) -> String {
    use aws_smithy_types::date_time::{DateTime, Format};
    let now = DateTime::from(std::time::SystemTime::now()).secs();
    DateTime::from_secs(now + seconds).fmt(Format::DateTime).unwrap()
}

fn document(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| format!("\"{name}\": \"{value}\"")).collect();
    format!("{{\"Version\": 1, \"Code\": \"Success\", {}}}", fields.join(", "))
}

/// What containers and machines are told.
fn passing(token_name: &str) -> String {
    let expires = after(3600);
    document(&[
        ("AccessKeyId", "passing"),
        ("SecretAccessKey", "canary-passing"),
        (token_name, "canary-token"),
        ("Expiration", &expires),
    ])
}

/// A server of the token service, which says yes.
fn token_service(operation: &'static str) -> Web {
    Web::start(move |_| {
        let expires = after(3600);
        Some((
            200,
            format!(
                "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <{operation}Result><Credentials><AccessKeyId>passing</AccessKeyId>\
                 <SecretAccessKey>canary-passing</SecretAccessKey>\
                 <SessionToken>canary-token</SessionToken><Expiration>{expires}</Expiration>\
                 </Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
                 <AssumedRoleId>r:s</AssumedRoleId></AssumedRoleUser></{operation}Result>\
                 </{operation}Response>"
            ),
        ))
    })
}

const FIXED: &str = "aws_access_key_id = fixed\naws_secret_access_key = canary-fixed\n";

#[test]
fn profiles_have_keys_in_files() {
    let site = Site::new();
    site.server.add_key("named", "canary-named", Rights::All);
    let named = "aws_access_key_id = named\naws_secret_access_key = canary-named\n";
    site.write("credentials", &format!("[default]\n{FIXED}[other]\n{named}"));
    site.uploads_as("fixed", "", &[]);
    let site = Site { server: S3Server::start(), ..site };
    site.server.add_key("named", "canary-named", Rights::All);
    site.uploads_as("named", "other", &[]);
    let site = Site { server: S3Server::start(), ..site };
    site.server.add_key("named", "canary-named", Rights::All);
    site.uploads_as("named", "", &[("AWS_PROFILE", "other")]);
}

#[test]
fn without_files_there_are_no_keys_and_the_error_says_so() {
    let site = Site::new();
    let said = site.upload("", &[]);
    assert!(said.contains("none were found in the AWS profile"), "{said}");
    assert!(said.contains("it was asked without keys"), "{said}");
    let said = site.upload("absent", &[]);
    assert!(said.contains("the AWS profile `absent`"), "{said}");
}

#[test]
fn a_program_gives_keys_and_is_asked_once() {
    let site = Site::new();
    let says = passing("SessionToken");
    let program = site.program(&format!("echo x >> {}\ncat <<END\n{says}\nEND\n", site.log()));
    site.write("config", &format!("[default]\ncredential_process = {program}\n"));
    site.uploads_as("passing", "", &[]);
    assert_eq!(site.starts(), 1);
}

#[test]
fn keys_that_expire_soon_are_asked_for_again() {
    let site = Site::new();
    // One that is valid for less time than a request may take.
    let says = document(&[
        ("AccessKeyId", "passing-$COUNT"),
        ("SecretAccessKey", "canary-passing"),
        ("Expiration", &after(4)),
    ]);
    for number in 1..20 {
        site.server.add_key(&format!("passing-{number}"), "canary-passing", Rights::All);
    }
    let log = site.log();
    let program = format!("echo x >> {log}\nCOUNT=$(grep -c x {log})\ncat <<END\n{says}\nEND\n");
    let program = site.program(&program);
    site.write("config", &format!("[default]\ncredential_process = {program}\n"));
    let said = site.upload("", &[]);
    assert_eq!(said.matches("put: Created").count(), 3, "{said}");
    let mut ids: Vec<_> =
        site.server.take_requests().into_iter().map(|request| request.access_key_id).collect();
    ids.dedup();
    assert!(ids.len() >= 3, "{ids:?}");
}

#[test]
fn a_program_that_gives_nonsense_is_named_and_not_quoted() {
    for text in
        ["echo canary-of-nonsense", "echo '{\"SecretAccessKey\": \"canary-half\"}'", "exit 3"]
    {
        let site = Site::new();
        let program = site.program(text);
        let line =
            format!("[default]\ncredential_process = {program} --password=canary-argument\n");
        site.write("config", &line);
        let said = site.upload("", &[]);
        assert!(said.contains("the AWS profile: "), "{said}");
    }
}

#[test]
fn a_role_is_assumed() {
    let site = Site::new();
    let service = token_service("AssumeRole");
    let role = "[default]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = base\n";
    site.write("config", role);
    site.write("credentials", &format!("[base]\n{FIXED}"));
    let address = format!("http://{}", service.host());
    site.uploads_as("passing", "", &[("AWS_ENDPOINT_URL_STS", &address)]);
    let asked = service.requests();
    assert!(asked[0].contains("Action=AssumeRole&"), "{asked:?}");
    assert!(asked[0].contains("Credential=fixed/"), "{asked:?}");
    assert!(!asked[0].contains(CANARY), "{asked:?}");
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_role_that_is_refused_is_said() {
    let site = Site::new();
    let service = Web::start(|_| {
        let text = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                    <Message>You may not be that.</Message></Error></ErrorResponse>";
        Some((403, text.to_owned()))
    });
    let role = "[default]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = base\n";
    site.write("config", role);
    site.write("credentials", &format!("[base]\n{FIXED}"));
    let address = format!("http://{}", service.host());
    let said = site.upload("", &[("AWS_ENDPOINT_URL_STS", &address)]);
    assert!(said.contains("the AWS profile: ") && said.contains("You may not be that"), "{said}");
}

#[test]
fn a_web_identity_is_traded_for_keys() {
    let site = Site::new();
    let service = token_service("AssumeRoleWithWebIdentity");
    let token = path_text(&site.write("token", "canary-identity"));
    let address = format!("http://{}", service.host());
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*token),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/lake"),
        ("AWS_ENDPOINT_URL_STS", &*address),
    ];
    site.uploads_as("passing", "web identity", &variables);
    let asked = service.requests();
    assert!(asked[0].contains("WebIdentityToken=canary-identity"), "{asked:?}");
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_container_has_a_role() {
    let site = Site::new();
    let service = Web::start(|_| Some((200, passing("Token"))));
    let address = format!("http://{}/role", service.host());
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*address),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-pod"),
    ];
    site.uploads_as("passing", "container", &variables);
    let asked = service.requests();
    assert!(asked[0].starts_with("GET /role ") && asked[0].contains("canary-pod"), "{asked:?}");
    assert_eq!(asked.len(), 1);
}

#[test]
fn a_machine_has_a_role() {
    let site = Site::new();
    let service = Web::start(|request| {
        let path = request.split(' ').nth(1).unwrap();
        Some(match path {
            "/latest/api/token" => (200, "canary-metadata".to_owned()),
            _ if path.ends_with("/security-credentials/") => (200, "lake-role".to_owned()),
            _ if path.ends_with("/security-credentials/lake-role") => (200, passing("Token")),
            _ => (404, String::new()),
        })
    });
    let address = format!("http://{}", service.host());
    site.uploads_as("passing", "instance", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)]);
    let roles = service.requests().iter().filter(|it| it.contains("/lake-role ")).count();
    assert_eq!(roles, 1);
}

#[test]
fn a_machine_that_is_not_to_be_asked_is_not() {
    let site = Site::new();
    let service = Web::start(|_| Some((500, String::new())));
    let address = format!("http://{}", service.host());
    let variables =
        [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*address), ("AWS_EC2_METADATA_DISABLED", "true")];
    let said = site.upload("instance", &variables);
    assert!(said.contains("none were found in the machine's role"), "{said}");
    assert_eq!(service.connections(), 0);
}

#[test]
fn keys_that_cannot_be_renewed_are_given_up_and_said() {
    let site = Site::new();
    let says = document(&[
        ("AccessKeyId", "fixed"),
        ("SecretAccessKey", "canary-fixed"),
        ("Expiration", &after(4)),
    ]);
    let log = site.log();
    let program = format!(
        "echo x >> {log}\n[ $(grep -c x {log}) -gt 1 ] && exit 3\ncat <<END\n{says}\nEND\n"
    );
    let program = site.program(&program);
    site.write("config", &format!("[default]\ncredential_process = {program}\n"));
    let said = site.upload("", &[]);
    assert!(said.contains("the keys from the AWS profile were of no use any more: "), "{said}");
    assert!(!said.contains("Created"), "{said}");
}

#[test]
fn a_service_that_never_answers_is_not_waited_for_without_end() {
    let site = Site::new();
    let service = Web::start(|_| None);
    let role = "[default]\nrole_arn = arn:aws:iam::1:role/lake\nsource_profile = base\n";
    site.write("config", role);
    site.write("credentials", &format!("[base]\n{FIXED}"));
    let address = format!("http://{}", service.host());
    let started = Instant::now();
    let said = site.upload("", &[("AWS_ENDPOINT_URL_STS", &*address), ("LAKE_IN_A_HURRY", "")]);
    assert!(said.contains("the AWS profile: there was no answer in time"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
