//! A server that goes away and comes back, as seen by somebody at git.

use crate::common::s3::endpoint::{Endpoint, new_bucket};
use crate::common::s3::forwarder::Forwarder;
use crate::common::s3::{Fault, S3Server};
use crate::common::{Repo, TestEnv, noise};
use git_lake::oid::Oid;

/// A repository whose `*.bin` go to a bucket behind a way that can be closed.
struct Case {
    env: TestEnv,
    repo: Repo,
    way: Forwarder,
    bucket: String,
    /// The server without that way.
    server: Endpoint,
}

impl Case {
    fn new(server: Endpoint) -> Self {
        let (env, way, bucket) = (TestEnv::new(), Forwarder::to(&server.host), new_bucket());
        let repo = env.repo("work");
        repo.git(["config", "--global", "credential.helper", "store"]);
        let typed = Endpoint { host: way.host(), keys: server.keys.clone() }.typed(&bucket);
        repo.git(["lake", "init", "--create", &typed]).says_nothing();
        repo.git(["lake", "track", "*.bin"]);
        repo.commit("set up");
        Self { env, repo, way, bucket, server }
    }

    fn url(&self) -> String {
        format!("s3://{}/{}", self.way.host(), self.bucket)
    }

    #[track_caller]
    fn holds(&self, content: &[u8]) {
        let name = format!("{}.bin", Oid::of(content).to_hex());
        let found = self.server.get(&self.bucket, &name);
        assert!(found.is_some_and(|found| found == content), "`{name}` is not there");
    }

    fn count(&self) -> usize {
        self.server.objects(&self.bucket).len()
    }
}

fn on_each_server(test: fn(Case)) {
    let server = S3Server::start();
    test(Case::new(Endpoint::of(&server)));
    if let Some(endpoint) = Endpoint::outside() {
        test(Case::new(endpoint));
    }
}

#[test]
fn what_could_not_be_uploaded_is_owed_until_the_server_is_back() {
    on_each_server(|case| {
        case.way.close();
        case.repo.write("a.bin", noise(1, 3000));
        case.repo.write("b.bin", noise(2, 6 << 20));
        let ran = case.repo.git(["add", "."]);
        assert_eq!(ran.told().len(), 1, "{ran:?}");
        let why = format!("Could not reach the lake `{}`: ", case.url());
        let ran = ran.says(&format!("2 uploads are owed (a.bin, b.bin): {why}"));
        drop(ran.says("`git lake push` tries again."));
        case.repo.git(["commit", "-q", "-m", "v1"]).says_nothing();
        case.repo.git(["lake", "status"]).prints("2 uploads are owed");
        case.env.bare("server.git");
        let ran = case.repo.git_fails(1, ["push", "-q", "../server.git", "main"]);
        let notes = ran.told().iter().filter(|line| line.contains(&why)).count();
        assert_eq!(notes, 1, "{ran:?}");
        drop(ran.says("The push is refused").says("a.bin"));
        case.repo.git_fails(1, ["lake", "push"]).says("2 uploads are owed");
        case.way.open();
        assert_eq!(case.count(), 0);
        case.repo.git(["lake", "push"]).says("2 objects uploaded").says_nothing();
        case.holds(&noise(1, 3000));
        case.holds(&noise(2, 6 << 20));
        case.repo.git(["lake", "status"]).prints("Nothing is owed.");
        case.repo.git(["push", "-q", "../server.git", "main"]).says_nothing();
    });
}

#[test]
fn without_a_server_add_succeeds() {
    let server = S3Server::start();
    let case = Case::new(Endpoint::of(&server));
    drop(server);
    case.repo.write("a.bin", noise(1, 3000));
    case.repo.git(["add", "."]).says("1 upload is owed (a.bin): Could not reach the lake");
    case.repo.has("a.bin", noise(1, 3000));
    assert!(case.repo.blob(":a.bin").contains(&case.url()));
}

#[test]
fn a_connection_that_breaks_in_the_middle_leaves_nothing_half() {
    on_each_server(|case| {
        case.way.break_after(200_000);
        case.repo.write("a.bin", noise(1, 900_000));
        let ran = case.repo.git(["add", "."]);
        assert_eq!(ran.told().len(), 1, "{ran:?}");
        drop(ran.says("1 upload is owed (a.bin)"));
        assert_eq!(case.count(), 0);
        case.way.open();
        // The next one that uploads anything makes it good.
        case.repo.write("b.bin", noise(2, 300));
        case.repo.git(["add", "b.bin"]).says_nothing();
        case.holds(&noise(1, 900_000));
        case.holds(&noise(2, 300));
    });
}

#[test]
fn local_work_needs_no_server() {
    on_each_server(|case| {
        for version in 1..=3 {
            case.repo.write("a.bin", noise(version, 3000));
            case.repo.write("large.bin", noise(version, 5 << 20));
            case.repo.commit("another").says_nothing();
        }
        case.way.close();
        let before = case.way.connections();
        case.repo.git(["checkout", "-q", "--detach", "HEAD~2"]).says_nothing();
        case.repo.has("large.bin", noise(1, 5 << 20));
        case.repo.is_clean_when_touched();
        case.repo.git(["checkout", "-q", "main"]).says_nothing();
        case.repo.git(["lake", "status"]).says_nothing();
        case.way.open();
        case.repo.git(["reset", "-q", "--hard", "HEAD~1"]).says_nothing();
        case.repo.has("a.bin", noise(2, 3000));
        assert_eq!(case.way.connections(), before, "the server was asked");
    });
}

#[test]
fn a_server_that_never_answers_is_asked_once_by_each_command() {
    on_each_server(|case| {
        for at in 0..6 {
            case.repo.write(format!("{at}.bin"), noise(at + 1, 3000));
        }
        case.repo.commit("v1").says_nothing();
        case.way.close();
        let mut before = case.way.connections();
        let mut asked = || {
            let since = case.way.connections() - before;
            before += since;
            since
        };
        case.env.install();
        let ran = case.env.at(".").git(["clone", "-q", "work", "clone"]);
        drop(ran.says("6 files left as pointers (").says(&case.url()));
        assert_eq!(asked(), 1);
        let clone = case.env.at("clone");
        clone.is_clean_when_touched();
        assert_eq!(asked(), 0);
        clone.git_fails(1, ["lake", "pull"]).says("6 files are still pointers");
        assert_eq!(asked(), 1);
        for at in 0..6 {
            clone.write(format!("new-{at}.bin"), noise(at + 10, 3000));
        }
        clone.git(["add", "."]).says("6 uploads are owed").says("It is not asked again for ");
        assert_eq!(asked(), 0);
        case.way.open();
        clone.git(["lake", "pull"]).says("6 files filled").says_nothing();
        clone.git(["lake", "push"]).says("6 objects uploaded").says_nothing();
    });
}

#[test]
fn a_server_that_was_given_up_is_not_asked_for_a_minute_unless_somebody_wants_it() {
    let server = S3Server::start();
    let case = Case::new(Endpoint::of(&server));
    case.way.close();
    case.repo.write("a.bin", noise(1, 3000));
    let ran = case.repo.git(["add", "."]);
    let told = ran.told()[0].strip_suffix(". `git lake push` tries again.").unwrap();
    let reason = told.rsplit(": ").next().unwrap();
    // It is back, but nobody looks.
    case.way.open();
    let before = case.way.connections();
    case.repo.write("b.bin", noise(2, 3000));
    let ran = case.repo.git(["add", "."]).says("2 uploads are owed (a.bin, b.bin)");
    let ran =
        ran.says(&format!("Could not reach the lake `{}`: It is not asked again", case.url()));
    drop(ran.says(&format!("seconds, since: {reason}")));
    assert_eq!(case.way.connections(), before, "the server was asked");
    case.repo.git(["lake", "push"]).says("2 objects uploaded").says_nothing();
    // That was a success, so the next processes ask, too.
    case.repo.write("c.bin", noise(3, 3000));
    case.repo.git(["add", "."]).says_nothing();
    case.holds(&noise(3, 3000));
    // Who pushes commits wants it as well.
    case.way.close();
    case.repo.write("d.bin", noise(4, 3000));
    case.repo.git(["add", "."]).says("1 upload is owed (d.bin)");
    case.repo.commit("v1").says_nothing();
    case.env.bare("server.git");
    let push = ["push", "-q", "../server.git", "main"];
    case.repo.git_fails(1, push).says("d.bin").says_not("It is not asked again");
    case.way.open();
    case.repo.git(push).says_nothing();
    case.holds(&noise(4, 3000));
}

#[test]
fn a_server_that_is_gone_costs_one_timeout() {
    // Nobody takes connections from this queue; as it is full, no more are answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let limit = std::time::Duration::from_millis(200);
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, limit) {
        waiting.push(stream);
    }
    let env = TestEnv::new();
    let repo = env.repo("work");
    let settings = format!(
        "version = 1\n[[remote]]\nname = \"gone\"\nurl = \"s3://{address}/lake\"\nsecure = false\n"
    );
    repo.write(".gitlake.toml", settings);
    repo.write(".gitattributes", "*.bin filter=lake\n");
    env.install();
    for at in 0..20 {
        repo.write(format!("{at}.bin"), noise(at + 1, 300));
    }
    let begin = std::time::Instant::now();
    let ran = repo.git(["add", "."]);
    drop(ran.says("20 uploads are owed").says("There was no answer in time"));
    let elapsed = begin.elapsed();
    // The timeout is five seconds.
    assert!(elapsed < std::time::Duration::from_secs(10), "it took {elapsed:?}");
}

#[test]
fn a_server_that_fails_for_a_moment_is_asked_again() {
    let server = S3Server::start();
    let case = Case::new(Endpoint::of(&server));
    for (seed, operation) in [(1, "PutObject"), (2, "GetBucketTagging")] {
        let busy = Fault::Status {
            status: 503,
            code: "SlowDown",
            message: "Please reduce your request rate.",
            headers: Vec::new(),
        };
        server.fault(move |request| request.operation == operation, 1, busy);
        case.repo.write("a.bin", noise(seed, 3000));
        case.repo.git(["add", "."]).says_nothing();
        case.holds(&noise(seed, 3000));
    }
}
