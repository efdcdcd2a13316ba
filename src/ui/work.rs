//! What is under way, and how it is worded. Pure.

use std::time::Instant;

use super::size::human;
use crate::transfer::report::Activity;

/// What is under way, since when it is, and when it was told of without a terminal.
pub(super) struct Work {
    pub(super) activity: Activity,
    pub(super) begin: Instant,
    pub(super) last_plain: Option<Instant>,
    pub(super) objects: u64,
    pub(super) objects_done: u64,
    pub(super) bytes: u64,
    pub(super) bytes_done: u64,
}

impl Work {
    pub(super) fn begin(activity: Activity, now: Instant) -> Self {
        let (objects, objects_done, bytes, bytes_done) = (0, 0, 0, 0);
        Self { activity, begin: now, last_plain: None, objects, objects_done, bytes, bytes_done }
    }

    /// Words what is done, what is to be done, how fast, and how long it will take, in ASCII.
    pub(super) fn line(&self, now: Instant) -> String {
        let elapsed = now.duration_since(self.begin).as_secs_f64().max(0.001);
        let rate = self.bytes_done as f64 / elapsed;
        let speed = match self.bytes_done {
            0 => String::new(),
            _ => format!(", {}/s", human(rate as u64)),
        };
        let word = word(self.activity);
        if self.activity == Activity::Hashing {
            let files = if self.objects_done == 1 { "file" } else { "files" };
            return format!("{word} {} {files}, {}{speed}", self.objects_done, human(self.bytes));
        }
        let left = self.bytes.saturating_sub(self.bytes_done) as f64 / rate.max(1.0);
        let left = match self.bytes_done {
            0 => String::new(),
            _ => format!(", {} left", duration(left as u64)),
        };
        // What is uploaded is stored and written down as owed: stopping loses nothing.
        let is_upload = self.activity == Activity::Uploading;
        let note = if is_upload { " (Ctrl-C is safe)" } else { "" };
        format!(
            "{word} {}/{} files, {} of {}{speed}{left}{note}",
            self.objects_done,
            self.objects,
            human(self.bytes_done),
            human(self.bytes.max(self.bytes_done)),
        )
    }
}

/// Writes seconds as people say them.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

pub(super) fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Hashing => "Hashing",
        Activity::Uploading => "Uploading",
        Activity::Downloading => "Downloading",
        Activity::Filling => "Filling",
        Activity::Verifying => "Verifying",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_says_what_is_done_how_fast_and_how_long_the_rest_will_take() {
        let begun = Instant::now();
        let mut work = Work::begin(Activity::Uploading, begun);
        (work.objects, work.bytes) = (4, 4 << 30);
        let line = |work: &Work| work.line(begun + Duration::from_secs(10));
        let begin = "Uploading 0/4 files, 0 bytes of 4.0 GiB (Ctrl-C is safe)";
        assert_eq!(line(&work), begin);
        (work.objects_done, work.bytes_done) = (1, 1 << 30);
        assert_eq!(
            line(&work),
            "Uploading 1/4 files, 1.0 GiB of 4.0 GiB, 102 MiB/s, 30 s left (Ctrl-C is safe)"
        );
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [9, 60, 3599, 7260].map(duration);
        assert_eq!(said, ["9 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
