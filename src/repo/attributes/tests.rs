use super::*;
use crate::repo::testing::{TestRepo, git_is_at_least, open, path};

const PATHS: [&str; 16] = [
    "a.bin",
    "a.txt",
    "sub/a.bin",
    "sub/no/a.bin",
    "sub/deep/er/x",
    "data/x",
    "data/keep/x",
    "macro.m",
    "other.o",
    "info.i",
    "quoted name",
    "a.bin/beneath",
    "A.BIN",
    "indexed/x.y",
    "gone/x.bin",
    ".gitattributes",
];

fn write_attributes(repo: &TestRepo) {
    let top = b"[attr]big filter=lake merge=lake -text\n*.bin filter=lake\n*.m big\n\
        *.o filter=other\n/data/** filter=lake\n\"quoted name\" filter=lake\n.gitattributes -filter\n";
    repo.write(".gitattributes", top);
    repo.write("sub/.gitattributes", b"deep/** filter=lake\n");
    repo.write("sub/no/.gitattributes", b"*.bin !filter\n");
    repo.write("data/.gitattributes", b"keep/* -filter\n");
    repo.write("indexed/.gitattributes", b"*.y filter=lake\n");
    for path in ["a.bin", "sub/a.bin", "data/x", "indexed/x.y"] {
        repo.write(path, b"x");
    }
}

fn by_git(repo: &TestRepo, args: &[&str]) -> Vec<bool> {
    let args = [&["check-attr", "-z", "--stdin"], args, &["filter"]].concat();
    let output = repo.git().run(&args, PATHS.join("\0").as_bytes()).expect("asks");
    let words: Vec<_> = output.stdout.split(|byte| *byte == 0).collect();
    words.chunks_exact(3).map(|record| record[2] == b"lake").collect()
}

fn by_us(mut lake: LakePaths<'_>) -> Vec<bool> {
    let ask = |text: &str| lake.contains(&path(text)).expect("answers");
    PATHS.into_iter().map(ask).collect()
}

#[test]
fn the_answers_are_those_of_git() {
    let repo = TestRepo::new();
    write_attributes(&repo);
    let lake = |repo: &TestRepo| {
        let opened = repo.open();
        let index = opened.index().expect("reads");
        by_us(LakePaths::of_work_tree(&opened, &index).expect("reads"))
    };
    assert_eq!(lake(&repo), by_git(&repo, &[]), "unborn");
    repo.commit_all();
    // Where the work tree has no attributes, those of the index count.
    std::fs::remove_dir_all(repo.top.join("indexed")).expect("removes");
    repo.write(".git/info/attributes", b"*.i filter=lake\n");
    let answers = lake(&repo);
    assert_eq!(answers, by_git(&repo, &[]));
    assert!(answers.contains(&true) && answers.contains(&false));
    repo.write("mine", b"*.txt filter=lake\n");
    let mine = repo.top.join("mine").display().to_string();
    repo.run(&["config", "core.attributesFile", &mine]);
    assert_eq!(lake(&repo), by_git(&repo, &[]));
    assert!(lake(&repo)[1]);
    repo.run(&["config", "core.ignoreCase", "true"]);
    assert_eq!(lake(&repo), by_git(&repo, &[]));
}

#[test]
fn attributes_of_a_commit_are_those_of_git() {
    let repo = TestRepo::new();
    write_attributes(&repo);
    repo.commit_all();
    repo.write(".gitattributes", b"");
    repo.commit_all();
    let opened = repo.open();
    let lake = by_us(LakePaths::of_tree(&opened, "main~1").expect("reads"));
    // Older gits cannot be asked.
    if git_is_at_least((2, 40)) {
        assert_eq!(lake, by_git(&repo, &["--source=main~1"]));
    }
    assert!(lake[0]);
    let bare = repo.beside("bare");
    let to = bare.display().to_string();
    repo.run(&["clone", "--quiet", "--bare", ".", &to]);
    let opened = open(&bare);
    assert_eq!(by_us(LakePaths::of_tree(&opened, "main~1").expect("reads")), lake);
    let empty = TestRepo::new();
    let opened = empty.open();
    let lake = by_us(LakePaths::of_tree(&opened, "HEAD").expect("unborn"));
    assert!(!lake.contains(&true));
}
