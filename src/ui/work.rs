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
    /// Objects whose sizes are known.
    objects_sized: u64,
    /// Their sizes.
    pub(super) bytes: u64,
    pub(super) bytes_done: u64,
}

impl Work {
    pub(super) fn begin(activity: Activity, now: Instant) -> Self {
        Self {
            activity,
            begin: now,
            last_plain: None,
            objects: 0,
            objects_done: 0,
            objects_sized: 0,
            bytes: 0,
            bytes_done: 0,
        }
    }

    /// Hears how large so many of the objects are together.
    pub(super) fn size(&mut self, objects: u64, bytes: u64) {
        self.objects_sized += objects;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Returns how many bytes there are to move, and true if that is a guess: an object of unknown size
    /// counts as much as the others do on the average. `None` if nothing is known.
    fn total(&self) -> Option<(u64, bool)> {
        // Some were done without telling a size: they were there, or cannot be had.
        let unknown = self.objects.saturating_sub(self.objects_sized.max(self.objects_done));
        let guessed = match (unknown, self.objects_sized) {
            (0, _) => 0.0,
            (_, 0) => return None,
            (unknown, sized) => self.bytes as f64 / sized as f64 * unknown as f64,
        };
        let known = self.bytes.max(self.bytes_done);
        Some((known.saturating_add(guessed as u64), unknown > 0))
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
        if self.activity == Activity::Asking {
            let objects = match self.objects {
                0 => String::new(),
                count => format!(", {}/{count} objects", self.objects_done),
            };
            return format!("{word} lakes{objects}, {}", duration(elapsed as u64));
        }
        let (total, left) = match self.total() {
            None => (String::new(), String::new()),
            Some((total, is_guess)) => {
                let about = if is_guess { "about " } else { "" };
                let left = total.saturating_sub(self.bytes_done) as f64 / rate.max(1.0);
                let left = match self.bytes_done {
                    0 => String::new(),
                    _ => format!(", {about}{} left", duration(left as u64)),
                };
                (format!(", {} of {about}{}", human(self.bytes_done), human(total)), left)
            }
        };
        // What is uploaded is stored and written down as owed: stopping loses nothing.
        let is_upload = self.activity == Activity::Uploading;
        let note = if is_upload { " (Ctrl-C is safe)" } else { "" };
        format!("{word} {}/{} files{total}{speed}{left}{note}", self.objects_done, self.objects,)
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
        Activity::Asking => "Asking",
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
        work.objects = 4;
        work.size(4, 4 << 30);
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
    fn what_has_no_size_yet_counts_as_much_as_the_rest_on_the_average() {
        let begun = Instant::now();
        let mut work = Work::begin(Activity::Downloading, begun);
        let line = |work: &Work| work.line(begun + Duration::from_secs(10));
        work.objects = 100;
        assert_eq!(line(&work), "Downloading 0/100 files");
        work.size(1, 30 << 20);
        assert_eq!(line(&work), "Downloading 0/100 files, 0 bytes of about 2.9 GiB");
        work.size(1, 10 << 20);
        (work.objects_done, work.bytes_done) = (2, 40 << 20);
        assert_eq!(
            line(&work),
            "Downloading 2/100 files, 40 MiB of about 2.0 GiB, 4.0 MiB/s, about 8 min 10 s left"
        );
        // What was there already, or cannot be had, takes no time.
        work.objects_done = 92;
        assert_eq!(
            line(&work),
            "Downloading 92/100 files, 40 MiB of about 200 MiB, 4.0 MiB/s, about 40 s left"
        );
        // Once all sizes are known there is nothing to guess.
        work.size(98, 60 << 20);
        assert_eq!(
            line(&work),
            "Downloading 92/100 files, 40 MiB of 100 MiB, 4.0 MiB/s, 15 s left"
        );
    }

    #[test]
    fn how_long_lakes_are_asked_is_said() {
        let begun = Instant::now();
        let mut work = Work::begin(Activity::Asking, begun);
        let line = |work: &Work| work.line(begun + Duration::from_secs(75));
        assert_eq!(line(&work), "Asking lakes, 1 min 15 s");
        work.objects = 20_000;
        assert_eq!(line(&work), "Asking lakes, 0/20000 objects, 1 min 15 s");
    }

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [9, 60, 3599, 7260].map(duration);
        assert_eq!(said, ["9 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
