//! A secret that came in by any of the ways there are is looked for in all that a long day leaves behind:
//! what was printed, every file, the command lines and the surroundings of every program that was started.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::common::s3::endpoint::Endpoint;
use crate::common::s3::{Rights, S3Server};
use crate::common::{Repo, TestEnv, noise};

/// Is in every secret here, whatever is done to the rest of it.
const CANARY: &str = "canary";
const ID: &str = "AKIATHISISNOSECRET";
const SECRET: &str = "canary/Kd+secret=x";
const TYPED_SECRET: &str = "canary%2FKd+secret=x";

/// What is watched.
struct Day {
    env: TestEnv,
    server: S3Server,
    place: Repo,
    /// All that was said, with the command that it was said to.
    said: Vec<String>,
}

impl Day {
    /// Begins it with the programs `git` and `git-lake` noting how they are started.
    fn new() -> Self {
        let (env, server) = (TestEnv::new(), S3Server::start());
        server.add_key(ID, SECRET, Rights::All);
        let watch = env.path("watch");
        fs::create_dir(&watch).unwrap();
        let path = env.at(".").run("sh", ["-c", "printf %s \"$PATH\""]).stdout;
        let real = |name: &str| {
            let folders = path.split(':').map(|folder| Path::new(folder).join(name));
            folders.into_iter().find(|program| program.is_file()).unwrap()
        };
        for name in ["git", "git-lake"] {
            let script = format!(
                "#!/bin/sh\n{{ printf '%s\\037' {name} \"$@\"; echo; }} >>'{0}/started'\n\
                 env >>'{0}/surroundings'\nexec '{1}' \"$@\"\n",
                watch.display(),
                real(name).display()
            );
            fs::write(watch.join(name), script).unwrap();
            fs::set_permissions(watch.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let place = env.at(".").with("PATH", format!("{}:{path}", watch.display()));
        let secure = format!("lake.{}.secure", server.host());
        env.at("home").git(["config", "--global", &secure, "false"]);
        // Whoever looks for a fault turns everything on.
        let place = place.with("RUST_LOG", "trace").with("RUST_BACKTRACE", "1");
        Self { env, server, place, said: Vec::new() }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.place = self.place.with(name, value);
        self
    }

    /// Runs a command in a folder, whatever becomes of it.
    fn run(&mut self, folder: &str, args: &[&str]) {
        let ran = self.place.below(folder).run(args[0], &args[1..]);
        // What was typed is the person's own.
        let shown: Vec<&str> = args.iter().copied().filter(|arg| !arg.contains(CANARY)).collect();
        self.said.push(format!("{shown:?}: {ran:?}"));
    }

    /// The same, with everything on that makes git and git-lake talk.
    fn run_loudly(&mut self, folder: &str, args: &[&str]) {
        let quiet = self.place.clone();
        for name in ["GIT_TRACE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE_PACKET"] {
            self.place = self.place.with(name, self.env.path(&format!("log-{name}")));
        }
        self.place =
            self.place.with("GIT_TRACE_SETUP", "1").with("GIT_TRACE2_ENV_VARS", "PATH,HOME");
        self.place = self.place.with("GIT_LAKE_PROGRESS", self.env.path("log-progress"));
        self.run(folder, args);
        self.place = quiet;
    }

    /// Everything that people do with a bucket, whose address is typed as `typed`.
    fn live(&mut self, typed: &str) {
        let plain = |path: &str| Endpoint::of(&self.server).url(path) + "?secure=false";
        let (second, set) = (plain("lake/second"), plain("lake/set"));
        self.env.bare("server.git");
        self.env.repo("work");
        let work = self.place.below("work");
        self.run("work", &["git", "lake", "init", typed]);
        self.run_loudly("work", &["git", "lake", "track", "*.bin"]);
        work.write("a.bin", noise(1, 3000));
        work.write("large.bin", noise(2, 9 << 20));
        self.run_loudly("work", &["git", "add", "."]);
        self.run_loudly("work", &["git", "commit", "-q", "-m", "v1"]);
        self.run_loudly("work", &["git", "push", "../server.git", "main"]);
        self.run(".", &["git", "lake", "install"]);
        self.run_loudly(".", &["git", "clone", "server.git", "clone"]);
        self.place.below("clone").has("large.bin", noise(2, 9 << 20));
        self.run("clone", &["git", "lake", "drop", "large.bin"]);
        self.place.below("clone").empty_store();
        self.run_loudly("clone", &["git", "lake", "pull"]);
        self.run("work", &["git", "lake", "remote-add", &second, "--name", "second"]);
        self.look();
        self.run("work", &["git", "lake", "remote-remove", "second"]);
        self.run("work", &["git", "lake", "trust", "--list"]);
        let place = self.place.below(".");
        place.dataset("set", [("data/000_x.png", noise(3, 3000))]);
        self.run(".", &["git-lake", "remote-add", "-i", "set", "-o", "far", "-r", &set]);
        self.run(".", &["git-lake", "clone", "-i", "far", "-o", "near"]);
        self.place.below(".").has("near/data/000_x.png", noise(3, 3000));
        // Then the keys are wrong.
        self.server.add_key(ID, "another", Rights::All);
        work.write("b.bin", noise(4, 3000));
        self.run_loudly("work", &["git", "add", "b.bin"]);
        self.run("work", &["git", "lake", "push"]);
        self.look();
        self.run("work", &["git", "push", "../server.git", "HEAD:refs/heads/b"]);
        self.run(".", &["git-lake", "clone", "-i", "far", "-o", "again"]);
        self.run("work", &["git", "lake", "init", &typed.replace("/lake", "/lake/third")]);
        self.run("work", &["git", "lake", "trust", typed]);
        // And the address is not one at all.
        self.run("work", &["git", "lake", "remote-add", &format!("{typed}:other=1")]);
    }

    fn look(&mut self) {
        for args in [
            &["remote-list", "--check"][..],
            &["status", "--all", "--check"],
            &["where", "--check", "."],
            &["remote-upload"],
            &["fsck", "--remote", "--read-data"],
            &["doctor"],
            &["env"],
            &["fetch", "--all"],
        ] {
            self.run("work", &[&["git", "lake"], args].concat());
        }
    }

    /// Looks for the secret everywhere but where the user, or git's own helper, keeps it.
    #[track_caller]
    fn ends(self, kept: &[&str]) {
        for text in &self.said {
            assert!(!text.contains(CANARY), "{text}");
        }
        let asked = self.server.requests();
        let signed = asked.iter().filter(|request| request.access_key_id.as_deref() == Some(ID));
        assert!(signed.count() > 30, "the keys were hardly used");
        for request in asked {
            let text = format!("{request:?}");
            assert!(!text.contains(CANARY), "{text}");
        }
        let kept: Vec<PathBuf> = kept.iter().map(|name| self.env.path(name)).collect();
        let mut found = Vec::new();
        search(&self.env.path(""), &mut found);
        found.retain(|path| !kept.contains(path));
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Finds files that hold the secret.
fn search(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            search(&path, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            // What was typed stands on the command lines of the programs that it was typed for.
            let is_typed = |line: &[u8]| {
                let line = String::from_utf8_lossy(line);
                path.ends_with("watch/started") && line.contains("s3://AKIA")
            };
            let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !is_typed(line));
            if lines.any(|line| line.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())) {
                found.push(path);
            }
        }
    }
}

/// Counts how often a program was started with the secret on its command line.
fn started_with_it(day: &Day) -> usize {
    let started = fs::read_to_string(day.env.path("watch/started")).unwrap();
    started.lines().filter(|line| line.contains(CANARY)).count()
}

fn plain(day: &Day) -> String {
    Endpoint::of(&day.server).url("lake") + "?secure=false"
}

/// The keys are typed once, and then git's helper has them.
#[test]
fn keys_that_were_typed_and_that_a_helper_keeps() {
    let mut day = Day::new();
    let helper = format!("store --file={}", day.env.path("kept").display());
    day.env.at("home").git(["config", "--global", "credential.helper", &helper]);
    let host = day.server.host();
    let typed = format!("s3://{ID}:{TYPED_SECRET}@{host}/lake?secure=false");
    day.live(&typed);
    // Four commands were typed with it, each of which is `git` and then `git-lake`: no other program.
    assert_eq!(started_with_it(&day), 8);
    day.ends(&["kept"]);
}

#[test]
fn keys_of_the_environment() {
    let day = Day::new().with("AWS_ACCESS_KEY_ID", ID).with("AWS_SECRET_ACCESS_KEY", SECRET);
    let mut day = day.with("AWS_SESSION_TOKEN", "canary-token");
    day.server.require_token(ID, "canary-token");
    let typed = plain(&day);
    day.live(&typed);
    assert_eq!(started_with_it(&day), 0);
    // Programs have the surroundings that they were started in; the token is sent with each request.
    for request in day.server.take_requests() {
        assert!(!format!("{request:?}").contains(SECRET), "{request:?}");
    }
    for text in &day.said {
        assert!(!text.contains(CANARY), "{text}");
    }
    let mut found = Vec::new();
    search(&day.env.path(""), &mut found);
    assert_eq!(found, [day.env.path("watch/surroundings")]);
}

#[test]
fn keys_of_a_profile() {
    let mut day = Day::new();
    let profile =
        format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n");
    day.env.at("home").write(".aws/credentials", profile);
    let typed = plain(&day);
    day.live(&typed);
    assert_eq!(started_with_it(&day), 0);
    day.ends(&["home/.aws/credentials"]);
}

#[test]
fn keys_of_the_minio_client() {
    let mut day = Day::new();
    let url = format!("http://{}", day.server.host());
    let alias = serde_json::json!({ "aliases": { "mine": {
        "url": url, "accessKey": ID, "secretKey": SECRET,
    }}});
    day.env.at("home").write(".mc/config.json", alias.to_string());
    let typed = plain(&day);
    day.live(&typed);
    assert_eq!(started_with_it(&day), 0);
    day.ends(&["home/.mc/config.json"]);
}
