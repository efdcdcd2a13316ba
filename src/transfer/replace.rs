//! Objects in the place of what is damaged in a lake.

use std::time::Instant;

use super::Transfer;
use super::job::{Failure, Job, Origin};
use super::origin::of_origin;
use super::report::Activity;
use crate::lake::{AdminLake, LakeError, LakeId, Put, Replaced, Upload};
use crate::store::receipts::Strength;

impl Transfer {
    /// Replaces what stands under an object's name in a lake, if it is not the object, and records a
    /// receipt. The bytes are read from the first of several places that has them.
    ///
    /// # Errors
    /// Why no place has the bytes, or why the lake could not take them.
    pub fn replace(
        &self,
        lake: &dyn AdminLake,
        mut job: Job,
        others: &[Origin],
    ) -> Result<Replaced, Failure> {
        self.reporter.expect(Activity::Uploading, 1, job.size);
        let mut reasons: Vec<String> = Vec::new();
        let mut result = self.replace_from(lake, &job);
        for origin in others {
            match result {
                Err(failure) if failure.is_of_origin() => reasons.push(failure.cause()),
                _ => break,
            }
            job.from = origin.clone();
            result = self.replace_from(lake, &job);
        }
        self.reporter.finished_object();
        self.reporter.end();
        let replaced = result.map_err(|failure| match failure.is_of_origin() {
            true => {
                reasons.push(failure.cause());
                Failure::Origin(reasons.join("; "))
            }
            false => failure,
        })?;
        let id = lake.declaration().ok().and_then(|declaration| declaration.id);
        let strength = match &replaced {
            Replaced::Not(Put::AlreadyThere(_) | Put::Copied(_)) => Strength::Checksum,
            Replaced::Aside(_) | Replaced::Not(Put::Created) => Strength::Sent,
        };
        let proof = [(job.url.name.clone(), job.size, strength)];
        let recorded = self.receipts.add(&job.url.lake, id.as_ref().map(LakeId::as_str), &proof);
        recorded.map_err(|error| Failure::Receipt(error.to_string()))?;
        Ok(replaced)
    }

    /// Replaces with the bytes of one place, in rounds as long as that makes sense.
    fn replace_from(&self, lake: &dyn AdminLake, job: &Job) -> Result<Replaced, Failure> {
        let (begun, mut round) = (Instant::now(), 0);
        let open = self.source(job);
        let upload = Upload {
            name: &job.url.name,
            hash: job.hash,
            size: job.size,
            open: &open,
            verified: None,
        };
        loop {
            let error = match lake.replace(&upload, self) {
                Ok(replaced) => return Ok(replaced),
                Err(LakeError::Cancelled) => return Err(Failure::Cancelled),
                Err(error) => error,
            };
            let wait = self.retry.wait(round, error.retry(), begun.elapsed());
            if !wait.is_some_and(|wait| self.cancel.sleep(wait)) {
                return Err(of_origin(&job.from, &error).unwrap_or_else(|| error.into()));
            }
            round += 1;
        }
    }
}
