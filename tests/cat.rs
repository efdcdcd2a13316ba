//! `git lake cat`: content on stdout, never a pointer.

use std::fs;

use crate::common::{Repo, TestEnv, noise};
use git_lake::oid::Oid;

#[track_caller]
fn cat(repo: &Repo, names: &[&str]) -> Vec<u8> {
    let ran = repo.git(["lake", "cat"].iter().chain(names));
    assert_eq!(ran.stderr, "");
    ran.bytes
}

/// Two versions of `a.bin`, and `sub/b.bin`.
fn repo(env: &TestEnv) -> (Repo, crate::common::Lake) {
    let (repo, lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("first");
    repo.write("a.bin", noise(2, 3000));
    repo.write("sub/b.bin", noise(3, 3000));
    repo.commit("second");
    (repo, lake)
}

#[test]
fn names_are_those_of_git() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    // The work tree is not looked at.
    fs::remove_file(repo.path.join("a.bin")).unwrap();
    repo.write("sub/b.bin", "edited");
    let sub = repo.below("sub");
    assert_eq!(cat(&repo, &["a.bin"]), noise(2, 3000));
    assert_eq!(cat(&repo, &["HEAD~:a.bin"]), noise(1, 3000));
    assert_eq!(cat(&repo, &["main:sub/b.bin"]), noise(3, 3000));
    assert_eq!(cat(&repo, &[":a.bin"]), noise(2, 3000));
    assert_eq!(cat(&sub, &["b.bin"]), noise(3, 3000));
    assert_eq!(cat(&sub, &["../a.bin"]), noise(2, 3000));
    assert_eq!(cat(&sub, &["HEAD:./b.bin"]), noise(3, 3000));
    assert_eq!(cat(&sub, &["HEAD~:a.bin"]), noise(1, 3000));
    assert_eq!(cat(&sub, &[&repo.path.join("a.bin").display().to_string()]), noise(2, 3000));
    let both = [noise(1, 3000), noise(3, 3000), noise(1, 3000)].concat();
    assert_eq!(cat(&sub, &["HEAD~:a.bin", "b.bin", "HEAD~:a.bin"]), both);
}

#[test]
fn what_is_not_here_comes_from_the_lake_once() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    repo.write("small.bin", noise(1, 3000));
    repo.write("large.bin", noise(2, 5 << 20));
    repo.commit("items");
    env.install();
    let clone = env.at("clone");
    env.at(".").with("GIT_LAKE_SKIP_SMUDGE", "1").git(["clone", "-q", "work", "clone"]);
    let both = [noise(1, 3000), noise(2, 5 << 20)].concat();
    assert_eq!(cat(&clone, &["small.bin", "large.bin"]), both);
    assert!(clone.is_pointer("small.bin") && clone.is_pointer("large.bin"));
    clone.is_clean();
    lake.unmount();
    assert_eq!(cat(&clone, &["HEAD:small.bin", "large.bin"]), both);
    clone.empty_store();
    let ran = clone.git_fails(1, ["lake", "cat", "small.bin"]);
    assert_eq!(ran.stdout, "");
    let expected = format!(
        "git-lake: Could not print `small.bin`: object {} (3000 bytes) cannot be had: Could not reach the lake `{}`: The folder does not exist",
        Oid::of(&noise(1, 3000)),
        lake.url()
    );
    assert_eq!(ran.told(), [expected]);
}

#[test]
fn bare_repositories_and_first_adds() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let bare = env.bare("bare");
    bare.git_fails(1, ["lake", "cat", "a.bin"]).says("There is no `a.bin` in `HEAD`");
    repo.git(["push", "-q", &bare.path.display().to_string(), "main"]);
    assert_eq!(cat(&bare, &["a.bin"]), noise(2, 3000));
    assert_eq!(cat(&bare, &["main~:a.bin"]), noise(1, 3000));
    assert_eq!(cat(&bare, &["sub/b.bin"]), noise(3, 3000));
    let new = env.repo("new");
    new.git(["lake", "init", &env.lake("new-lake").url()]);
    new.git(["lake", "track", "*.bin"]);
    new.write("a.bin", noise(4, 3000));
    new.git(["add", "."]);
    assert_eq!(cat(&new, &["a.bin"]), noise(4, 3000));
}

#[test]
fn what_git_holds_itself_is_printed_as_it_is() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("short.txt", "text\n");
    repo.write("long.txt", noise(1, 100_000));
    repo.write("empty.bin", "");
    std::os::unix::fs::symlink("short.txt", repo.path.join("link")).unwrap();
    repo.commit("files");
    let all = [b"text\n", &*noise(1, 100_000), b"", b"short.txt"].concat();
    assert_eq!(cat(&repo, &["short.txt", "long.txt", "empty.bin", "link"]), all);
    repo.git(["config", "uploadpack.allowFilter", "true"]);
    env.install();
    let clone = env.clone_with(&repo, "clone", &["--filter=blob:none", "--no-checkout"]);
    assert_eq!(cat(&clone, &["HEAD:short.txt", "HEAD:long.txt"]), all[..100_005]);
}

#[test]
fn pointers_of_a_partial_clone_are_fetched_by_git() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    repo.git(["config", "uploadpack.allowFilter", "true"]);
    let clone = env.clone_with(&repo, "clone", &["--filter=blob:none", "--no-checkout"]);
    assert_eq!(cat(&clone, &["HEAD~:a.bin"]), noise(1, 3000));
}

#[test]
fn both_sides_of_a_conflict_have_names() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 3000));
    repo.commit("base");
    repo.on_branch("side", |repo| repo.write("a.bin", noise(2, 3000)));
    repo.write("a.bin", noise(3, 3000));
    repo.commit("ours");
    assert_eq!(repo.run("git", ["merge", "-q", "side"]).code, Some(1));
    repo.git_fails(1, ["lake", "cat", "a.bin"]).says(
        "Could not print `a.bin`: A merge left a conflict in `a.bin`: `:2:a.bin` is ours, `:3:a.bin` is theirs",
    );
    let all = [noise(1, 3000), noise(3, 3000), noise(2, 3000)].concat();
    assert_eq!(cat(&repo, &[":1:a.bin", ":2:a.bin", ":3:./a.bin"]), all);
}

#[test]
fn nothing_is_printed_of_what_is_damaged_and_the_rest_is() {
    let env = TestEnv::new();
    let (repo, lake) = env.tracked("work");
    let (large, small) = (noise(1, 3 << 20), noise(2, 3000));
    repo.write("large.bin", &large);
    repo.write("small.bin", &small);
    repo.commit("items");
    lake.damage(&large);
    let stored = repo.stored(&large);
    damage(&stored);
    let ran = repo.git_fails(3, ["lake", "cat", "large.bin", "small.bin", "none.bin"]);
    assert_eq!(ran.bytes, small);
    drop(
        ran.says("is damaged; it was set aside as")
            .says("Could not print `none.bin`: There is no `none.bin` in the index")
            .says(&format!("`{}` holds other bytes than the object's", lake.url())),
    );
    // Gone from the store, and damaged in the lake.
    assert_eq!(repo.git_fails(3, ["lake", "cat", "large.bin"]).bytes, b"");
    fs::remove_file(lake.object(&large)).unwrap();
    let ran = repo.git_fails(1, ["lake", "cat", "large.bin"]);
    drop(ran.says(&format!("it is not in `{}`", lake.url())));
    // Damaged here alone.
    damage(&repo.stored(&small));
    let ran = repo.git(["lake", "cat", "small.bin"]);
    assert_eq!(ran.bytes, small);
    drop(ran.says("is damaged; it was set aside as"));
    assert_eq!(cat(&repo, &["small.bin"]), small);
    lake.remove(&small);
    damage(&repo.stored(&small));
    repo.git_fails(3, ["lake", "cat", "small.bin"]).says("it is not in");
}

/// Changes a byte of a stored object, as a disk might.
fn damage(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[1000] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    let mut permissions = path.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).unwrap();
}

#[test]
fn the_next_source_helps() {
    let env = TestEnv::new();
    let (repo, lake) = repo(&env);
    repo.git(["lake", "remote-add", &env.lake("mirror").url()]);
    lake.remove(noise(2, 3000));
    repo.empty_store();
    assert_eq!(cat(&repo, &["a.bin"]), noise(2, 3000));
}

#[test]
fn more_than_the_store_may_hold_is_printed_all_the_same() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    let names: Vec<String> = (0..8).map(|at| format!("{at}.bin")).collect();
    for (at, name) in (0..).zip(&names) {
        repo.write(name, noise(at, 4000));
    }
    repo.commit("items");
    repo.empty_store();
    repo.git(["config", "lake.storageLimit", "10k"]);
    let all: Vec<u8> = (0..8).flat_map(|at| noise(at, 4000)).collect();
    assert_eq!(cat(&repo, &names.iter().map(String::as_str).collect::<Vec<_>>()), all);
    let left = (0..8).filter(|at| repo.stored(noise(*at, 4000)).exists()).count();
    assert!((1..=2).contains(&left), "{left}");
}

#[test]
fn a_pointer_that_cannot_be_used_is_not_printed() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let pointer = repo.blob("HEAD:a.bin");
    let texts = [
        ("damaged", pointer.replace("size 3000", "size 03000")),
        ("newer", pointer.replace("pointer v1", "pointer v2")),
    ];
    for (name, text) in &texts {
        let id = repo.feed("git", &["hash-object", "-w", "--stdin"], text.as_bytes()).stdout;
        let entry = format!("100644,{},{name}.bin", id.trim_end());
        repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    }
    let told = |code, name: &str| {
        let ran = repo.git_fails(code, ["lake", "cat", name]);
        assert_eq!(ran.stdout, "");
        ran.stderr
    };
    insta::assert_snapshot!(told(3, "damaged.bin"), @"git-lake: Could not print `damaged.bin`: its pointer is damaged: Line 3 of the pointer should be `size` and a decimal number from 1 to 2^63-1");
    insta::assert_snapshot!(told(1, "newer.bin"), @"git-lake: Could not print `newer.bin`: its pointer was written by a newer git-lake");
}

#[test]
fn what_cannot_be_meant_is_told_in_one_line() {
    let env = TestEnv::new();
    let (repo, _lake) = repo(&env);
    let told = |args: &[&str]| {
        let ran = repo.git_fails(1, ["lake", "cat"].iter().chain(args));
        assert_eq!(ran.stdout, "");
        ran.stderr
    };
    insta::assert_snapshot!(told(&["none.bin"]), @"git-lake: Could not print `none.bin`: There is no `none.bin` in the index");
    insta::assert_snapshot!(told(&["../x.bin"]), @"git-lake: Could not print `../x.bin`: `../x.bin` is outside of the repository");
    insta::assert_snapshot!(told(&["HEAD:sub"]), @"git-lake: Could not print `HEAD:sub`: `sub` is a folder");
    insta::assert_snapshot!(told(&["HEAD:none.bin"]), @"git-lake: Could not print `HEAD:none.bin`: There is no `none.bin` in `HEAD`");
    insta::assert_snapshot!(told(&["nope:a.bin"]), @r#"git-lake: Could not print `nope:a.bin`: Could not find revision `nope`: couldn't parse revision, input="nope": Reference "nope" could not be found: NotFound"#);
    repo.git_fails(2, ["lake", "cat"]).says("Usage: git lake cat");
    env.at(".").git_fails(1, ["lake", "cat", "a"]).says("is not inside a git repository");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let env = TestEnv::new();
    let (repo, _lake) = env.tracked("work");
    repo.write("a.bin", noise(1, 5 << 20));
    repo.write("plain.txt", noise(2, 5 << 20));
    repo.commit("items");
    for name in ["a.bin", "plain.txt"] {
        let script = format!("{{ git-lake cat {name}; echo $? >&2; }} | head -c 10 >head");
        assert_eq!(repo.run("sh", ["-c", &script]).stderr, "0\n");
        assert_eq!(repo.read("head").len(), 10);
    }
}
