//! What git-lake does with a server: every command that asks one.

use std::fs;

use git_lake::oid::Oid;

use super::site::{Ended, LARGE, Site};
use crate::common::{Ran, Repo};

/// One command, with what goes before it and what is right after it.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// While all is well.
    pub(crate) prepare: fn(&Site),
    pub(crate) run: fn(&Site) -> Ended,
    /// Checked when it is done.
    pub(crate) is_right: fn(&Site),
}

/// How a command of git-lake ended; one that failed says why.
#[track_caller]
fn ended(ran: &Ran) -> Ended {
    if ran.code == Some(0) {
        return Ended::Done;
    }
    clear(ran);
    Ended::Failed
}

/// The lake and what is wrong with it are named.
#[track_caller]
fn clear(ran: &Ran) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let reasons = ["Could not", "other bytes", "not in", "it is busy", "differ", "is refused"];
    let is_named = ["s3://127.0.0.1:", "`lake`"].iter().any(|name| said.contains(name));
    assert!(is_named, "no lake is named: {ran:#?}");
    assert!(reasons.iter().any(|reason| said.contains(reason)), "no reason: {ran:#?}");
}

/// The same of git commands that succeed although git-lake could not do all of it.
#[track_caller]
fn ended_under_git(ran: &Ran) -> Ended {
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    // How far it is, for who waits, is no complaint.
    let is_progress = |line: &&str| {
        let activities = ["Hashing", "Uploading", "Downloading", "Filling", "Verifying", "Asking"];
        activities.iter().any(|activity| line.starts_with(&format!("git-lake: {activity} ")))
    };
    if ran.told().iter().all(is_progress) {
        return Ended::Done;
    }
    clear(ran);
    Ended::Failed
}

fn git(site: &Site, args: &[&str]) -> Ended {
    ended(&site.run("git", args))
}

fn nothing(_: &Site) {}

/// A commit whose content is owed.
fn owe(site: &Site) {
    site.repo.git(["config", "lake.upload", "push"]);
    for number in 1..=3 {
        site.repo.write(format!("{number}.bin"), site.content(number, 3000));
    }
    site.repo.commit("owed");
}

fn three_arrived(site: &Site) {
    for number in 1..=3 {
        site.holds(&site.content(number, 3000));
    }
}

fn has_old(site: &Site) {
    site.repo.has("old.bin", site.old());
}

fn large(site: &Site) -> Vec<u8> {
    site.content(4, LARGE)
}

fn add_large(site: &Site) {
    site.repo.write("large.bin", large(site));
    site.repo.commit("large").says_nothing();
}

/// A dataset beside the repository.
fn dataset(site: &Site) -> Repo {
    let place = site.repo.below("..");
    let items = (5..8).map(|number| (number, site.content(number, 3000)));
    let names: Vec<_> = items.map(|(at, bytes)| (format!("data/{at}_a.bin"), bytes)).collect();
    place.dataset("in", names.iter().map(|(name, bytes)| (&**name, bytes.clone())));
    place
}

fn lake(site: &Site, args: &[&str]) -> Ended {
    ended(&site.run_in(&site.repo.below(".."), "git-lake", args))
}

/// A dataset is there with all items, as they were or as they should be, or not at all.
fn whole(site: &Site, name: &str, ended: Ended) -> Ended {
    let folder = site.repo.path.with_file_name(name);
    if !folder.exists() {
        assert_eq!(ended, Ended::Failed);
        return ended;
    }
    let place = site.repo.below("..");
    let files = place.files(name);
    for number in 5..8 {
        let file = format!("data/{number}_a.bin");
        let remote = format!("{file}.remote");
        match files.contains(&file) {
            true => place.has(format!("{name}/{file}"), site.content(number, 3000)),
            false => assert!(place.text(format!("{name}/{remote}")).contains(&site.url())),
        }
    }
    assert_eq!(files.len(), 3, "{files:?}");
    if ended == Ended::Failed {
        // It is no place for another attempt.
        fs::remove_dir_all(folder).unwrap();
    }
    ended
}

fn items_are_back(site: &Site) {
    for number in 5..8 {
        site.repo.has(format!("../back/data/{number}_a.bin"), site.content(number, 3000));
    }
}

fn items_arrived(site: &Site) {
    for number in 5..8 {
        site.holds(&site.content(number, 3000));
    }
}

/// Pulls fill files, and say which they could not.
fn pull(site: &Site) -> Ended {
    git(site, &["lake", "pull"])
}

/// Puts other bytes under the name of `old.bin`.
fn damage(site: &Site) {
    let name = format!("{}.bin", Oid::of(&site.old()).to_hex());
    site.server.remove(&site.bucket, &name);
    site.server.put(&site.bucket, &name, &site.damage());
}

fn stored(site: &Site, content: &[u8]) {
    assert_eq!(fs::read(site.repo.stored(content)).unwrap(), content);
}

/// All of it.
pub(crate) const WORKS: &[Work] = &[
    Work {
        name: "git add",
        prepare: |site| site.repo.write("1.bin", site.content(1, 3000)),
        run: |site| ended_under_git(&site.run("git", &["add", "1.bin"])),
        is_right: |site| site.holds(&site.content(1, 3000)),
    },
    Work {
        name: "git add of a large file",
        prepare: |site| site.repo.write("large.bin", large(site)),
        run: |site| ended_under_git(&site.run("git", &["add", "large.bin"])),
        is_right: |site| site.holds(&large(site)),
    },
    Work {
        name: "git lake push",
        prepare: owe,
        run: |site| git(site, &["lake", "push"]),
        is_right: three_arrived,
    },
    Work {
        name: "git push",
        prepare: |site| {
            owe(site);
            site.repo.below("..").git(["init", "-q", "--bare", "server.git"]);
        },
        run: |site| git(site, &["push", "-q", "../server.git", "HEAD:main"]),
        is_right: |site| {
            three_arrived(site);
            let pushed = site.repo.below("../server.git").git(["rev-parse", "main"]).stdout;
            assert_eq!(pushed, site.repo.git(["rev-parse", "HEAD"]).stdout);
        },
    },
    Work {
        name: "git lake fetch",
        prepare: |site| site.repo.empty_store(),
        run: |site| git(site, &["lake", "fetch"]),
        is_right: |site| stored(site, &site.old()),
    },
    Work {
        name: "git lake pull",
        prepare: |site| site.forget("old.bin"),
        run: pull,
        is_right: has_old,
    },
    Work {
        name: "git lake pull of a large file",
        prepare: |site| {
            add_large(site);
            site.forget("large.bin");
        },
        run: pull,
        is_right: |site| site.repo.has("large.bin", large(site)),
    },
    Work {
        name: "git checkout",
        prepare: |site| {
            fs::remove_file(site.repo.path.join("old.bin")).unwrap();
            site.repo.empty_store();
        },
        run: |site| {
            // What is a pointer by now is not looked into again.
            drop(fs::remove_file(site.repo.path.join("old.bin")));
            ended_under_git(&site.run("git", &["checkout", "--", "old.bin"]))
        },
        is_right: has_old,
    },
    Work {
        name: "git clone",
        prepare: nothing,
        run: |site| {
            drop(fs::remove_dir_all(site.repo.path.with_file_name("clone")));
            let place = site.repo.below("..");
            ended_under_git(&site.run_in(&place, "git", &["clone", "-q", "work", "clone"]))
        },
        is_right: |site| site.repo.has("../clone/old.bin", site.old()),
    },
    Work {
        name: "git lake remote-add",
        prepare: |site| {
            site.repo.write(".gitlake.toml", "version = 1\n");
            site.with_folder();
        },
        run: |site| git(site, &["lake", "remote-add", &site.typed()]),
        is_right: |site| {
            assert!(site.repo.blob(":old.bin").contains(&site.url()));
            site.holds(&site.old());
        },
    },
    Work {
        name: "git lake remote-remove --check",
        prepare: |site| {
            site.with_folder();
            site.repo.empty_receipts();
        },
        run: |site| {
            let ended = git(site, &["lake", "remote-remove", "folder", "--check"]);
            let pointer = site.repo.blob(":old.bin");
            assert_eq!(pointer.contains("file://"), ended == Ended::Failed, "{pointer}");
            ended
        },
        is_right: |site| assert!(site.repo.blob(":old.bin").contains(&site.url())),
    },
    Work {
        name: "git lake status --all --check",
        prepare: |site| site.repo.empty_receipts(),
        run: |site| git(site, &["lake", "status", "--all", "--check"]),
        is_right: nothing,
    },
    Work {
        name: "git lake drop",
        prepare: nothing,
        run: |site| {
            let ended = git(site, &["lake", "drop", "old.bin"]);
            assert_eq!(site.repo.is_pointer("old.bin"), ended == Ended::Done);
            ended
        },
        is_right: nothing,
    },
    Work {
        name: "git lake prune --current",
        prepare: |site| {
            // What no remote of git has stays.
            site.repo.below("..").git(["init", "-q", "--bare", "server.git"]);
            site.repo.git(["remote", "add", "origin", "../server.git"]);
            site.repo.git(["push", "-q", "origin", "HEAD:main"]);
        },
        run: |site| {
            let ended = git(site, &["lake", "prune", "--current"]);
            assert_eq!(site.repo.stored(site.old()).exists(), ended == Ended::Failed);
            ended
        },
        is_right: nothing,
    },
    Work {
        name: "git lake fsck --remote",
        prepare: nothing,
        run: |site| git(site, &["lake", "fsck", "--remote", "--read-data"]),
        is_right: nothing,
    },
    Work {
        name: "git lake fsck --remote --repair",
        prepare: damage,
        run: |site| {
            let ran = site.run("git", &["lake", "fsck", "--remote", "--read-data", "--repair"]);
            let damaged = format!("{}.bin", Oid::of(&site.old()).to_hex());
            let now = site.server.get(&site.bucket, &damaged).unwrap();
            let aside = site.server.aside(&site.bucket, "");
            if now == site.old() {
                assert!(aside.contains(&site.damage()), "what was replaced is not kept");
            }
            // What it found is no failure if it is put right.
            if now == site.old() { Ended::Done } else { ended(&ran) }
        },
        is_right: |site| site.holds(&site.old()),
    },
    Work {
        name: "git lake cat",
        prepare: |site| site.repo.empty_store(),
        run: |site| {
            let ran = site.run("git", &["lake", "cat", "old.bin"]);
            let expected = if ran.code == Some(0) { site.old() } else { Vec::new() };
            assert!(ran.bytes == expected, "{ran:#?}");
            ended(&ran)
        },
        is_right: nothing,
    },
    Work {
        name: "git lake init",
        prepare: |site| {
            drop(fs::remove_dir_all(site.repo.path.join(".git/lake")));
            fs::remove_file(site.repo.path.join(".gitlake.toml")).unwrap();
        },
        run: |site| git(site, &["lake", "init", &site.typed()]),
        is_right: |site| assert!(site.repo.text(".gitlake.toml").contains(&site.url())),
    },
    Work {
        name: "git lake remote-upload of a dataset",
        prepare: |site| drop(dataset(site)),
        run: |site| lake(site, &["remote-upload", "-i", "in", "-r", &site.typed()]),
        is_right: items_arrived,
    },
    Work {
        name: "git lake remote-add to a dataset",
        prepare: |site| drop(dataset(site)),
        run: |site| {
            let args = ["remote-add", "-i", "in", "-o", "out", "-r", &site.typed()];
            whole(site, "out", lake(site, &args))
        },
        is_right: items_arrived,
    },
    Work {
        name: "git lake clone of a dataset",
        prepare: |site| {
            let place = dataset(site);
            place.lake(0, ["remote-add", "-i", "in", "-o", "out", "-r", &site.typed()]);
        },
        run: |site| {
            let host = format!("s3://{}?secure=false", site.proxy.host());
            let args = ["clone", "-i", "out", "-o", "back", "--host", &host];
            whole(site, "back", lake(site, &args))
        },
        is_right: items_are_back,
    },
];
