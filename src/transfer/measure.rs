//! How well a lake can be reached: how long a request takes, and how fast bytes come.

use std::io::Read as _;
use std::time::{Duration, Instant};

use super::Transfer;
use crate::lake::{Declaration, Features, LakeError};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::{parallel, size};

/// The shortest of so many requests tells how far away a lake is.
const REQUESTS: usize = 3;
/// Reading ends after so many bytes, or so much time.
const MOST_BYTES: u64 = 8 << 20;
const MOST_TIME: Duration = Duration::from_secs(2);
const CHUNK_BYTES: usize = 64 << 10;

/// What was found out about a lake.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What it declares.
    pub declaration: Declaration,
    /// How long one small request takes.
    pub round_trip: Duration,
    /// How many bytes a second come; `None` if nothing of moderate size could be read.
    pub bytes_per_second: Option<u64>,
    /// What its server does; `None` if it has none.
    pub features: Option<Features>,
}

impl Measured {
    /// Says it in words with commas between them.
    pub fn words(&self) -> String {
        let speed = match self.bytes_per_second {
            Some(bytes) => format!("{}/s", size::human(bytes)),
            None => "speed not measured".to_owned(),
        };
        let round_trip = self.round_trip.as_secs_f64() * 1000.0;
        let mut words = vec![format!("reached in {round_trip:.1} ms"), speed];
        if let Some(why) = &self.declaration.assumed {
            words.push(format!("taken for {}: {why}", self.declaration.hash));
        }
        for (name, is_there) in self.features.into_iter().flat_map(Features::named) {
            match is_there {
                Some(true) => words.push(name.to_owned()),
                Some(false) => words.push(format!("no {name}")),
                None => words.push(format!("{name} not known")),
            }
        }
        words.join(", ")
    }
}

impl Transfer {
    /// Measures all lakes at once, so that a dead one holds up no other.
    pub fn measure_all(
        &self,
        lakes: &[(LakeUrl, Option<SourceUrl>)],
    ) -> Vec<Result<Measured, LakeError>> {
        self.reporter.asks(0);
        let measured = parallel::map(lakes.len(), lakes.len(), |at| {
            let (url, sample) = &lakes[at];
            self.measure(url, sample.as_ref())
        });
        self.reporter.answered(0);
        measured
    }

    /// Reaches a lake and measures it; `sample` is an object that should be there. Writes nothing.
    ///
    /// # Errors
    /// Why the lake cannot be reached.
    pub fn measure(
        &self,
        url: &LakeUrl,
        sample: Option<&SourceUrl>,
    ) -> Result<Measured, LakeError> {
        let open = self.lakes.at(url);
        let lake = open.usable()?;
        let mut declaration = open.declaration()?.clone();
        let mut round_trip = Duration::MAX;
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            declaration = lake.declaration()?;
            round_trip = round_trip.min(begun.elapsed());
        }
        let bytes_per_second = sample.and_then(|sample| {
            let begun = Instant::now();
            let mut content = lake.get(&sample.name, 0).ok()?.reader.take(MOST_BYTES);
            let (mut buffer, mut bytes) = (vec![0; CHUNK_BYTES], 0_u64);
            while begun.elapsed() < MOST_TIME && !self.cancel.is_cancelled() {
                match content.read(&mut buffer).ok()? {
                    0 => break,
                    count => bytes += count as u64,
                }
            }
            let seconds = begun.elapsed().as_secs_f64();
            (bytes > 0 && seconds > 0.0).then(|| (bytes as f64 / seconds) as u64)
        });
        Ok(Measured { declaration, round_trip, bytes_per_second, features: lake.features() })
    }
}
