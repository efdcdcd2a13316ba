//! Telling from stat data alone which files git would not look into.

use std::fs::Metadata;
use std::ops::Range;
use std::time::SystemTime;

use super::stat_fields::{self, HUGE_SIZE};
use crate::repo::Repo;
use crate::repo::index::{Entry, Index, STAT_BYTES};

/// Git's rules for telling that a file is what it was when git last looked, for one reading of the index
/// (read-cache.c, `ie_match_stat`).
///
/// # Deviation
/// Fractions of seconds are compared where the index has them, which git leaves out unless it was built
/// with `USE_NSEC`: a file that was saved twice within a second is looked into more often, never less.
#[derive(Debug, Clone, Copy)]
pub struct Unchanged {
    /// The second in which the index was written: what was written later may have changed since.
    index_seconds: u32,
    /// `core.trustctime`.
    trusts_ctime: bool,
    /// `core.checkStat=minimal`: nothing counts but whole seconds and the size.
    is_minimal: bool,
}

impl Unchanged {
    /// Reads the rules that are in force for an index.
    pub fn of(repo: &Repo, index: &Index) -> Self {
        let check_stat = repo.config_string("core.checkstat");
        Self {
            index_seconds: index.modified().map_or(0, seconds),
            trusts_ctime: repo.config_bool("core.trustctime").unwrap_or(true),
            is_minimal: check_stat.is_some_and(|value| value.eq_ignore_ascii_case("minimal")),
        }
    }

    /// Returns true if git would take the file for unchanged without looking into it; `metadata` is that
    /// of `lstat(2)`. False says nothing about the content.
    pub fn holds(&self, entry: &Entry<'_>, metadata: &Metadata) -> bool {
        entry.size != 0
            && entry.mtime.seconds < self.index_seconds
            && metadata.is_file() == entry.kind.is_file()
            && self.is_same(entry.stat, metadata)
    }

    fn is_same(&self, known: &[u8], metadata: &Metadata) -> bool {
        let mut now: [u8; STAT_BYTES] = known.try_into().expect("entries begin with stat data");
        stat_fields::write(metadata, &mut now);
        let is = |range: Range<usize>| known[range.clone()] == now[range];
        let size = &known[stat_fields::SIZE];
        let is_huge = size == HUGE_SIZE && now[stat_fields::SIZE] == [0; 4] && metadata.len() > 0;
        let has_size = is(stat_fields::SIZE) || is_huge;
        let has_time = is(stat_fields::MTIME_SECONDS);
        if self.is_minimal {
            return has_size && has_time;
        }
        let nanoseconds = stat_fields::MTIME_NANOSECONDS;
        has_size
            && has_time
            && (is(nanoseconds.clone()) || known[nanoseconds] == [0; 4])
            && (!self.trusts_ctime || is(stat_fields::CTIME_SECONDS))
            && is(stat_fields::INODE)
            && is(stat_fields::OWNER)
    }
}

/// Returns the seconds of a time as the index has them.
fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "the index keeps 32 bits of each number")]
    let seconds = since.as_secs() as u32;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index_stat::tests::{Filtered, set_age};

    impl Filtered {
        /// Says which of two files may be taken for unchanged.
        fn unchanged(&self) -> [bool; 2] {
            let repo = self.repo.open();
            let index = repo.index().expect("reads");
            let rules = Unchanged::of(&repo, &index);
            ["a.bin", "b.bin"].map(|name| {
                let metadata = self.repo.top.join(name).symlink_metadata().expect("there");
                rules.holds(&index.entry_at(name.as_bytes()).expect("there"), &metadata)
            })
        }
    }

    fn two_files() -> Filtered {
        let filtered = Filtered::new(&[]);
        filtered.repo.write("a.bin", b"content of a");
        filtered.repo.write("b.bin", b"content of b");
        filtered.repo.run(&["add", "."]);
        filtered
    }

    #[test]
    fn what_git_would_not_look_into_is_unchanged() {
        let filtered = two_files();
        filtered.age(&["a.bin", "b.bin"]);
        assert_eq!((filtered.unchanged(), filtered.status().1), ([true, true], 0));
        let path = filtered.repo.top.join("b.bin");
        set_age(&path, 3500);
        assert_eq!(filtered.unchanged(), [true, false]);
        // The same time and size, and another file.
        filtered.age(&["a.bin", "b.bin"]);
        let modified = path.metadata().expect("there").modified().expect("a time");
        filtered.repo.write("b.bin", b"content of c");
        let file = std::fs::File::options().write(true).open(&path).expect("opens");
        file.set_modified(modified).expect("sets");
        assert_eq!(filtered.unchanged(), [true, false]);
        filtered.repo.run(&["config", "core.checkStat", "minimal"]);
        assert_eq!(filtered.unchanged(), [true, true]);
    }

    #[test]
    fn what_is_no_older_than_the_index_may_have_changed() {
        let filtered = two_files();
        filtered.age(&["a.bin", "b.bin"]);
        let written = filtered.repo.top.join("a.bin").metadata().expect("there").modified();
        let index = std::fs::File::options().append(true).open(filtered.index_path());
        index.expect("opens").set_modified(written.expect("a time")).expect("sets");
        assert_eq!(filtered.unchanged(), [false, false]);
    }
}
