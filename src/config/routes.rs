//! Which remotes a path's object goes to, and where it may come from. Pure.

use super::Config;
use super::file::Remote;
use crate::digest::{HashName, Hashed};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::oid::Oid;
use crate::pointer::Pointer;
use crate::repo_path::RepoPath;

impl Remote {
    /// Returns true if objects of the path belong in this remote.
    pub fn applies_to(&self, path: &RepoPath) -> bool {
        self.paths.as_ref().is_none_or(|paths| paths.matches(path))
    }
}

impl Config {
    /// Returns the remotes that an object of the path is uploaded to, in order.
    pub fn upload_remotes<'a>(&'a self, path: &'a RepoPath) -> impl Iterator<Item = &'a Remote> {
        self.remotes.iter().filter(move |remote| remote.upload && remote.applies_to(path))
    }

    /// Returns the remote in force at an address.
    pub fn remote_at(&self, lake: &LakeUrl) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.url == *lake)
    }

    /// Returns what a source's lake declares, if the settings know it.
    pub fn hash_of(&self, source: &SourceUrl) -> Option<HashName> {
        let known = self.remotes.iter().chain(&self.fallbacks);
        known.into_iter().find(|remote| remote.url == source.lake).map(|remote| remote.hash)
    }

    /// Returns the hashes, besides SHA-256, that new content needs for its names in upload remotes.
    pub fn extra_hashes(&self) -> Vec<HashName> {
        let mut hashes: Vec<HashName> = self
            .remotes
            .iter()
            .filter(|remote| remote.upload && remote.hash.is_writable())
            .map(|remote| remote.hash)
            .filter(|hash| *hash != HashName::Sha256)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Returns the sources of a fresh pointer: new content at a path, in every remote it goes to.
    pub fn fresh_sources(&self, path: &RepoPath, hashed: &Hashed) -> Vec<SourceUrl> {
        let source = |remote: &Remote| {
            let digest = hashed.digest(remote.hash)?;
            Some(remote.url.source(ObjectName::new(&digest, path.file_name())))
        };
        self.upload_remotes(path).filter_map(source).collect()
    }

    /// Returns the uploads that the pointer asks for at the path: its sources in remotes that apply.
    pub fn uploads<'a>(
        &'a self,
        path: &'a RepoPath,
        pointer: &'a Pointer,
    ) -> impl Iterator<Item = &'a SourceUrl> {
        let wanted = |source: &&SourceUrl| {
            self.upload_remotes(path)
                .any(|remote| remote.url == source.lake && remote.hash.is_writable())
        };
        pointer.sources().iter().filter(wanted)
    }

    /// Returns true if a pointer found at another path can be used for the same content at `path`:
    /// all its sources are in remotes that apply here, and one of them is in force.
    pub fn suits(&self, pointer: &Pointer, path: &RepoPath) -> bool {
        let applies = |source: &SourceUrl| {
            self.remote_at(&source.lake).is_some_and(|remote| remote.applies_to(path))
        };
        !pointer.sources().is_empty() && pointer.sources().iter().all(applies)
    }

    /// Returns where to look for an object, best first, each address once.
    ///
    /// The pointer's sources in their order, those in preferred remotes first; then other remotes,
    /// under each name that a source of the same hash has, and in SHA-256 lakes under the oid.
    pub fn candidates(&self, pointer: &Pointer, path: &RepoPath) -> Vec<SourceUrl> {
        let is_preferred = |source: &&SourceUrl| {
            self.remote_at(&source.lake).is_some_and(|remote| self.preferred.contains(&remote.name))
        };
        let own = pointer.sources();
        let mut found: Vec<SourceUrl> = Vec::new();
        found.extend(own.iter().filter(is_preferred).cloned());
        found.extend(own.iter().filter(|source| !is_preferred(source)).cloned());
        for remote in self.remotes.iter().chain(&self.fallbacks) {
            let names = own.iter().filter(|source| {
                let hash = self.hash_of(source);
                hash.map_or(source.name.hex().len() == remote.hash.hex_len(), |h| h == remote.hash)
            });
            found.extend(names.map(|source| remote.url.source(source.name.clone())));
            if remote.hash == HashName::Sha256 {
                found.push(remote.url.source(sha256_name(pointer.oid(), path)));
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|source| seen.insert(source.clone()));
        found
    }

    /// Returns true if content is wanted at the path, as `lake.fetchInclude` and `Exclude` say.
    pub fn wants_content(&self, path: &RepoPath) -> bool {
        self.fetch_include.as_ref().is_none_or(|include| include.matches(path))
            && !self.fetch_exclude.matches(path)
    }

    /// Applies git's `url.<base>.insteadOf` to a lake's address: the longest prefix wins.
    pub fn rewritten(&self, lake: &LakeUrl) -> LakeUrl {
        let text = lake.to_string();
        let matching =
            self.instead_of.iter().filter(|(prefix, _)| text.starts_with(prefix.as_str()));
        let longest = matching.max_by_key(|(prefix, _)| prefix.len());
        longest
            .and_then(|(prefix, base)| {
                LakeUrl::parse(&format!("{base}{}", &text[prefix.len()..])).ok()
            })
            .unwrap_or_else(|| lake.clone())
    }
}

fn sha256_name(oid: Oid, path: &RepoPath) -> ObjectName {
    ObjectName::new(&oid.into(), path.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::resolve;
    use crate::digest::hash_reader;

    const TOML: &str = "version = 1\n\
        [[remote]]\nname = \"a\"\nurl = \"file:///a\"\n\
        [[remote]]\nname = \"train\"\nurl = \"file:///t\"\npaths = [\"train/**\"]\nhash = \"blake2b\"\n\
        [[remote]]\nname = \"read\"\nurl = \"file:///r\"\nupload = false\n";

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text.as_bytes()).expect("a path")
    }

    fn texts<'a>(sources: impl IntoIterator<Item = &'a SourceUrl>) -> Vec<String> {
        let short = |source: &SourceUrl| format!("{}:{}", source.lake, source.name.hex().len());
        sources.into_iter().map(short).collect()
    }

    #[test]
    fn new_content_goes_to_every_upload_remote_that_applies() {
        let (config, _) = resolve(TOML, &[]);
        let hashed = hash_reader(&b"x"[..], &config.extra_hashes()).expect("memory");
        let sources = |at: &str| texts(&config.fresh_sources(&path(at), &hashed));
        assert_eq!(sources("train/1.png"), ["file:///a:64", "file:///t:128"]);
        assert_eq!(sources("test/1.png"), ["file:///a:64"]);
        let (config, _) = resolve(TOML, &[("lake.a.upload", "false")]);
        assert!(config.fresh_sources(&path("test/1.png"), &hashed).is_empty());
    }

    #[test]
    fn content_is_looked_for_at_its_sources_then_everywhere_else() {
        let (config, _) =
            resolve(TOML, &[("lake.train.prefer", "true"), ("lake.old.url", "file:///old")]);
        let hashed = hash_reader(&b"x"[..], &config.extra_hashes()).expect("memory");
        let at = path("train/1.png");
        let pointer =
            Pointer::new(hashed.oid, 1, config.fresh_sources(&at, &hashed)).expect("fits");
        assert_eq!(
            texts(&config.candidates(&pointer, &at)),
            ["file:///t:128", "file:///a:64", "file:///r:64", "file:///old:64"]
        );
        let bare = Pointer::new(hashed.oid, 1, Vec::new()).expect("fits");
        assert_eq!(
            texts(&config.candidates(&bare, &at)),
            ["file:///a:64", "file:///r:64", "file:///old:64"]
        );
    }

    #[test]
    fn a_pointer_from_elsewhere_suits_only_where_all_its_remotes_apply() {
        let (config, _) = resolve(TOML, &[]);
        let hashed = hash_reader(&b"x"[..], &config.extra_hashes()).expect("memory");
        let pointer = |at: &str| {
            Pointer::new(hashed.oid, 1, config.fresh_sources(&path(at), &hashed)).expect("fits")
        };
        assert!(config.suits(&pointer("a.png"), &path("train/1.png")));
        assert!(!config.suits(&pointer("train/a.png"), &path("1.png")));
        let gone = Pointer::new(hashed.oid, 1, Vec::new()).expect("fits");
        assert!(!config.suits(&gone, &path("1.png")));
    }

    #[test]
    fn insteadof_moves_a_share_and_nothing_else() {
        let (config, _) = resolve(TOML, &[("url.file:///Volumes/.insteadOf", "file:///mnt/")]);
        let url = |text: &str| LakeUrl::parse(text).expect("an address");
        assert_eq!(config.rewritten(&url("file:///mnt/lake")), url("file:///Volumes/lake"));
        assert_eq!(config.rewritten(&url("file:///data/lake")), url("file:///data/lake"));
    }
}
