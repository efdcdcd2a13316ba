//! Logs that are damaged: what is told about them, once for each.
//!
//! Whoever finds one keeps what can be read of it, gives it a name that nobody reads, and tells.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

type Tell = dyn Fn(&str) + Send + Sync;

/// Who hears that a log was set aside; nobody by default.
#[derive(Clone, Default)]
pub struct Notice(Option<Arc<Tell>>);

impl Notice {
    /// Lets `tell` hear each message, one line.
    pub fn to(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Tells that a damaged log now has the name `aside`, and what follows from it.
    pub(super) fn set_aside(&self, path: &Path, aside: &Path, what_follows: &str) {
        if let Some(tell) = &self.0 {
            let name = aside.file_name().unwrap_or_default().to_string_lossy();
            let path = path.display();
            tell(&format!(
                "`{path}` is damaged and was set aside as `{name}`. What could be read of it is kept; {what_follows}."
            ));
        }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice")
    }
}
