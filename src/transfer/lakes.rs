//! Open lakes, one for each address, and how well they are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::Cancel;
use super::gate::Gate;
use super::hedge::{FirstBytes, Hedges};
use super::pacing::Pacing;
use super::report::with_causes;
use super::retry::Policy;
use crate::fs::unix_now;
use crate::lake::{Declaration, LakeError, Obstacle, Place, Retry, WriteLake};
use crate::lake_url::LakeUrl;
use crate::object_name::ObjectName;
use crate::store::health::{HealthRecords, Rest};

/// After so many failures in a row a lake is not asked again by this process: one that is down must
/// not cost every object a timeout.
const FAILURES_UNTIL_UNWELL: u32 = 3;
/// Most transfers at once with a lake that gains from any number, and with one that says how many.
const MOST_AT_ONCE: usize = 32;
const MOST_SIDE_BY_SIDE: usize = 8;

/// Opens the lake of an address; does no I/O.
pub type Opener = Box<dyn Fn(&LakeUrl) -> Arc<dyn WriteLake> + Send + Sync>;

/// Opens lakes at first need and keeps them.
pub struct Lakes {
    opener: Opener,
    memory: Arc<Memory>,
    open: Mutex<HashMap<LakeUrl, Arc<OpenLake>>>,
    pub(super) hedges: Hedges,
}

/// What other processes and the user say about the health of lakes.
#[derive(Default)]
struct Memory {
    records: Option<HealthRecords>,
    /// The user wants lakes to be asked whatever the records say.
    insists: AtomicBool,
    cancel: Cancel,
}

/// A lake that was asked for, whether it can be reached or not.
pub struct OpenLake {
    lake: Arc<dyn WriteLake>,
    memory: Arc<Memory>,
    declaration: OnceLock<Result<Declaration, LakeError>>,
    failures: AtomicU32,
    last_failure: Mutex<Option<LakeError>>,
    gate: OnceLock<Gate>,
    first_bytes: Mutex<FirstBytes>,
    /// Objects that turned out to be damaged there, and were had from elsewhere.
    damaged: AtomicUsize,
}

impl Lakes {
    /// Opens lakes with `opener`; what is learned about their health ends with this process.
    pub fn new(opener: Opener) -> Self {
        Self { opener, memory: Arc::default(), open: Mutex::default(), hedges: Hedges::default() }
    }

    /// The same, and shares what is learned about their health with other processes.
    pub fn with_records(opener: Opener, records: HealthRecords, cancel: Cancel) -> Self {
        let memory = Memory { records: Some(records), cancel, ..Memory::default() };
        Self { opener, memory: Arc::new(memory), open: Mutex::default(), hedges: Hedges::default() }
    }

    /// Returns how many damaged objects were met at each lake since this was asked last.
    pub(super) fn take_damage(&self) -> Vec<(LakeUrl, usize)> {
        let open = self.open.lock().expect("no holder panics");
        let counts = open.iter().map(|(url, lake)| {
            let count = lake.damaged.swap(0, Ordering::Relaxed);
            (url.clone(), count)
        });
        let mut met: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        met.sort_unstable();
        met
    }

    /// Asks lakes that are opened from now on although other processes gave them up: the user wants it.
    pub fn insist(&self) {
        self.memory.insists.store(true, Ordering::Relaxed);
    }

    /// Forgets that processes gave up the lake: the user names it.
    pub fn forgive(&self, url: &LakeUrl) {
        self.memory.clear(url);
    }

    /// Returns the lake at an address; the same one for the same address.
    pub fn at(&self, url: &LakeUrl) -> Arc<OpenLake> {
        let mut open = self.open.lock().expect("no holder panics");
        let lake = open.entry(url.clone()).or_insert_with(|| {
            Arc::new(OpenLake {
                lake: (self.opener)(url),
                memory: Arc::clone(&self.memory),
                declaration: OnceLock::new(),
                failures: AtomicU32::new(0),
                last_failure: Mutex::new(None),
                gate: OnceLock::new(),
                first_bytes: Mutex::default(),
                damaged: AtomicUsize::new(0),
            })
        });
        Arc::clone(lake)
    }
}

impl Memory {
    /// Returns why the lake is not to be asked now, if so.
    fn objection(&self, url: &LakeUrl) -> Option<LakeError> {
        if self.insists.load(Ordering::Relaxed) {
            self.clear(url);
            return None;
        }
        let Rest { seconds, cause } = self.records.as_ref()?.recall(url, unix_now())?;
        let obstacle = Obstacle::Resting { seconds, cause: cause.into() };
        Some(LakeError::Unreachable { url: url.clone(), obstacle })
    }

    /// Lets the next processes not ask a lake that cost time. One whose failures only a person can put
    /// right costs none, and is asked again as soon as they have.
    fn give_up(&self, url: &LakeUrl, error: &LakeError) {
        let Some(records) = &self.records else { return };
        if error.retry() == Retry::Never {
            return;
        }
        let cause = match error {
            LakeError::Unreachable { obstacle, .. } => with_causes(obstacle),
            other => with_causes(other),
        };
        records.give_up(url, unix_now(), &cause);
    }

    fn clear(&self, url: &LakeUrl) {
        if let Some(records) = &self.records {
            records.clear(url);
        }
    }
}

impl OpenLake {
    /// Returns the lake, if it could be reached and is not known to be unwell.
    ///
    /// Its declaration is read with the first call, which is what tells an unmounted share.
    ///
    /// # Errors
    /// Why it cannot be used: the first failure to reach it, or the last of several.
    pub fn usable(&self) -> Result<&dyn WriteLake, LakeError> {
        if self.is_given_up()
            && let Some(error) = &*self.last_failure.lock().expect("no holder panics")
        {
            return Err(error.clone());
        }
        self.declaration()?;
        Ok(&*self.lake)
    }

    /// Returns what the lake declares, read once for all.
    ///
    /// # Errors
    /// Why it cannot be read, or why it is not tried.
    pub fn declaration(&self) -> Result<&Declaration, LakeError> {
        let declaration = self.declaration.get_or_init(|| self.first_contact());
        declaration.as_ref().map_err(Clone::clone)
    }

    fn first_contact(&self) -> Result<Declaration, LakeError> {
        let url = self.lake.url();
        if let Some(error) = self.memory.objection(url) {
            return Err(error);
        }
        let (begun, mut round) = (Instant::now(), 0);
        let declaration = loop {
            let declaration = self.lake.declaration();
            // It is there, only not yet; a lake that does not answer at all is not waited for.
            let wait = match &declaration {
                Err(error @ LakeError::Busy { .. }) => {
                    Policy::default().wait(round, error.retry(), begun.elapsed())
                }
                _ => None,
            };
            round += 1;
            if !wait.is_some_and(|wait| self.memory.cancel.sleep(wait)) {
                break declaration;
            }
        };
        match &declaration {
            Ok(_) => self.memory.clear(url),
            Err(error) => self.memory.give_up(url, error),
        }
        declaration
    }

    /// Returns where the lake's server finds an object, if it has one that copies; no I/O.
    pub(super) fn place(&self, name: &ObjectName) -> Option<Place> {
        self.lake.place(name)
    }

    /// Returns true if the lake was reached and is not known to be unwell: what fails now may pass.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.declaration.get(), Some(Ok(_))) && !self.is_given_up()
    }

    /// Returns true unless the lake is known not to help.
    pub(super) fn may_help(&self) -> bool {
        !matches!(self.declaration.get(), Some(Err(_))) && !self.is_given_up()
    }

    /// Notes how long the first byte of an object took.
    pub(super) fn note_first_byte(&self, took: Duration) {
        self.first_bytes.lock().expect("no holder panics").note(took);
    }

    /// Returns how long a first byte may take before another source is worth asking, once that is known.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.first_bytes.lock().expect("no holder panics").patience()
    }

    /// Notes that an object is damaged there, and was had from elsewhere.
    pub(super) fn note_damage(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the way to the lake; `jobs` is what the user wants at most.
    pub(super) fn gate(&self, jobs: Option<usize>) -> &Gate {
        self.gate.get_or_init(|| {
            let most = self.most_at_once(jobs);
            Gate::new(match self.gains_from_any_number() {
                true => Pacing::growing_to(most),
                false => Pacing::at_most(most),
            })
        })
    }

    /// Returns how many transfers may ever be under way at once; `jobs` is what the user wants at most.
    pub(super) fn most_at_once(&self, jobs: Option<usize>) -> usize {
        match self.lake.capabilities().side_by_side {
            usize::MAX => jobs.unwrap_or(MOST_AT_ONCE),
            side_by_side => jobs.unwrap_or(MOST_SIDE_BY_SIDE).min(side_by_side),
        }
    }

    fn gains_from_any_number(&self) -> bool {
        self.lake.capabilities().side_by_side == usize::MAX
    }

    fn is_given_up(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES_UNTIL_UNWELL
    }

    /// Hears how a transfer went in the end, to tell whether the lake is well.
    pub fn note<T>(&self, result: &Result<T, LakeError>) {
        match result {
            Err(error) if error.concerns_lake() => {
                *self.last_failure.lock().expect("no holder panics") = Some(error.clone());
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES_UNTIL_UNWELL {
                    self.memory.give_up(self.lake.url(), error);
                }
            }
            _ => {
                if self.failures.swap(0, Ordering::Relaxed) >= FAILURES_UNTIL_UNWELL {
                    self.memory.clear(self.lake.url());
                }
            }
        }
    }
}
