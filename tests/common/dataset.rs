//! Datasets outside of git.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// An empty folder to work in, without a repository.
pub(crate) fn place(env: &TestEnv) -> Repo {
    let place = env.at("place");
    fs::create_dir(&place.path).unwrap();
    place
}

/// Content of all kinds, much of which pipelime could not decode, or would change.
pub(crate) fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("data/000_image.png", b"\x89PNG, but not really".to_vec()),
        ("data/000_note.txt", b"no table\r\n".to_vec()),
        ("data/000_my_key_2.v1.bin", noise(1, 3000)),
        ("data/000_noext", b"x".to_vec()),
        ("data/000_upper.PNG", noise(2, 10)),
        ("data/000_pack.tar.gz", noise(3, 100)),
        // What a pickle that runs a program looks like.
        ("data/001_obj.pickle", b"cos\nsystem\n(S'touch owned'\ntR.".to_vec()),
        ("data/001_empty.bin", Vec::new()),
        ("data/002_image.png", noise(4, 200_000)),
        ("data/0002_odd.png", noise(5, 20)),
        ("camera.yml", b"# comment\na:   1\n".to_vec()),
        ("README.md", b"shared, too".to_vec()),
    ]
}

impl Repo {
    /// Makes a dataset of these files.
    pub(crate) fn dataset<'a>(
        &self,
        name: &str,
        files: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    ) {
        fs::create_dir_all(self.path.join(name).join("data")).unwrap();
        for (path, bytes) in files {
            self.write(Path::new(name).join(path), bytes);
        }
    }

    /// Runs git-lake, which has to end with a code.
    #[track_caller]
    pub(crate) fn lake<A: AsRef<OsStr>>(
        &self,
        code: i32,
        args: impl IntoIterator<Item = A>,
    ) -> Ran {
        let ran = self.run("git-lake", args);
        assert_eq!(ran.code, Some(code), "{ran:#?}");
        ran
    }

    /// Returns the hidden folders in which a dataset grows that is not there yet.
    pub(crate) fn staging(&self, dataset: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        let prefix = format!(".{dataset}.lake-");
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        entries.filter(|path| name(path).starts_with(&prefix)).collect()
    }

    /// Returns a path in the only one of these folders.
    pub(crate) fn staged(&self, dataset: &str, path: &str) -> Option<PathBuf> {
        match &*self.staging(dataset) {
            [folder] => Some(folder.join("new").join(path)),
            _ => None,
        }
    }

    /// Returns the files of a dataset, with those that are hidden.
    pub(crate) fn files(&self, dataset: &str) -> Vec<String> {
        let top = self.path.join(dataset);
        let mut files: Vec<String> = Vec::new();
        for (folder, prefix) in [(top.clone(), ""), (top.join("data"), "data/")] {
            for entry in fs::read_dir(&folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                files.push(format!("{prefix}{name}"));
            }
        }
        files.retain(|name| name != "data");
        files.sort();
        files
    }

    /// The dataset has these files and no others.
    #[track_caller]
    pub(crate) fn has_dataset(&self, name: &str, files: &[(&str, Vec<u8>)]) {
        let mut names: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        names.sort_unstable();
        assert_eq!(self.files(name), names);
        for (path, bytes) in files {
            self.has(Path::new(name).join(path), bytes);
        }
    }

    /// Returns the names with `.remote` behind each.
    pub(crate) fn remote_names(files: &[(&str, Vec<u8>)]) -> Vec<String> {
        let mut names: Vec<String> =
            files.iter().map(|(path, _)| format!("{path}.remote")).collect();
        names.sort_unstable();
        names
    }
}
