//! Open lakes, one for each address, and how well they are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::lake::{Declaration, LakeError, WriteLake};
use crate::lake_url::LakeUrl;

/// After so many failures in a row a lake is not asked again by this process: one that is down must
/// not cost every object a timeout.
const FAILURES_UNTIL_UNWELL: u32 = 3;

/// Opens the lake of an address; does no I/O.
pub type Opener = Box<dyn Fn(&LakeUrl) -> Arc<dyn WriteLake> + Send + Sync>;

/// Opens lakes at first need and keeps them.
pub struct Lakes {
    opener: Opener,
    open: Mutex<HashMap<LakeUrl, Arc<OpenLake>>>,
}

/// A lake that was asked for, whether it can be reached or not.
pub struct OpenLake {
    lake: Arc<dyn WriteLake>,
    declaration: OnceLock<Result<Declaration, LakeError>>,
    failures: AtomicU32,
    last_failure: Mutex<Option<LakeError>>,
}

impl Lakes {
    /// Opens lakes with `opener`.
    pub fn new(opener: Opener) -> Self {
        Self { opener, open: Mutex::default() }
    }

    /// Returns the lake at an address; the same one for the same address.
    pub fn at(&self, url: &LakeUrl) -> Arc<OpenLake> {
        let mut open = self.open.lock().expect("no holder panics");
        let lake = open.entry(url.clone()).or_insert_with(|| {
            Arc::new(OpenLake {
                lake: (self.opener)(url),
                declaration: OnceLock::new(),
                failures: AtomicU32::new(0),
                last_failure: Mutex::new(None),
            })
        });
        Arc::clone(lake)
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
        if self.failures.load(Ordering::Relaxed) >= FAILURES_UNTIL_UNWELL
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
    /// Why it cannot be read.
    pub fn declaration(&self) -> Result<&Declaration, LakeError> {
        let declaration = self.declaration.get_or_init(|| self.lake.declaration());
        declaration.as_ref().map_err(Clone::clone)
    }

    /// Returns how many requests at once the lake gains from.
    pub fn side_by_side(&self) -> usize {
        self.lake.capabilities().side_by_side
    }

    /// Hears how a request went, to tell whether the lake is well.
    pub fn note<T>(&self, result: &Result<T, LakeError>) {
        match result {
            Err(error) if error.concerns_lake() => {
                *self.last_failure.lock().expect("no holder panics") = Some(error.clone());
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
            _ => self.failures.store(0, Ordering::Relaxed),
        }
    }
}
