//! The commits of a range, one after the other, with what each of them brings.

use std::collections::{HashMap, HashSet};

use super::{Error, FoundBlob, is_file_mode};
use crate::repo::process::{Git, Stream};
use crate::repo::{BlobId, Repo};

const WRONG: Error = Error::Answer { command: "diff-tree" };

/// A commit of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub commit: BlobId,
    /// Those that it comes from.
    pub parents: Vec<BlobId>,
    /// The files that none of the parents has like this, in git's order.
    pub files: Vec<FoundBlob>,
    /// Paths that it changes in any other way.
    pub others: Vec<Vec<u8>>,
}

/// Gives the commits that lead to `tip` and not to `base`, those that others come from first.
///
/// What a merge takes from one of its parents was brought by that one.
///
/// # Errors
/// [`Error::Shallow`] if this clone lacks commits that may belong to the range; if git fails; and those
/// of `visit`.
pub fn steps<E: From<Error>>(
    repo: &Repo,
    base: BlobId,
    tip: BlobId,
    visit: &mut dyn FnMut(Step) -> Result<(), E>,
) -> Result<(), E> {
    let git = Git::of(repo).map_err(Error::from)?;
    let commits = commits(&git, base, tip)?;
    let boundary: HashSet<BlobId> = repo.shallow_commits().map_err(Error::from)?;
    if commits.iter().any(|(commit, _)| boundary.contains(commit)) {
        return Err(Error::Shallow.into());
    }
    if commits.is_empty() {
        return Ok(());
    }
    let input: String = commits.iter().map(|(commit, _)| format!("{commit}\n")).collect();
    let args = [
        "diff-tree",
        "--stdin",
        "--always",
        "--root",
        "-r",
        "-c",
        "-z",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "--no-ext-diff",
        "--no-relative",
        "--ignore-submodules=none",
    ];
    let mut stream = git.stream(&args, input.into_bytes()).map_err(Error::from)?;
    let mut parents: HashMap<BlobId, Vec<BlobId>> = commits.into_iter().collect();
    let mut step: Option<Step> = None;
    while let Some(record) = stream.next_record(0).map_err(|_| WRONG)? {
        if record.first() == Some(&b':') {
            let current = step.as_mut().ok_or(WRONG)?;
            take_change(current, &record, &mut stream)?;
            continue;
        }
        let commit = BlobId::parse_hex(&record).ok_or(WRONG)?;
        let parents = parents.remove(&commit).ok_or(WRONG)?;
        let (files, others) = Default::default();
        let next = Step { commit, parents, files, others };
        if let Some(done) = step.replace(next) {
            visit(done)?;
        }
    }
    stream.finish().map_err(Error::from)?;
    step.map_or(Ok(()), visit)
}

/// Lists the commits of a range with their parents, parents first.
fn commits(git: &Git, base: BlobId, tip: BlobId) -> Result<Vec<(BlobId, Vec<BlobId>)>, Error> {
    const WRONG: Error = Error::Answer { command: "rev-list" };
    let (base, tip) = (format!("^{base}"), tip.to_string());
    let args = ["rev-list", "--topo-order", "--reverse", "--parents", &tip, &base, "--"];
    let output = git.run(&args, b"")?.stdout;
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let ids = |line: &[u8]| -> Option<(BlobId, Vec<BlobId>)> {
        let mut ids = line.split(|byte| *byte == b' ').map(BlobId::parse_hex);
        let commit = ids.next()??;
        Some((commit, ids.collect::<Option<_>>()?))
    };
    lines.map(|line| ids(line).ok_or(WRONG)).collect()
}

/// Understands one change: a colon, a mode and an id for each parent, and those of the commit, after
/// `:` as many modes as ids; then the status, and behind a NUL the path.
fn take_change(step: &mut Step, record: &[u8], stream: &mut Stream) -> Result<(), Error> {
    let sides = record.iter().take_while(|byte| **byte == b':').count() + 1;
    let words: Vec<&[u8]> = record[sides - 1..].split(|byte| *byte == b' ').collect();
    let (Some(mode), Some(id)) = (words.get(sides - 1), words.get(2 * sides - 1)) else {
        return Err(WRONG);
    };
    let path = stream.next_record(0).map_err(|_| WRONG)?.ok_or(WRONG)?;
    if is_file_mode(mode) {
        let id = BlobId::parse_hex(id).ok_or(WRONG)?;
        step.files.push(FoundBlob { id, path });
    } else {
        step.others.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::{TestRepo, id};

    fn shown(repo: &TestRepo, base: &str, tip: &str) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        let opened = repo.open();
        let (base, tip) = (repo.run(&["rev-parse", base]), repo.run(&["rev-parse", tip]));
        steps(&opened, id(&base), id(&tip), &mut |step: Step| {
            let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            let files: Vec<_> = step.files.iter().map(|file| text(&file.path)).collect();
            let others: Vec<_> = step.others.iter().map(|path| text(path)).collect();
            lines.push(format!(
                "{} [{}] [{}]",
                step.parents.len(),
                files.join(" "),
                others.join(" ")
            ));
            Ok::<_, Error>(())
        })?;
        Ok(lines)
    }

    #[test]
    fn commits_bring_what_none_of_their_parents_has() {
        let repo = TestRepo::new();
        repo.write("a", b"1");
        repo.write("gone", b"1");
        let first = repo.commit_all();
        repo.run(&["switch", "--quiet", "--create", "side"]);
        repo.write("nl\nx", b"side");
        repo.write("a", b"side");
        repo.commit_all();
        repo.run(&["switch", "--quiet", "main"]);
        repo.write("a", b"main");
        repo.write("only main", b"main");
        repo.run(&["rm", "--quiet", "gone"]);
        let main = repo.commit_all();
        let merged = repo.git().run(&["merge", "--quiet", "side"], b"");
        assert!(merged.is_err(), "both changed it");
        repo.write("a", b"merged");
        repo.commit_all();
        repo.commit_all();
        let steps = |base| shown(&repo, base, "HEAD").expect("lists");
        assert_eq!(steps(&main), ["1 [a nl\nx] []", "2 [a] []", "1 [] []"]);
        assert_eq!(steps(&first).len(), 4);
        assert!(steps(&first).contains(&"1 [a only main] [gone]".to_owned()));
        assert_eq!(steps("HEAD"), [""; 0]);
        repo.run(&["switch", "--quiet", "--orphan", "new"]);
        repo.write("root", b"root");
        repo.commit_all();
        assert_eq!(shown(&repo, &first, "new").expect("lists"), ["0 [root] []"]);
    }

    #[test]
    fn what_a_shallow_clone_lacks_is_not_judged() {
        let repo = TestRepo::new();
        for at in 0..5 {
            repo.write("a", format!("{at}").as_bytes());
            repo.commit_all();
        }
        repo.run(&["branch", "base", "HEAD~2"]);
        repo.run(&["branch", "early", "HEAD~4"]);
        let boundary = format!("{}\n", repo.run(&["rev-parse", "base"]));
        repo.write(".git/shallow", boundary.as_bytes());
        assert_eq!(shown(&repo, "base", "HEAD").expect("all of it is there").len(), 2);
        assert!(matches!(shown(&repo, "early", "HEAD"), Err(Error::Shallow)));
    }
}
