//! How old something has to be, as people type it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 60 * 60;
/// The units, by their letters, and their seconds.
const UNITS: [(&[&str], u64); 5] = [
    (&["s"], 1),
    (&["min"], 60),
    (&["h"], 60 * 60),
    (&["d", "day", "days"], DAY_SECONDS),
    (&["w", "week", "weeks"], 7 * DAY_SECONDS),
];

/// An age, at least this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(Duration);

/// Says that a text is no age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an age is a number and a unit: `90min`, `36h`, `14d`, `2w`")]
pub struct ParseAgeError;

impl Default for Age {
    fn default() -> Self {
        Self(Duration::from_secs(14 * DAY_SECONDS))
    }
}

impl From<Age> for Duration {
    fn from(age: Age) -> Self {
        age.0
    }
}

impl FromStr for Age {
    type Err = ParseAgeError;

    fn from_str(text: &str) -> Result<Self, ParseAgeError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start().to_ascii_lowercase();
        let seconds = UNITS.iter().find(|(names, _)| names.contains(&&*unit)).map(|unit| unit.1);
        let seconds = seconds.zip(number.parse::<u64>().ok());
        let seconds = seconds.and_then(|(unit, number)| unit.checked_mul(number));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or(ParseAgeError)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            _ if seconds == DAY_SECONDS => f.write_str("1 day"),
            _ if seconds.is_multiple_of(DAY_SECONDS) => write!(f, "{} days", seconds / DAY_SECONDS),
            _ if seconds.is_multiple_of(3600) => write!(f, "{} h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => write!(f, "{} min", seconds / 60),
            _ => write!(f, "{seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_shown() {
        let table = [
            ("14d", "14 days"),
            ("1day", "1 day"),
            ("2 weeks", "14 days"),
            ("36h", "36 h"),
            ("90min", "90 min"),
            ("0d", "0 days"),
            ("61s", "61 s"),
        ];
        for (typed, shown) in table {
            assert_eq!(typed.parse::<Age>().map(|age| age.to_string()).as_deref(), Ok(shown));
        }
        for bad in
            ["", "14", "d", "-1d", "1.5d", "14m", "99999999999999999999d", "9999999999999999999w"]
        {
            assert_eq!(bad.parse::<Age>(), Err(ParseAgeError), "{bad}");
        }
    }
}
