//! How large the parts of an upload are.

use super::S3Lake;

/// S3 takes no more parts than this.
const MAX_PARTS: u64 = 10_000;
/// Part sizes are whole numbers of this many bytes.
const PART_UNIT_BYTES: u64 = 1 << 20;

/// Returns the size of each part but the last.
pub(super) fn part_bytes(lake: &S3Lake, size: u64) -> u64 {
    large_enough(lake.server.limits.part_bytes, size)
}

fn large_enough(usual: u64, size: u64) -> u64 {
    usual.max(size.div_ceil(MAX_PARTS).next_multiple_of(PART_UNIT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_where_ten_thousand_would_not_be_enough() {
        const USUAL: u64 = 8 << 20;
        let most = USUAL * MAX_PARTS;
        assert_eq!(large_enough(USUAL, USUAL + 1), USUAL);
        assert_eq!(large_enough(USUAL, most), USUAL);
        assert_eq!(large_enough(USUAL, most + 1), USUAL + PART_UNIT_BYTES);
        for size in [most + 1, 1 << 40, 5 << 40, (5 << 40) - 1] {
            let part = large_enough(USUAL, size);
            assert!(
                size.div_ceil(part) <= MAX_PARTS && part.is_multiple_of(PART_UNIT_BYTES),
                "{size}"
            );
        }
        // The largest size that a pointer can have is not cut in a way that overflows.
        assert!((1_u64 << 63).div_ceil(large_enough(USUAL, 1 << 63)) <= MAX_PARTS);
    }
}
