//! Which objects are read when not all are: every day others, all of them in turn. Pure.

use std::str::FromStr;

use crate::oid::Oid;

/// Parts that a share is counted in.
const WHOLE: u64 = 1_000_000;

/// How much of the objects is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1 to [`WHOLE`].
    parts: u64,
}

/// Says that a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no percentage: write a number above 0 and up to 100, such as `5%` or `0.5%`")]
pub struct ParseShareError(pub String);

impl Share {
    /// All objects.
    pub const ALL: Self = Self { parts: WHOLE };

    /// Returns true if an object's turn is on that day.
    ///
    /// Objects stand in a circle, by their digests. Each day the share that follows the one of the day
    /// before is read, so that after as many days as there are shares in the whole all were.
    pub fn has_turn(self, oid: Oid, day: u64) -> bool {
        let (first, _) = oid.as_bytes().split_first_chunk().expect("an oid has 32 bytes");
        let place = (u128::from(u64::from_be_bytes(*first)) * u128::from(WHOLE)) >> u64::BITS;
        let place = u64::try_from(place).expect("it is less than the whole");
        let begin = (day % WHOLE) * self.parts % WHOLE;
        (place + WHOLE - begin) % WHOLE < self.parts
    }
}

impl FromStr for Share {
    type Err = ParseShareError;

    fn from_str(text: &str) -> Result<Self, ParseShareError> {
        let error = || ParseShareError(text.to_owned());
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |digits: &str| digits.bytes().all(|c| c.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 4 || !is_number(whole) || !is_number(fraction) {
            return Err(error());
        }
        // A percent has ten thousand parts.
        let parts = format!("{whole}{fraction:0<4}").parse::<u64>().map_err(|_| error())?;
        if (1..=WHOLE).contains(&parts) { Ok(Self { parts }) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().expect("a share")
    }

    #[test]
    fn shares_are_percentages() {
        for (text, parts) in [
            ("100%", 1_000_000),
            ("100", 1_000_000),
            ("5%", 50_000),
            ("0.5%", 5_000),
            ("33.3333", 333_333),
            ("0.0001%", 1),
        ] {
            assert_eq!(share(text).parts, parts, "{text}");
        }
        for bad in ["", "%", "0", "0%", "101%", "-5%", "5 %", "a", ".5", "1e1", "0.00001", "5%%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_day_others_have_their_turn_and_all_of_them_in_time() {
        let oids: Vec<Oid> = (0..2000_u32).map(|at| Oid::of(&at.to_be_bytes())).collect();
        for (text, days) in [("5%", 20), ("30%", 4), ("33.3333%", 4), ("100%", 1)] {
            for first in [0, 20_500, u64::MAX - 100] {
                let turns = |oid: &Oid| {
                    let all = (first..first + days).filter(|day| share(text).has_turn(*oid, *day));
                    all.count()
                };
                assert!(oids.iter().all(|oid| turns(oid) >= 1), "{text}");
            }
            let today = oids.iter().filter(|oid| share(text).has_turn(**oid, 20_500)).count();
            let expected =
                2000.0 * f64::from(u32::try_from(share(text).parts).expect("small")) / 1e6;
            assert!((today as f64 - expected).abs() <= expected * 0.3, "{text}: {today}");
        }
        let exact =
            |oid: &&Oid| (0..20).filter(|day| share("5%").has_turn(**oid, *day)).count() == 1;
        assert_eq!(oids.iter().filter(exact).count(), oids.len());
    }
}
