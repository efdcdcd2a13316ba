//! `git lake trust`: which remotes get data, and which servers get keys.

use crate::common::{Repo, TestEnv};

/// Returns all values of a key in the clone's own configuration, or in the user's.
fn values(repo: &Repo, file: &str, key: &str) -> Vec<String> {
    let ran = repo.run("git", ["config", file, "--get-all", key]);
    ran.stdout.lines().map(str::to_owned).collect()
}

fn trusted(repo: &Repo) -> Vec<String> {
    values(repo, "--local", "lake.trustedHost")
}

fn accepted(repo: &Repo) -> String {
    std::fs::read_to_string(repo.state().join("accepted")).unwrap_or_default()
}

#[test]
fn a_server_is_trusted_once_and_in_this_clone() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let said = "Your keys may go to `minio.example.com:9000` from this clone.";
    repo.git(["lake", "trust", "Minio.Example.com:9000"]).says(said);
    repo.git(["lake", "trust", "minio.example.com:9000", "other", "[2001:DB8:0::1]:9000"])
        .says(said);
    assert_eq!(trusted(&repo), ["minio.example.com:9000", "other", "[2001:db8::1]:9000"]);
    assert_eq!(values(&repo, "--global", "lake.trustedHost"), [""; 0]);
    assert_eq!(values(&repo, "--local", "lake.minio.example.com:9000.secure"), [""; 0]);
    repo.git(["lake", "env"]).says_nothing();
}

#[test]
fn outside_of_a_repository_it_is_the_users_setting() {
    let env = TestEnv::new();
    let said = "Your keys may go to `minio:9000` from all your clones, also over plain http.";
    env.at(".").git(["lake", "trust", "--insecure-http", "minio:9000"]).says(said);
    assert_eq!(values(&env.at("."), "--global", "lake.trustedHost"), ["minio:9000"]);
    assert_eq!(values(&env.at("."), "--global", "lake.minio:9000.secure"), ["false"]);
    let ran = env.at(".").git_fails(1, ["lake", "trust", "s3://h/b"]);
    drop(ran.says("is not inside a git repository"));
}

#[test]
fn plain_http_is_allowed_server_by_server() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.git(["lake", "trust", "--insecure-http", "minio.example.com:9000", "[2001:db8::1]:9000"]);
    assert_eq!(trusted(&repo), ["minio.example.com:9000", "[2001:db8::1]:9000"]);
    for host in ["minio.example.com:9000", "[2001:db8::1]:9000"] {
        assert_eq!(values(&repo, "--local", &format!("lake.{host}.secure")), ["false"]);
    }
    // A server is no remote, and its options are none of a remote.
    repo.git(["lake", "env"]).says_nothing();
    assert_eq!(accepted(&repo), "");
}

#[test]
fn a_bucket_is_accepted_and_its_server_trusted() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let url = "s3://minio.example.com:9000/data";
    repo.git(["lake", "trust", &format!("{url}/?secure=false")])
        .says("This clone uploads to `s3://minio.example.com:9000/data` from now on.");
    assert!(accepted(&repo).lines().any(|line| line == url), "{}", accepted(&repo));
    assert_eq!(trusted(&repo), ["minio.example.com:9000"]);
    let key = "lake.minio.example.com:9000.secure";
    assert_eq!(values(&repo, "--local", key), ["false"]);
    repo.git(["lake", "trust", &format!("{url}?secure=true")]);
    assert_eq!(values(&repo, "--local", key), ["true"]);
    assert_eq!(trusted(&repo), ["minio.example.com:9000"]);
}

#[test]
fn aws_and_this_machine_need_no_record() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.with("AWS_REGION", "eu-west-1").git(["lake", "trust", "s3://bucket"]);
    repo.git(["lake", "trust", "s3://localhost:9000/b", "s3://[::1]:9000/b", "file:///mnt/lake"]);
    let known = accepted(&repo);
    for url in
        ["s3://s3.eu-west-1.amazonaws.com/bucket", "s3://localhost:9000/b", "file:///mnt/lake"]
    {
        assert!(known.lines().any(|line| line == url), "{url}: {known}");
    }
    assert_eq!(trusted(&repo), [""; 0]);
}

#[test]
fn what_makes_no_sense_is_refused_and_no_secret_shown() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    std::fs::create_dir(repo.path.join("folder")).unwrap();
    let usage = [
        ("folder", "`folder` is no address: write the remote's whole URL, or `HOST:PORT`"),
        ("../lake", "`../lake` is no address"),
        ("AK:SECRET@h:9000", "`h:9000` is no address"),
        ("h:99999", "`h:99999` is not a host name with an optional port"),
        ("-x", "unexpected argument"),
        ("169.254.169.254", "`169.254.169.254` is a link-local or metadata address"),
        ("s3://AK:SECRET@h/b", "takes an address without user and password"),
    ];
    for (name, said) in usage {
        repo.git_fails(2, ["lake", "trust", "good:9000", name]).says(said).says_not("SECRET");
    }
    let ran = repo.git_fails(2, ["lake", "trust", "--insecure-http", "file:///mnt/lake"]);
    drop(ran.says("`--insecure-http` goes with a bucket or a server"));
    let refused = [
        (
            "https://AK:SECRET@h:9000/b",
            "`h:9000/b` is no address of a lake: The address of a bucket begins with `s3://`: write `s3://h:9000/b`",
        ),
        (
            "s3://AK:SECRET@169.254.169.254/b",
            "`169.254.169.254` is a link-local or metadata address",
        ),
        ("s3://AK:SECRET/b", "`s3://AK` is no address of a lake: `ak` is not a host name"),
        ("s3://AK:1/SECRET@h/b", "An `@` here could end a password"),
        (
            "s3://h/b?sekure=no",
            "An address has the options `secure`, `region` and `session`, and no `sekure`",
        ),
        ("s3://AK@h/b", "Keys are typed as `USER:PASSWORD@`; the password is missing"),
    ];
    for (url, said) in refused {
        for command in ["trust", "init"] {
            let ran = repo.git_fails(1, ["lake", command, url]).says(said);
            drop(ran.says_not("SECRET").says_not("SE/CRET"));
        }
    }
    assert_eq!((trusted(&repo).len(), accepted(&repo)), (0, String::new()));
    assert!(!repo.path.join(".gitlake.toml").exists());
}

#[test]
fn buckets_of_the_first_settings_are_accepted_without_asking_them() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let remote = |name: &str| {
        format!(
            "[[remote]]\nname = \"{name}\"\nurl = \"s3://{name}.invalid:9/b\"\nsecure = false\n"
        )
    };
    repo.write(".gitlake.toml", format!("version = 1\n{}", remote("first")));
    repo.git(["lake", "env"]).prints("remote.first=s3://first.invalid:9/b (sha256)\n");
    repo.write(".gitlake.toml", format!("version = 1\n{}{}", remote("first"), remote("later")));
    repo.git(["lake", "env"])
        .prints("remote.later=s3://later.invalid:9/b (sha256, not accepted)\n");
    assert_eq!(trusted(&repo), [""; 0], "nobody named their servers");
    repo.git(["lake", "trust", "s3://later.invalid:9/b"]);
    repo.git(["lake", "env"]).prints("remote.later=s3://later.invalid:9/b (sha256)\n");
    assert_eq!(trusted(&repo), ["later.invalid:9"]);
}

#[test]
fn a_short_form_in_the_settings_is_refused_with_the_long_one() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    repo.write(".gitlake.toml", "version = 1\n[[remote]]\nname = \"a\"\nurl = \"s3://bucket\"\n");
    repo.git_fails(1, ["lake", "status"]).says(
        "The remote `a` in `.gitlake.toml` has a bad address: The address names no bucket: the long \
         form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`, for AWS `s3://s3.us-east-1.amazonaws.com/bucket`",
    );
}

#[test]
fn what_is_trusted_is_listed_and_can_be_taken_back() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let url = "s3://minio.example.com:9000/data";
    env.at(".").git(["lake", "trust", "everywhere.example.com"]);
    repo.git(["lake", "trust", url, "other.example.com", "[2001:db8::1]:9000"]);
    repo.git(["lake", "trust", "--insecure-http", "plain.example.com"]);
    let around = repo.with("GIT_LAKE_TRUST", "a.example.com:1");
    let around = around.with("AWS_ENDPOINT_URL", "http://b.example.com");
    let listed = around.git(["lake", "trust", "--list"]).stdout;
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').collect()).collect();
    let config = repo.path.join(".git/config").display().to_string();
    let home = env.path("home/.gitconfig").display().to_string();
    let record = repo.state().join("accepted").display().to_string();
    let expected = [
        ["accepted", url, &record],
        ["trusted", "minio.example.com:9000", &config],
        ["trusted", "other.example.com", &config],
        ["trusted", "[2001:db8::1]:9000", &config],
        ["trusted, also over plain http", "plain.example.com", &config],
        ["trusted", "everywhere.example.com", &home],
        ["trusted", "a.example.com:1", "GIT_LAKE_TRUST"],
        ["trusted, also over plain http", "b.example.com", "AWS_ENDPOINT_URL"],
    ];
    assert_eq!(lines, expected);
    let document = repo.git(["lake", "trust", "--list", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["accepted"][0]["url"], url);
    assert_eq!(document["trusted"].as_array().unwrap().len(), 5);
    repo.git(["lake", "trust", "--remove", url, "[2001:DB8:0::1]:9000", "plain.example.com"])
        .says(&format!("This clone uploads nothing to `{url}` from now on."));
    assert!(!accepted(&repo).contains(url), "{}", accepted(&repo));
    assert_eq!(trusted(&repo), ["minio.example.com:9000", "other.example.com"]);
    assert_eq!(values(&repo, "--local", "lake.plain.example.com.secure"), [""; 0]);
    repo.git_fails(1, ["lake", "trust", "--remove", url]).says("is not accepted by this clone");
    repo.git_fails(1, ["lake", "trust", "--remove", "everywhere.example.com"])
        .says("is trusted by /");
    env.at(".").git(["lake", "trust", "--remove", "everywhere.example.com"]);
    assert_eq!(values(&repo, "--global", "lake.trustedHost"), [""; 0]);
    repo.git_fails(1, ["lake", "trust", "--remove", "none.example.com"]).says("is not recorded");
    repo.git_fails(2, ["lake", "trust"]);
    repo.git_fails(2, ["lake", "trust", "--list", "x"]);
}
