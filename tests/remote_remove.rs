//! `git lake remote-remove`: sources leave pointers, and objects stay in lakes.

use std::fs;

use crate::common::{Lake, Repo, TestEnv, noise};

/// Two files in two lakes, `work-lake` and `mirror`, committed.
fn repo(env: &TestEnv) -> (Repo, Lake, Lake) {
    let (repo, lake) = env.tracked("work");
    let mirror = env.lake("mirror");
    repo.write("a.bin", noise(1, 3000));
    repo.write("train/b.bin", noise(2, 3000));
    repo.commit("v1");
    repo.git(["lake", "remote-add", "../mirror"]);
    repo.commit("mirror");
    repo.settle();
    (repo, lake, mirror)
}

fn names(repo: &Repo, path: &str, lake: &Lake) -> bool {
    repo.blob(&format!(":{path}")).contains(&format!("source {}/", lake.url()))
}

#[test]
fn a_lake_leaves_pointers_and_settings_and_keeps_its_objects() {
    let env = TestEnv::new();
    let (repo, lake, mirror) = repo(&env);
    repo.git(["lake", "remote-remove", "work-lake"])
        .says("2 pointers changed and staged and the remote taken out of `.gitlake.toml`.")
        .says(
            "Nothing in the lake was touched: 2 objects there are not named by the index any more.",
        );
    assert!(!names(&repo, "a.bin", &lake) && names(&repo, "a.bin", &mirror));
    assert!(!repo.text(".gitlake.toml").contains("work-lake"));
    lake.holds(noise(1, 3000));
    assert_eq!(repo.count("clean", &["status"]), 0);
    assert_eq!(repo.status(), "M  .gitlake.toml\nM  a.bin\nM  train/b.bin\n");
    repo.commit("without");
    repo.is_clean_when_touched();
    lake.unmount();
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", noise(1, 3000));
    clone.has("train/b.bin", noise(2, 3000));
}

#[test]
fn addresses_match_whatever_is_written_around_them() {
    let env = TestEnv::new();
    let forms = |lake: &Lake| {
        let path = lake.path.display();
        [format!("file://localhost{path}"), format!("file://{path}/"), format!("{path}")]
    };
    for at in 0..3 {
        let env = TestEnv::new();
        let (repo, lake, _mirror) = repo(&env);
        let form = forms(&lake)[at].clone();
        repo.git(["lake", "remote-remove", &form]).says("2 pointers changed");
    }
    let (repo, _lake, _mirror) = repo(&env);
    repo.git_fails(1, ["lake", "remote-remove", "file:///somewhere/else"])
        .says("No selected pointer names `file:///somewhere/else`");
    repo.git_fails(2, ["lake", "remote-remove", "nas"])
        .says("`nas` is no remote of `.gitlake.toml`, which has work-lake, mirror");
    repo.is_clean();
}

#[test]
fn the_last_source_is_refused_before_anything_is_touched() {
    let env = TestEnv::new();
    let (repo, _lake, _mirror) = repo(&env);
    repo.git_fails(1, ["lake", "remote-remove", "work-lake", "mirror"])
        .says("Nothing was changed: of 2 items no other source is known to hold it (a.bin, train/b.bin)")
        .says("--force");
    repo.is_clean();
    repo.git(["lake", "remote-remove", "work-lake", "mirror", "--force"])
        .says("2 pointers changed");
    assert!(!repo.blob(":a.bin").contains("source"));
}

#[test]
fn a_source_without_a_receipt_is_no_reason_and_asking_makes_it_one() {
    let env = TestEnv::new();
    let (repo, lake, mirror) = repo(&env);
    repo.empty_receipts();
    repo.git_fails(1, ["lake", "remote-remove", "work-lake"]).says("`--check` asks the lakes now");
    repo.is_clean();
    mirror.remove(noise(1, 3000));
    repo.git_fails(1, ["lake", "remote-remove", "work-lake", "--check"])
        .says("of 1 item no other source holds it now (a.bin)");
    repo.is_clean();
    lake.holds(noise(1, 3000));
    repo.git(["lake", "remote-add", "../mirror"]);
    repo.git(["lake", "remote-remove", "work-lake", "--check"]).says("2 pointers changed");
}

#[test]
fn an_old_receipt_does_not_stand_up_to_being_asked() {
    let env = TestEnv::new();
    let (repo, _lake, mirror) = repo(&env);
    mirror.unmount();
    repo.git_fails(1, ["lake", "remote-remove", "work-lake", "--check"])
        .says("of 2 items no other source is sure to hold it now (a.bin, train/b.bin)")
        .says(&format!("; Could not reach the lake `{}`: ", mirror.url()))
        .says("; `git lake remote-add URL` names another lake first");
    // Without being asked, no lake is contacted, and what was proved counts.
    repo.git(["lake", "remote-remove", "work-lake"]).says("2 pointers changed");
}

#[test]
fn a_lake_of_this_machine_alone_is_no_other_source() {
    let env = TestEnv::new();
    let repo = env.repo("work");
    let data = repo.with("XDG_DATA_HOME", env.path("data"));
    data.git(["lake", "init"]);
    data.git(["lake", "track", "*.bin"]);
    data.write("a.bin", noise(1, 3000));
    data.commit("v1");
    env.lake("nas");
    data.git(["lake", "remote-add", "../nas"]);
    data.git_fails(1, ["lake", "remote-remove", "nas"]).says("no other source is known to hold it");
    data.git(["lake", "remote-remove", "local"]).says("1 pointer changed");
}

#[test]
fn a_selection_keeps_the_remote_and_counts_what_others_still_name() {
    let env = TestEnv::new();
    let (repo, lake, _mirror) = repo(&env);
    repo.write("same/b.bin", noise(2, 3000));
    repo.commit("a copy");
    repo.git(["lake", "remote-remove", "work-lake", "--", "train"])
        .says("1 pointer changed and staged.")
        .says("0 objects there are not named");
    assert!(names(&repo, "a.bin", &lake) && names(&repo, "same/b.bin", &lake));
    assert!(!names(&repo, "train/b.bin", &lake));
    assert!(repo.text(".gitlake.toml").contains("work-lake"));
}

#[test]
fn a_dry_run_touches_nothing() {
    let env = TestEnv::new();
    let (repo, _lake, _mirror) = repo(&env);
    repo.git(["lake", "remote-remove", "work-lake", "--dry-run"]).says("2 pointers would change");
    repo.is_clean();
    fs::metadata(repo.path.join(".gitlake.toml")).unwrap();
}

#[test]
fn a_lake_that_is_not_reachable_can_be_removed() {
    let env = TestEnv::new();
    let (repo, lake, _mirror) = repo(&env);
    lake.unmount();
    repo.git(["lake", "remote-remove", "work-lake"]).says("2 pointers changed");
    repo.commit("without");
    // A clone that never saw it finds everything.
    let clone = env.clone_of(&repo, "clone");
    clone.has("a.bin", noise(1, 3000));
}
