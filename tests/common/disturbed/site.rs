//! A repository, a dataset and a bucket behind a proxy, and what has to hold there at any time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use git_lake::oid::Oid;

use crate::common::s3::endpoint::{Endpoint, new_bucket};
use crate::common::s3::proxy::Proxy;
use crate::common::{Lake, Ran, Repo, TestEnv, in_time, kill, noise, tree};

/// Longest time that a command may take, whatever the server does. An answer has four seconds here, a
/// request is made three times, what failed is tried again in three rounds, and after three objects the
/// lake is given up.
pub(crate) const BOUND: Duration = Duration::from_secs(240);
/// Most requests of a command. None of them moves more than a few objects.
const MAX_REQUESTS: usize = 100;
/// Of objects in parts and ranges.
pub(crate) const LARGE: usize = (11 << 20) + 5;
/// Most files of a site that differ.
const FILES: u64 = 20;

/// A home that many sites share.
pub(crate) struct Surroundings {
    env: TestEnv,
    count: AtomicUsize,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        env.install();
        let values = [("lake.connectTimeout", "2"), ("lake.stallTimeout", "2")];
        for (key, value) in values.into_iter().chain([("lake.partSize", "5m")]) {
            env.at(".").git(["config", "--global", key, value]);
        }
        Self { env, count: AtomicUsize::new(0) }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All that was asked for is done.
    Done,
    /// It said that something is not done.
    Failed,
}

/// One repository whose `*.bin` go to a bucket behind a proxy. `old.bin` is there already.
pub(crate) struct Site {
    pub(crate) repo: Repo,
    pub(crate) proxy: Proxy,
    pub(crate) bucket: String,
    /// The server itself.
    pub(crate) server: Endpoint,
    /// Seed of `old.bin`; other content of the site has others near it.
    seed: u64,
}

impl Site {
    pub(crate) fn new(surroundings: &Surroundings, server: Endpoint) -> Self {
        let number = surroundings.count.fetch_add(1, Ordering::Relaxed);
        let (proxy, bucket) = (Proxy::to(&server.host), new_bucket());
        server.make_bucket(&bucket);
        let folder = surroundings.env.path(&format!("site-{number}"));
        fs::create_dir_all(folder.join("work")).unwrap();
        let repo = surroundings
            .env
            .at(&format!("site-{number}/work"))
            .with("AWS_ACCESS_KEY_ID", &server.keys.id)
            .with("AWS_SECRET_ACCESS_KEY", &server.keys.secret)
            .with("TMPDIR", &folder);
        let seed = 1000 + 100 * number as u64;
        let site = Self { repo, proxy, bucket, server, seed };
        site.repo.git(["init", "-q"]);
        site.repo.write(".gitattributes", "*.bin filter=lake -text\n");
        site.repo.write(".gitlake.toml", format!("version = 1\n{}", site.remote("lake")));
        site.repo.write("old.bin", site.old());
        site.repo.commit("set up").says_nothing();
        site.proxy.take_requests();
        site
    }

    /// Returns the bucket as the settings name it.
    fn remote(&self, name: &str) -> String {
        format!("[[remote]]\nname = \"{name}\"\nurl = \"{}\"\nsecure = false\n", self.url())
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.proxy.host(), self.bucket)
    }

    /// Returns the address as it is typed where no settings say more.
    pub(crate) fn typed(&self) -> String {
        format!("{}?secure=false", self.url())
    }

    /// Content that differs from that of other sites.
    pub(crate) fn content(&self, number: u64, len: usize) -> Vec<u8> {
        noise(self.seed + number, len)
    }

    pub(crate) fn old(&self) -> Vec<u8> {
        self.content(0, 3000)
    }

    /// A folder lake that the repository has besides the bucket from now on; it holds `old.bin`.
    pub(crate) fn with_folder(&self) -> Lake {
        let lake = Lake { path: self.repo.path.with_file_name("folder") };
        fs::create_dir_all(&lake.path).unwrap();
        self.repo.git(["lake", "remote-add", lake.path.to_str().unwrap()]);
        self.repo.commit("two remotes");
        lake
    }

    /// Makes a file a pointer whose content is in lakes alone.
    pub(crate) fn forget(&self, path: &str) {
        fs::remove_file(self.repo.path.join(path)).unwrap();
        self.repo.with("GIT_LAKE_SKIP_SMUDGE", "1").git(["checkout", "--", path]);
        self.repo.empty_store();
    }

    /// Runs a command, which has to end in time, say nothing that nobody may know, and leave no byte
    /// behind that was not verified.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Ran {
        self.run_in(&self.repo, program, args)
    }

    #[track_caller]
    pub(crate) fn run_in(&self, place: &Repo, program: &str, args: &[&str]) -> Ran {
        self.proxy.take_requests();
        let begun = Instant::now();
        let ran = run_within(place, program, args, BOUND);
        let elapsed = begun.elapsed();
        assert!(elapsed < BOUND, "{program} {args:?} did not end in time: {ran:#?}");
        let requests = self.proxy.take_requests().len();
        assert!(requests <= MAX_REQUESTS, "{program} {args:?}: {requests} requests: {ran:#?}");
        for text in [&ran.stdout, &ran.stderr] {
            assert!(!text.contains(&self.server.keys.secret), "a secret: {ran:#?}");
            assert!(!text.contains("panicked"), "{ran:#?}");
        }
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "{program} {args:?}: {ran:#?}");
        self.nothing_is_unverified();
        ran
    }

    /// Every object is what its name says, in the store and in the bucket, and every file of the work
    /// tree is a pointer or content that was added.
    #[track_caller]
    pub(crate) fn nothing_is_unverified(&self) {
        let objects = self.repo.path.join(".git/lake/v1/objects");
        for (path, bytes, _) in files(&objects) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(Oid::of(&bytes).to_hex(), name, "in the store");
        }
        for key in self.server.objects(&self.bucket) {
            let Some((hex, _)) = key.split_once('.').filter(|(hex, _)| hex.len() == 64) else {
                assert!(key.starts_with('.'), "{key}");
                continue;
            };
            let bytes = self.server.get(&self.bucket, &key).unwrap();
            assert!(Oid::of(&bytes).to_hex() == hex || self.is_damaged(&bytes), "in the bucket");
        }
        for place in ["work", "clone"] {
            let files = files(&self.repo.path.with_file_name(place));
            for (path, bytes, _) in files.iter().filter(|file| has_suffix(&file.0, "bin")) {
                let is_pointer = bytes.starts_with(b"git-lake pointer v1\n");
                assert!(is_pointer || self.is_content(bytes), "{}", path.display());
            }
        }
    }

    /// Returns true for whole content of any file of the site.
    fn is_content(&self, bytes: &[u8]) -> bool {
        let begins = |number: &u64| bytes.starts_with(&self.content(*number, 8));
        let number = (0..FILES).find(begins);
        let len = [3000, LARGE].contains(&bytes.len()).then_some(bytes.len());
        number.zip(len).is_some_and(|(number, len)| bytes == self.content(number, len))
    }

    /// What a test itself has put under the name of `old.bin`.
    pub(crate) fn damage(&self) -> Vec<u8> {
        let mut bytes = self.old();
        bytes[7] ^= 1;
        bytes
    }

    fn is_damaged(&self, bytes: &[u8]) -> bool {
        bytes == self.damage()
    }

    /// Lets nothing go wrong any more, and a minute pass.
    pub(crate) fn heal(&self) {
        self.proxy.heal();
        drop(fs::remove_dir_all(self.repo.path.join(".git/lake/v1/health")));
        drop(fs::remove_dir_all(
            self.repo.path.with_file_name("clone").join(".git/lake/v1/health"),
        ));
    }

    /// Nothing that is owed was forgotten: a push makes all of it arrive.
    #[track_caller]
    pub(crate) fn settles(&self) {
        // A machine that has much to do is no trouble of the server.
        let patient = ["-c", "lake.connectTimeout=30", "-c", "lake.stallTimeout=60", "lake"];
        let patiently = |args: &[&str]| self.run("git", &[&patient, args].concat());
        let ran = patiently(&["push"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        let ran = patiently(&["status", "--all", "--check"]);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }

    /// The bucket has content of a `.bin` file.
    #[track_caller]
    pub(crate) fn holds(&self, content: &[u8]) {
        let name = format!("{}.bin", Oid::of(content).to_hex());
        let found = self.server.get(&self.bucket, &name);
        assert!(found.is_some_and(|found| found == content), "`{name}` is not there");
    }
}

/// Every file below a folder, if there is one.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>, bool)> {
    if folder.exists() { tree(folder) } else { Vec::new() }
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|found| found == suffix)
}

/// Runs a program to its end, which is made when the time is up.
fn run_within(place: &Repo, program: &str, args: &[&str], bound: Duration) -> Ran {
    let mut command = place.command(program);
    command.args(args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = child.id();
    let (output, _) = in_time(bound, move || kill(pid), || child.wait_with_output().unwrap());
    Ran::of(output)
}
