//! Asking lakes which objects they hold, many at once, and writing down what they prove.

use std::collections::{BTreeMap, HashMap};

use super::Transfer;
use crate::fs::PathError;
use crate::lake::{LakeError, LakeId};
use crate::lake_url::{LakeUrl, SourceUrl};
use crate::object_name::ObjectName;
use crate::store::receipts::Strength;

/// What a lake says about one object.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is there, with this size, which is the right one where that is known; there is a receipt now.
    Held(u64),
    /// It is there with another size, in bytes.
    OtherSize(u64),
    /// The lake was reached and does not have it.
    Absent,
    /// It is not known.
    Unknown(LakeError),
}

/// What is asked: the sizes of objects in bytes, as far as they are known, by lake and name.
#[derive(Debug, Default)]
pub struct Questions(BTreeMap<LakeUrl, BTreeMap<ObjectName, Option<u64>>>);

impl Questions {
    /// Adds an object, each once.
    pub fn add(&mut self, source: SourceUrl, size: Option<u64>) {
        self.0.entry(source.lake).or_default().insert(source.name, size);
    }

    /// Returns how many objects are asked for.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }
}

impl Transfer {
    /// Asks lakes for objects, each lake once for all of its own, and records a receipt for what is held.
    ///
    /// A receipt for what turns out to be absent is taken back: it would keep it from being uploaded
    /// again.
    ///
    /// # Errors
    /// If receipts cannot be written.
    pub fn ask(&self, questions: Questions) -> Result<HashMap<SourceUrl, Answer>, PathError> {
        let mut left = questions.count() as u64;
        self.reporter.asks(left);
        let answers = self.ask_each(questions, &mut left);
        self.reporter.answered(left);
        answers
    }

    /// Asks lake by lake; `left` is how many objects nobody has heard the answers for.
    fn ask_each(
        &self,
        questions: Questions,
        left: &mut u64,
    ) -> Result<HashMap<SourceUrl, Answer>, PathError> {
        let mut answers = HashMap::new();
        for (url, names) in questions.0 {
            let count = names.len() as u64;
            let open = self.lakes.at(&url);
            let (names, sizes): (Vec<ObjectName>, Vec<Option<u64>>) = names.into_iter().unzip();
            let found = match open.usable() {
                Ok(lake) => lake.stat_all(&names),
                Err(error) => names.iter().map(|_| Err(error.clone())).collect(),
            };
            let mut proofs = Vec::new();
            for ((name, size), found) in names.into_iter().zip(sizes).zip(found) {
                open.note(&found);
                let source = url.source(name.clone());
                let answer = match found {
                    Ok(Some(info)) if size.is_none_or(|size| info.size == size) => {
                        proofs.push((name, info.size, Strength::Size));
                        Answer::Held(info.size)
                    }
                    Ok(Some(info)) => Answer::OtherSize(info.size),
                    Ok(None) => Answer::Absent,
                    Err(error) => Answer::Unknown(error),
                };
                if matches!(answer, Answer::Absent | Answer::OtherSize(_)) {
                    self.receipts.revoke(&source)?;
                }
                answers.insert(source, answer);
            }
            let id = open.declaration().ok().and_then(|declaration| declaration.id.as_ref());
            self.receipts.add(&url, id.map(LakeId::as_str), &proofs)?;
            *left -= count;
            self.reporter.answered(count);
        }
        Ok(answers)
    }
}
