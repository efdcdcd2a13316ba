//! `git lake demo`: the whole journey in a folder of its own, with every byte compared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Context, Error, Exit, counted};
use crate::fs::{IoContext as _, PathError};
use crate::ui::size;

mod dataset;
mod shell;

use shell::Shell;

/// Try git-lake out in a temporary folder
///
/// A small dataset goes through git and two folder lakes and comes back; every byte is compared. The
/// folder has a home of its own, so none of your settings count or change. It is kept, and named.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to work in, which must not exist yet [default: a new one for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs `git lake demo`. Exit code 1 says that a byte differed.
///
/// # Errors
/// If a command failed; what it printed was shown.
pub fn run(context: &Context, args: &Args) -> super::Result {
    let root = folder(context, args.dir.as_deref())?;
    let shown = root.display();
    context.ui.data(&format!("Everything happens in `{shown}`."))?;
    let result = play(context, &root);
    context.ui.data("")?;
    let outcome = match &result {
        Ok(Exit::Done) => "The dataset came back, byte for byte, from each lake.",
        _ => "The demo did not work.",
    };
    context.ui.data(outcome)?;
    context.ui.data(&format!("Look around in `{shown}`; when done: rm -rf '{shown}'"))?;
    result
}

/// Creates the folder for the demo; it stays.
fn folder(context: &Context, wanted: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(wanted) = wanted {
        let path = context.folder.join(wanted);
        std::fs::create_dir(&path).context(&path)?;
        return Ok(path);
    }
    let temporary = std::env::temp_dir();
    let made = tempfile::Builder::new().prefix("git-lake-demo-").tempdir_in(&temporary);
    Ok(made.context(&temporary)?.keep())
}

/// Plays the scenes; each says what it shows and what came of it.
fn play(context: &Context, root: &Path) -> super::Result {
    let ui = &context.ui;
    let scene = |title: &str| ui.data(&format!("\n# {title}"));
    let mut shell = Shell::open(context, root)?;

    scene("Once for a user: git learns to call git-lake")?;
    shell.git(&["lake", "install"])?;

    scene("A dataset, a server for its history, and two folders for its content")?;
    shell.git(&["init", "--quiet", "--bare", "origin.git"])?;
    shell.git(&["init", "--quiet", "dataset"])?;
    let work = root.join("dataset");
    dataset::write(&work)?;
    let files = files_of(&work)?;
    ui.data(&format!(
        "-> {} images, {} arrays and labels.csv were put into `dataset`: {}.",
        dataset::IMAGES,
        dataset::ARRAYS + 1,
        size::human(files.1)
    ))?;
    shell.enter("dataset")?;
    shell.git(&["remote", "add", "origin", "../origin.git"])?;
    shell.git(&["lake", "init", "../lake-one", "../lake-two"])?;
    shell.git(&["lake", "track", "*.png", "*.npy"])?;

    scene("Plain git takes it from here: the content goes to both lakes, git keeps pointers")?;
    for args in [
        &["add", "."][..],
        &["commit", "--quiet", "-m", "The first version"],
        &["push", "--quiet", "-u", "origin", "HEAD"],
        &["show", "HEAD:images/0000.png"],
        &["lake", "status"],
    ] {
        shell.git(args)?;
    }
    shell.enter("")?;
    let (history, content) =
        (files_of(&root.join("origin.git"))?, files_of(&root.join("lake-two"))?);
    ui.data(&format!(
        "-> The server has {}, each lake {}.",
        size::human(history.1),
        size::human(content.1)
    ))?;

    let mut exit = Exit::Done;
    let mut clone = |shell: &mut Shell<'_>, name: &str| -> Result<(), Error> {
        if context.cancel.is_cancelled() {
            exit = Exit::Incomplete;
            return Ok(());
        }
        shell.git(&["clone", "--quiet", "origin.git", name])?;
        let changes = shell.git(&["-C", name, "status", "--short"])?;
        let differences = compare(&work, &root.join(name))?;
        let lines = changes.lines().map(|line| format!("`git status` is not clean: {line}"));
        let wrong: Vec<String> = differences.into_iter().chain(lines).collect();
        if wrong.is_empty() {
            let count = counted(files_of(&work)?.0, "file is", "files are");
            ui.data(&format!("-> {count} the same, byte for byte, and `git status` is clean."))?;
            return Ok(());
        }
        exit = Exit::Incomplete;
        for line in wrong {
            ui.data(&format!("-> WRONG: {}", crate::ui::escape::for_terminal(&line)))?;
        }
        Ok(())
    };
    scene("Somebody else clones it, and nothing more")?;
    clone(&mut shell, "clone-one")?;

    scene("The first lake is lost; the second one is enough")?;
    shell.rename("lake-one", "lake-one.lost")?;
    clone(&mut shell, "clone-two")?;
    Ok(exit)
}

/// Returns what differs between two work trees, one line each; `.git` is not looked into.
fn compare(one: &Path, other: &Path) -> Result<Vec<String>, PathError> {
    let (here, there) = (paths_of(one)?, paths_of(other)?);
    let mut wrong = Vec::new();
    for path in here.union(&there) {
        let shown = path.display();
        if !there.contains(path) {
            wrong.push(format!("`{shown}` is missing"));
        } else if !here.contains(path) {
            wrong.push(format!("`{shown}` is one too many"));
        } else {
            let read = |top: &Path| std::fs::read(top.join(path)).context(top.join(path));
            if read(one)? != read(other)? {
                wrong.push(format!("`{shown}` has other bytes"));
            }
        }
    }
    Ok(wrong)
}

/// Counts the files below a folder, and their bytes, without `.git`.
fn files_of(top: &Path) -> Result<(usize, u64), PathError> {
    let paths = paths_of(top)?;
    let size = |path: &PathBuf| std::fs::metadata(top.join(path)).map_or(0, |found| found.len());
    Ok((paths.len(), paths.iter().map(size).sum()))
}

/// Lists the files below a folder, by their paths from there, without `.git`.
fn paths_of(top: &Path) -> Result<BTreeSet<PathBuf>, PathError> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = top.join(&folder);
        for entry in std::fs::read_dir(&path).context(&path)? {
            let entry = entry.context(&path)?;
            let name = folder.join(entry.file_name());
            if entry.file_type().context(&path)?.is_dir() {
                if entry.file_name() != ".git" {
                    folders.push(name);
                }
            } else {
                found.insert(name);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Shared, write_atomic};

    #[test]
    fn a_missing_a_surplus_and_a_changed_file_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().expect("below a folder")).expect("creates");
            write_atomic(&path, text.as_bytes(), Shared::Yes).expect("writes");
        };
        for (name, here, there) in [("same", "1", "1"), ("sub/changed", "1", "2")] {
            write(one.join(name), here);
            write(other.join(name), there);
        }
        write(one.join("gone"), "");
        write(other.join("more"), "");
        write(other.join(".git/HEAD"), "");
        assert_eq!(
            compare(&one, &other).expect("reads"),
            ["`gone` is missing", "`more` is one too many", "`sub/changed` has other bytes"]
        );
        assert_eq!(compare(&one, &one).expect("reads"), Vec::<String>::new());
        assert_eq!(files_of(&one).expect("reads"), (3, 2));
    }
}
