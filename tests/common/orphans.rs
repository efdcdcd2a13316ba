//! `git lake orphans`, and lakes with something to find.

use std::fs;

use git_lake::oid::Oid;

use super::*;

pub(crate) const DAY: u64 = 24 * 60 * 60;

/// Gives all objects of a lake an age.
pub(crate) fn age(lake: &Lake, seconds: u64) {
    lake.objects().iter().for_each(|name| set_age(lake.path.join(name), seconds));
}

/// Puts an object into a lake behind the back of everybody.
pub(crate) fn plant(lake: &Lake, content: &[u8]) {
    fs::write(lake.object(content), content).unwrap();
}

pub(crate) fn orphans(repo: &Repo, args: &[&str]) -> Ran {
    repo.git(["lake", "orphans", "work-lake"].iter().chain(args))
}

/// The seeds of the objects of 3000 bytes that are listed.
pub(crate) fn seeds(repo: &Repo, lake: &Lake, args: &[&str]) -> Vec<u64> {
    let ran = orphans(repo, args);
    let listed = |seed: &u64| {
        let path = lake.object(noise(*seed, 3000)).display().to_string();
        ran.stdout.lines().any(|line| line == path)
    };
    let found: Vec<u64> = (1..100).filter(listed).collect();
    assert_eq!(found.len(), ran.stdout.lines().count(), "{ran:#?}");
    found
}

/// Refuses: says so, and lists nothing.
#[track_caller]
pub(crate) fn refuses(repo: &Repo, args: &[&str], text: &str) {
    for json in [false, true] {
        let json = json.then_some("--json");
        let ran =
            repo.git_fails(1, ["lake", "orphans", "work-lake"].iter().chain(args).chain(&json));
        assert_eq!(ran.stdout, "", "{ran:#?}");
        drop(ran.says("Nothing is listed: Could not tell what `").says(text));
    }
}

/// Forgets all reflogs.
pub(crate) fn expire(repo: &Repo) {
    repo.git(["reflog", "expire", "--expire=now", "--all"]);
}

/// A repository with `a.bin`, seed 1, and a lake that holds the orphans 98 and 99 besides; all are old.
pub(crate) fn repo(env: &TestEnv) -> (Repo, Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("v1");
    [98, 99].iter().for_each(|seed| plant(&lake, &noise(*seed, 3000)));
    age(&lake, 20 * DAY);
    (repo, lake)
}

/// The address of an object of 3000 bytes.
pub(crate) fn address(lake: &Lake, seed: u64) -> String {
    format!("{}/{}.bin", lake.url(), Oid::of(&noise(seed, 3000)))
}

/// Writes the text of a pointer.
pub(crate) fn pointer(lake: &Lake, seed: u64) -> String {
    let oid = Oid::of(&noise(seed, 3000));
    format!("git-lake pointer v1\noid sha256:{oid}\nsize 3000\nsource {}\n", address(lake, seed))
}
