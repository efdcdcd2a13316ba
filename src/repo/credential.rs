//! git's credential helpers as a place for the keys of buckets: the user name is the key's id, the
//! password its secret.
//!
//! Helpers are asked through `git credential`, by protocol, host and port. Nobody is ever prompted, and
//! a helper that does not answer is given up after ten seconds. No text with a control character goes to
//! git or is taken from it: a line end in one would be another field (CVE-2024-53263).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::process::{Git, variables_of};
use super::{Environment, Repo};
use crate::access::{CredentialHelper, Keys};
use crate::lake_url::host::Host;

/// How long a helper may take.
const LIMIT: Duration = Duration::from_secs(10);
/// What keeps git and its helpers from asking a person. An empty `GIT_ASKPASS` hides `core.askPass` and
/// `SSH_ASKPASS` from git (prompt.c, `git_prompt`); the last is for Git Credential Manager.
const SILENT: [(&str, &str); 4] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", ""),
    ("GCM_INTERACTIVE", "never"),
];
const SETTINGS: [&str; 4] = ["-c", "credential.interactive=false", "-c", "core.askPass="];

/// The credential helpers that git's settings name, in a clone or outside.
#[derive(Debug, Clone)]
pub struct Helpers {
    folder: PathBuf,
    variables: Vec<(OsString, Option<OsString>)>,
}

impl Helpers {
    /// Returns the helpers that the settings of a repository, and its user's, name.
    pub fn of(repo: &Repo) -> Self {
        let folder = repo.work_tree().unwrap_or(repo.git_dir()).to_owned();
        Self { folder, variables: variables_of(repo) }
    }

    /// Returns the helpers that are named for a folder that need not be in a repository.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), variables: Vec::new() }
    }

    /// Returns the helpers for one server; no process is started. Without git there are none.
    pub fn server(&self, host: &Host, plain_http: bool) -> Arc<dyn CredentialHelper> {
        let git = Git::find(&Environment::read(), &self.folder).ok();
        let git = git.map(|git| git.with_variables(self.variables.iter().cloned()));
        Arc::new(Server::new(git, host, plain_http, LIMIT))
    }
}

struct Server {
    git: Option<Git>,
    /// The lines that name the server.
    description: String,
    limit: Duration,
}

impl Server {
    fn new(git: Option<Git>, host: &Host, plain_http: bool, limit: Duration) -> Self {
        let silent = SILENT.map(|(name, value)| (name.into(), Some(value.into())));
        let protocol = if plain_http { "http" } else { "https" };
        Self {
            git: git.map(|git| git.with_variables(silent)),
            description: format!("protocol={protocol}\nhost={host}\n"),
            limit,
        }
    }

    /// Runs `git credential`; keys cannot be had or kept when it fails, which is no error.
    fn run(&self, action: &str, fields: &str) -> Option<Vec<u8>> {
        let args: Vec<&str> = SETTINGS.into_iter().chain(["credential", action]).collect();
        let input = format!("{}{fields}\n", self.description);
        self.git.as_ref()?.run_within(&args, input.into_bytes(), self.limit).ok()
    }

    /// Tells git about keys. Those with a session token expire, and git has no field for it.
    fn tell(&self, action: &str, keys: &Keys) {
        if keys.token.is_none() && is_line(&keys.id) && is_line(&keys.secret) {
            let fields = format!("username={}\npassword={}\n", keys.id, keys.secret);
            // Whether it is kept is between git and the helper.
            drop(self.run(action, &fields));
        }
    }
}

impl CredentialHelper for Server {
    fn fill(&self) -> Option<Keys> {
        let answer = String::from_utf8(self.run("fill", "")?).ok()?;
        let field = |name: &str| {
            let mut lines = answer.split('\n').filter_map(|line| line.split_once('='));
            let value = lines.find(|(key, _)| *key == name).map(|(_, value)| value);
            value.filter(|value| is_line(value)).map(str::to_owned)
        };
        Some(Keys { id: field("username")?, secret: field("password")?, token: None })
    }

    fn approve(&self, keys: &Keys) {
        self.tell("approve", keys);
    }

    fn reject(&self, keys: &Keys) {
        self.tell("reject", keys);
    }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    use super::*;
    use crate::fs::{Shared, write_atomic};
    use crate::repo::testing::TestRepo;

    /// A repository, and a helper that keeps one pair and logs what it is asked.
    struct Case {
        repo: TestRepo,
    }

    impl Case {
        fn new() -> Self {
            let case = Self { repo: TestRepo::new() };
            let (kept, log) = (case.path("kept"), case.path("log"));
            let script = format!(
                "#!/bin/sh\ninput=$(cat)\nprintf '%s\\n%s\\n' \"$1\" \"$input\" >>'{log}'\ncase $1 in\n\
                 get) cat '{kept}' 2>/dev/null ;;\n\
                 store) echo \"$input\" | grep -E '^(username|password)=' >'{kept}' ;;\n\
                 erase) rm -f '{kept}' ;;\nesac\nexit 0\n",
                log = log.display(),
                kept = kept.display(),
            );
            case.program("helper", &script);
            case
        }

        fn path(&self, name: &str) -> PathBuf {
            self.repo.beside(name)
        }

        fn program(&self, name: &str, script: &str) -> PathBuf {
            let path = self.path(name);
            write_atomic(&path, script.as_bytes(), Shared::No).expect("writes");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).expect("sets the mode");
            path
        }

        fn with_helper(self) -> Self {
            let helper = self.path("helper").display().to_string();
            self.repo.run(&["config", "--global", "credential.helper", &helper]);
            self
        }

        fn server(&self, git: Git, host: &str, plain_http: bool) -> Server {
            Server::new(Some(git), &Host::parse(host).expect(host), plain_http, LIMIT)
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.path("log")).unwrap_or_default()
        }
    }

    fn keys(id: &str, secret: &str) -> Keys {
        Keys { id: id.into(), secret: secret.into(), token: None }
    }

    fn pair(keys: Option<Keys>) -> Option<(String, String)> {
        keys.map(|keys| (keys.id, keys.secret))
    }

    #[test]
    fn keys_are_kept_given_and_forgotten() {
        let case = Case::new().with_helper();
        let server = case.server(case.repo.git(), "minio.example.com:9000", false);
        assert_eq!(pair(server.fill()), None);
        server.approve(&keys("AK", "S/K+=é"));
        assert_eq!(pair(server.fill()), Some(("AK".into(), "S/K+=é".into())));
        server.reject(&keys("AK", "S/K+=é"));
        assert_eq!(pair(server.fill()), None);
        let log = case.log();
        let asked = "get\nprotocol=https\nhost=minio.example.com:9000";
        assert!(log.contains(asked), "{log}");
        let stored = "store\nprotocol=https\nhost=minio.example.com:9000\nusername=AK\npassword=";
        assert!(log.contains(stored), "{log}");
        assert!(!log.contains("path="), "{log}");
        let plain = case.server(case.repo.git(), "[::1]:9000", true);
        assert_eq!(pair(plain.fill()), None);
        let log = case.log();
        assert!(log.contains("get\nprotocol=http\nhost=[::1]:9000"), "{log}");
    }

    #[test]
    fn helpers_work_outside_of_repositories() {
        let case = Case::new().with_helper();
        let folder = case.path("outside");
        std::fs::create_dir(&folder).expect("creates");
        let server = case.server(case.repo.git_in(&folder), "h", false);
        server.approve(&keys("AK", "SK"));
        assert_eq!(pair(server.fill()), Some(("AK".into(), "SK".into())));
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let case = Case::new().with_helper();
        let server = case.server(case.repo.git(), "h", false);
        for bad in
            [keys("A\nhost=evil", "SK"), keys("AK", "S\rK"), keys("AK", "S\0K"), keys("", "SK")]
        {
            server.approve(&bad);
            server.reject(&bad);
        }
        let expiring = Keys { token: Some("T".into()), ..keys("AK", "SK") };
        server.approve(&expiring);
        assert_eq!(case.log(), "", "nobody was told");
        for bad in ["username=AK\npassword=S\rK\n", "username=A\x1bK\npassword=SK\n"] {
            write_atomic(&case.path("kept"), bad.as_bytes(), Shared::No).expect("writes");
            assert_eq!(pair(server.fill()), None, "{bad:?}");
        }
    }

    #[test]
    fn nobody_is_prompted() {
        let case = Case::new();
        let ask = format!("#!/bin/sh\necho ask >>'{}'\necho x\n", case.path("log").display());
        let ask = case.program("ask", &ask);
        case.repo.run(&["config", "--global", "core.askPass", &ask.display().to_string()]);
        let git = case.repo.git().with("GIT_ASKPASS", &ask).with("SSH_ASKPASS", &ask);
        let git = git.with("DISPLAY", ":0").with("GIT_TERMINAL_PROMPT", "1");
        let started = Instant::now();
        assert_eq!(pair(case.server(git.clone(), "h", false).fill()), None);
        assert_eq!(case.log(), "");
        assert!(started.elapsed() < LIMIT);
        // Without what silences it, it would have been asked.
        let output = git.run(&["credential", "fill"], b"protocol=https\nhost=h\n\n");
        assert!(output.is_ok() && case.log().contains("ask"));
    }

    #[test]
    fn a_helper_that_hangs_is_given_up() {
        let case = Case::new();
        let hang = case.program("hang", "#!/bin/sh\nexec sleep 20\n");
        let hang = hang.display().to_string();
        case.repo.run(&["config", "--global", "credential.helper", &hang]);
        let host = Host::parse("h").expect("a host");
        let limit = Duration::from_millis(300);
        let server = Server::new(Some(case.repo.git()), &host, false, limit);
        let started = Instant::now();
        assert_eq!(pair(server.fill()), None);
        assert!(started.elapsed() < Duration::from_secs(10));
        // One that leaves a program behind, which holds its output open.
        let fork = "#!/bin/sh\nsleep 20 &\necho username=AK\necho password=SK\n";
        let fork = case.program("fork", fork).display().to_string();
        case.repo.run(&["config", "--global", "credential.helper", &fork]);
        let started = Instant::now();
        drop(server.fill());
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn without_git_there_are_no_keys() {
        let host = Host::parse("h").expect("a host");
        let server = Server::new(None, &host, false, LIMIT);
        assert!(server.fill().is_none());
        server.approve(&keys("AK", "SK"));
    }

    #[test]
    fn a_clone_and_a_folder_have_helpers() {
        let repo = TestRepo::new();
        let host = Host::parse("h").expect("a host");
        let helpers = [Helpers::of(&repo.open()), Helpers::at(&std::env::temp_dir())];
        for helpers in helpers {
            drop(helpers.server(&host, false));
        }
    }
}
