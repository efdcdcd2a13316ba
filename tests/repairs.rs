//! Objects that a lake has lost, and `lake.repair`.

use std::fs;

use crate::common::{TestEnv, noise};

#[test]
fn an_object_that_a_lake_has_lost_is_put_back() {
    let env = TestEnv::new();
    let (one, two) = (env.lake("one"), env.lake("two"));
    let repo = env.repo("work");
    repo.set_up(&[&one, &two]);
    for at in 1..=3 {
        repo.write(format!("{at}.bin"), noise(at, 3000));
    }
    repo.commit("v1");
    env.install();
    let lose = || [1, 2].map(|at| one.remove(noise(at, 3000)));
    let fetch = |name: &str, settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let ran = env.at(".").git(settings.chain(["clone", "-q", "work", name]));
        assert!(!env.at(name).is_pointer("1.bin"));
        ran.says_nothing();
    };
    lose();
    fetch("without", &[]);
    one.lacks(noise(1, 3000));
    fetch("with", &["lake.repair=true"]);
    one.holds(noise(1, 3000));
    one.holds(noise(2, 3000));
    // The clone that has receipts for them does it as well, when it fetches them again.
    lose();
    repo.git(["config", "lake.repair", "true"]);
    let pointer = repo.blob(":1.bin");
    repo.empty_store();
    repo.write("1.bin", &pointer);
    repo.git(["lake", "pull", "1.bin"]).says("1 object that lakes had lost uploaded again.");
    one.holds(noise(1, 3000));
    one.lacks(noise(2, 3000));
    repo.git(["lake", "status"]).prints("Nothing is owed.");
    // With uploads at a push it stays owed until then.
    repo.git(["config", "lake.upload", "push"]);
    fs::remove_file(repo.path.join("2.bin")).unwrap();
    repo.git(["checkout", "-q", "--", "2.bin"]).says_nothing();
    one.lacks(noise(2, 3000));
    repo.git(["lake", "push"]).says("1 object uploaded");
    one.holds(noise(2, 3000));
}

#[test]
fn nothing_goes_to_a_lake_that_was_not_accepted_and_nothing_is_replaced() {
    let env = TestEnv::new();
    let (one, two) = (env.lake("one"), env.lake("two"));
    let repo = env.repo("work");
    repo.set_up(&[&one, &two]);
    repo.write("a.bin", noise(1, 3000));
    repo.write("b.bin", noise(2, 3000));
    repo.commit("v1");
    one.remove(noise(1, 3000));
    one.damage(noise(2, 3000));
    env.install();
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let clone = env.at("clone");
    clone.git(["config", "lake.repair", "true"]);
    let accepted = clone.state().join("accepted");
    fs::write(&accepted, format!("git-lake accepted v1\n{}\n", two.url())).unwrap();
    let ran = clone.git(["lake", "pull"]).says("2 files filled");
    assert_eq!(ran.told().iter().filter(|line| line.contains("other bytes")).count(), 1);
    one.lacks(noise(1, 3000));
    assert_ne!(fs::read(one.object(noise(2, 3000))).unwrap(), noise(2, 3000));
    clone.git(["lake", "status"]).prints("Nothing is owed.");
}
