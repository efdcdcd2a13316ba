//! Points at which a test can stop this process, to look at the world or to end it there.
//!
//! `GIT_LAKE_TEST_STOP=<point>:<file>` makes the process open the file, once, when it first comes to
//! the point of that name, and read one byte of it. With a FIFO, opening waits for somebody who
//! opens the other end, which tells that somebody that the process has arrived; reading waits until
//! the other end is closed. Nothing else happens: no byte is used, nothing is written, and without
//! the variable a point costs one look at a value that is known.
//!
//! Always compiled, so that what is tested is what is shipped.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const VARIABLE: &str = "GIT_LAKE_TEST_STOP";

/// Where to stop, and what to wait for.
#[derive(Debug, PartialEq, Eq)]
struct Stop {
    point: String,
    file: PathBuf,
}

/// Waits here if a test asked for that; each process stops once.
///
/// Names are `<module>-<what has just happened>`.
pub fn reach(point: &str) {
    static STOP: OnceLock<Option<Stop>> = OnceLock::new();
    static HAS_STOPPED: AtomicBool = AtomicBool::new(false);
    #[expect(clippy::disallowed_methods, reason = "a variable for tests alone")]
    let stop = STOP.get_or_init(|| std::env::var_os(VARIABLE).and_then(parse));
    let Some(stop) = stop.as_ref().filter(|stop| stop.point == point) else { return };
    if !HAS_STOPPED.swap(true, Ordering::Relaxed) {
        // Without the file there is nothing to wait for.
        drop(File::open(&stop.file).and_then(|mut file| file.read(&mut [0])));
    }
}

fn parse(value: OsString) -> Option<Stop> {
    let text = value.into_string().ok()?;
    let (point, file) = text.split_once(':')?;
    Some(Stop { point: point.to_owned(), file: PathBuf::from(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_and_a_file_are_named() {
        let expected = Stop { point: "a-b".to_owned(), file: PathBuf::from("/c:d") };
        assert_eq!(parse("a-b:/c:d".into()), Some(expected));
        assert_eq!(parse("a-b".into()), None);
        reach("no test asks for this");
    }
}
