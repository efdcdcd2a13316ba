//! Writing git's settings files, one file at a time and without a repository.
//!
//! libgit2 edits in place, under `<file>.lock` as git does: comments, order and other settings stay.
//! For reading what git itself would see, merged from all files, ask [`super::Repo`].

use std::path::{Path, PathBuf};

use super::{Environment, Repo};
use crate::fs::{IoContext as _, PathError, if_exists};

/// Says why a settings file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read as settings.
    #[error("Could not read the settings in `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: super::Cause,
    },
    /// A setting could not be written; the file is as it was.
    #[error("Could not write `{key}` to `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// Why not.
        source: super::Cause,
    },
    /// The file could not be looked at.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// One of git's settings files, opened for writing.
pub struct ConfigFile {
    config: git2::Config,
    path: PathBuf,
}

impl std::fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ConfigFile").field(&self.path).finish()
    }
}

impl ConfigFile {
    /// Opens a file, which need not exist until something is set.
    ///
    /// # Errors
    /// If it exists and is no settings file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let config = git2::Config::open(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source: source.into() })?;
        let path = path.to_owned();
        Ok(Self { config, path })
    }

    /// Returns which file this is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the last value of a setting in this file.
    ///
    /// # Errors
    /// If the key is malformed.
    pub fn get(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(self.get_all(key)?.pop())
    }

    /// Returns all values of a setting in this file, in the order of the file.
    ///
    /// # Errors
    /// If the key is malformed.
    pub fn get_all(&self, key: &str) -> Result<Vec<String>, Error> {
        let failed =
            |source: git2::Error| Error::Read { path: self.path.clone(), source: source.into() };
        let mut values = Vec::new();
        let entries = match self.config.multivar(key, None) {
            Ok(entries) => entries,
            Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(values),
            Err(error) => return Err(failed(error)),
        };
        let found = entries.for_each(|entry| {
            values.push(String::from_utf8_lossy(entry.value_bytes()).into_owned());
        });
        match found {
            Err(error) if error.code() != git2::ErrorCode::NotFound => Err(failed(error)),
            _ => Ok(values),
        }
    }

    /// Gives a setting one value, whatever it had before.
    ///
    /// # Errors
    /// If the key is malformed or the file cannot be written.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if self.get_all(key)?.len() > 1 {
            self.unset(key)?;
        }
        self.write(key, |config| config.set_str(key, value))
    }

    /// Adds a value to a setting that may have several.
    ///
    /// # Errors
    /// If the key is malformed or the file cannot be written.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), Error> {
        // The pattern matches no value, so that none is replaced.
        self.write(key, |config| config.set_multivar(key, "^$.", value))
    }

    /// Removes all values of a setting; returns false if there were none.
    ///
    /// # Errors
    /// If the key is malformed or the file cannot be written.
    pub fn unset(&mut self, key: &str) -> Result<bool, Error> {
        if self.get_all(key)?.is_empty() {
            return Ok(false);
        }
        self.write(key, |config| config.remove_multivar(key, ".*"))?;
        Ok(true)
    }

    /// Removes one value of a setting that may have several, wherever it stands.
    ///
    /// # Errors
    /// If the key is malformed or the file cannot be written.
    pub fn remove(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let mut pattern = String::from("^");
        for character in value.chars() {
            if !character.is_alphanumeric() {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('$');
        self.write(key, |config| config.remove_multivar(key, &pattern))
    }

    /// Changes the file; libgit2 would give it the mode of a new one, which may show secrets.
    fn write(
        &mut self,
        key: &str,
        change: impl FnOnce(&mut git2::Config) -> Result<(), git2::Error>,
    ) -> Result<(), Error> {
        let mode = |path: &Path| if_exists(std::fs::metadata(path)).context(path);
        let before = mode(&self.path)?;
        change(&mut self.config).map_err(|source| Error::Write {
            path: self.path.clone(),
            key: key.to_owned(),
            source: source.into(),
        })?;
        if let (Some(before), Some(after)) = (before, mode(&self.path)?)
            && before.permissions() != after.permissions()
        {
            std::fs::set_permissions(&self.path, before.permissions()).context(&self.path)?;
        }
        Ok(())
    }
}

/// Returns the settings file of a repository, which all its work trees share.
pub fn repository_file(repo: &Repo) -> PathBuf {
    repo.common_dir().join("config")
}

/// Returns the settings file of the user to which `git config --global` writes.
///
/// `None` without a home folder. As git (config.c, `git_global_config`): the file in the XDG folder
/// only if it exists and `~/.gitconfig` does not.
pub fn user_file(environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = &environment.config_global {
        return Some(path.clone());
    }
    let home = environment.home.as_ref()?;
    let usual = home.join(".gitconfig");
    let base = environment.xdg_config_home.clone();
    let other = base.unwrap_or_else(|| home.join(".config")).join("git/config");
    if !usual.exists() && other.exists() {
        return Some(other);
    }
    Some(usual)
}

/// Returns the settings file of the system.
pub fn system_file(environment: &Environment) -> PathBuf {
    let named = environment.config_system.clone();
    named
        .or_else(|| git2::Config::find_system().ok())
        .unwrap_or_else(|| PathBuf::from("/etc/gitconfig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).expect("reads")
    }

    #[test]
    fn setting_keeps_comments_order_and_mode() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config");
        let old = "# mine\n[core]\n\tbare = false ; why not\n[user]\n\tname = A\n";
        crate::fs::write_atomic(&path, old.as_bytes(), crate::fs::Shared::No).expect("writes");
        let mode_before = std::fs::metadata(&path).expect("there").permissions();
        let mut file = ConfigFile::open(&path).expect("opens");
        let command = "exec git-lake filter-process";
        file.set("filter.lake.process", command).expect("sets");
        file.set("filter.lake.process", command).expect("sets again");
        let expected = format!("{old}[filter \"lake\"]\n\tprocess = {command}\n");
        assert_eq!(text(&path), expected);
        assert_eq!(file.get("user.name").expect("reads").as_deref(), Some("A"));
        assert!(file.unset("user.name").expect("unsets"));
        assert!(!file.unset("user.name").expect("nothing left"));
        assert!(text(&path).starts_with("# mine\n[core]\n\tbare = false ; why not\n"));
        let mode_after = std::fs::metadata(&path).expect("there").permissions();
        assert_eq!(mode_after, mode_before);
    }

    #[test]
    fn a_file_is_made_when_something_is_set() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config");
        let mut file = ConfigFile::open(&path).expect("opens");
        assert_eq!(file.get("a.b").expect("absent"), None);
        assert!(!path.exists());
        file.set("lake.my name.upload", "true").expect("sets");
        assert_eq!(text(&path), "[lake \"my name\"]\n\tupload = true\n");
        file.set("not a key", "x").expect_err("malformed");
    }

    #[test]
    fn one_value_replaces_several() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config");
        let mut file = ConfigFile::open(&path).expect("opens");
        for value in ["1", "2", "3"] {
            file.add("a.b", value).expect("adds");
        }
        assert_eq!(file.get_all("a.b").expect("reads"), ["1", "2", "3"]);
        file.set("a.b", "4").expect("sets");
        assert_eq!(file.get_all("a.b").expect("reads"), ["4"]);
    }

    #[test]
    fn the_users_file_is_the_one_that_git_writes() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut environment =
            Environment { home: Some(dir.path().to_owned()), ..Environment::default() };
        let usual = dir.path().join(".gitconfig");
        assert_eq!(user_file(&environment), Some(usual.clone()));
        let xdg = dir.path().join(".config/git/config");
        std::fs::create_dir_all(xdg.parent().expect("a folder")).expect("creates");
        std::fs::File::create(&xdg).expect("creates");
        assert_eq!(user_file(&environment), Some(xdg));
        std::fs::File::create(&usual).expect("creates");
        assert_eq!(user_file(&environment), Some(usual));
        environment.config_global = Some(PathBuf::from("/elsewhere"));
        assert_eq!(user_file(&environment), Some(PathBuf::from("/elsewhere")));
        assert_eq!(user_file(&Environment::default()), None);
    }
}
