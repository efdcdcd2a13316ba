//! The stat data of a file as git writes them into 40 bytes of an index entry.

use std::fs::Metadata;
use std::ops::Range;

/// Where the size is.
pub(super) const SIZE: Range<usize> = 36..40;
/// Where whole seconds of the times are, of the change of the inode and of the content.
pub(super) const CTIME_SECONDS: Range<usize> = 0..4;
pub(super) const MTIME_SECONDS: Range<usize> = 8..12;
/// Where the rest of the time of the content is; 0 where whoever wrote the index does not know it.
pub(super) const MTIME_NANOSECONDS: Range<usize> = 12..16;
pub(super) const INODE: Range<usize> = 20..24;
/// Where user and group are.
pub(super) const OWNER: Range<usize> = 28..36;
/// What git since 2.43 writes for a size that is a multiple of 4 GiB.
pub(super) const HUGE_SIZE: [u8; 4] = 0x8000_0000_u32.to_be_bytes();

/// Returns the 32 bits of a size that the index has room for.
///
/// # Deviation
/// A size that is a multiple of 4 GiB is written as 0, which makes git compare the content. Since
/// 2.43 git writes [`HUGE_SIZE`] there, which older versions take for a changed file for ever.
#[expect(clippy::cast_possible_truncation, reason = "the index keeps 32 bits of a size")]
fn size_field(size: u64) -> u32 {
    size as u32
}

#[cfg(unix)]
mod imp {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// Keeps the low 32 bits, as C's conversion to `unsigned int` does.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the index keeps 32 bits of each number"
    )]
    fn low(number: i64) -> u32 {
        number as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the index keeps 32 bits of each number")]
    fn low_unsigned(number: u64) -> u32 {
        number as u32
    }

    pub(super) fn write(metadata: &Metadata, stat: &mut [u8]) {
        let mut put = |offset: usize, number: u32| {
            stat[offset..offset + 4].copy_from_slice(&number.to_be_bytes());
        };
        put(0, low(metadata.ctime()));
        put(4, low(metadata.ctime_nsec()));
        put(8, low(metadata.mtime()));
        put(12, low(metadata.mtime_nsec()));
        put(16, low_unsigned(metadata.dev()));
        put(20, low_unsigned(metadata.ino()));
        put(28, metadata.uid());
        put(32, metadata.gid());
        put(36, size_field(metadata.len()));
    }

    pub(super) fn mtime_seconds(metadata: &Metadata) -> u32 {
        low(metadata.mtime())
    }
}

#[cfg(not(unix))]
mod imp {
    use super::*;

    /// Git for Windows has no device, inode or owner and writes zeros.
    pub(super) fn write(metadata: &Metadata, stat: &mut [u8]) {
        let mode = stat[24..28].to_owned();
        stat.fill(0);
        stat[24..28].copy_from_slice(&mode);
        let mut put = |offset: usize, time: std::io::Result<std::time::SystemTime>| {
            let since = time.map(|time| time.duration_since(std::time::UNIX_EPOCH));
            if let Ok(Ok(since)) = since {
                let seconds = u32::try_from(since.as_secs()).unwrap_or(0);
                stat[offset..offset + 4].copy_from_slice(&seconds.to_be_bytes());
                stat[offset + 4..offset + 8].copy_from_slice(&since.subsec_nanos().to_be_bytes());
            }
        };
        put(0, metadata.created());
        put(8, metadata.modified());
        stat[SIZE].copy_from_slice(&size_field(metadata.len()).to_be_bytes());
    }

    pub(super) fn mtime_seconds(metadata: &Metadata) -> u32 {
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(0))
    }
}

/// Writes all of a file's stat data but its mode, which only `git add` may change.
pub(super) fn write(metadata: &Metadata, stat: &mut [u8]) {
    imp::write(metadata, stat);
}

/// Returns the seconds of a file's time as the index would have them.
pub(super) fn mtime_seconds(metadata: &Metadata) -> u32 {
    imp::mtime_seconds(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiple_of_4_gib_is_size_zero() {
        assert_eq!(size_field(1 << 32), 0);
        assert_eq!(size_field(3 << 32), 0);
        assert_eq!(size_field((1 << 32) + 2100), 2100);
        assert_eq!(size_field(7), 7);
    }
}
