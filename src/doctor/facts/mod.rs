//! What there is to know about a clone, gathered without changing it.

pub mod files;
pub mod lakes;
pub mod setup;
pub mod state;

pub use files::Files;
pub use lakes::Lakes;
pub use setup::Setup;
pub use state::State;

use super::Error;
use crate::workspace::Workspace;

/// What is known without asking anybody.
#[derive(Debug)]
pub struct Local {
    /// Programs, git's configuration, hooks.
    pub setup: Setup,
    /// Settings, attributes, pointers in git.
    pub files: Files,
    /// The store, and what is owed.
    pub state: State,
}

impl Local {
    /// Looks at the clone. Claims that no process holds are folded together, as by `git lake status`.
    ///
    /// # Errors
    /// If the repository or the local state cannot be read.
    pub fn gather(site: &Workspace) -> Result<Self, Error> {
        Ok(Self { setup: Setup::look(site)?, files: Files::look(site)?, state: State::look(site)? })
    }
}
