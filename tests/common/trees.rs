//! Comparing work trees.

use super::*;

/// Every file below a folder, with its bytes and whether it may be run; git's own are left out.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>, bool)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            if entry.file_name() == ".git" {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap(), metadata.mode() & 0o111 != 0));
            }
        }
    }
    found.sort();
    found
}

/// Two work trees hold the same files with the same bytes and the same right to run them.
#[track_caller]
pub(crate) fn same_trees(left: &Repo, right: &Repo) {
    let (left, right) = (tree(&left.path), tree(&right.path));
    let names = |tree: &[(PathBuf, Vec<u8>, bool)]| {
        tree.iter().map(|(path, ..)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&left), names(&right));
    for (left, right) in left.iter().zip(&right) {
        assert!(left == right, "{} differs", left.0.display());
    }
}
