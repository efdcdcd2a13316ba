//! git's settings where there is no repository: those of the system, of the user and of the environment.

use gix::bstr::ByteSlice as _;

use super::environment::parse_config_parameters;
use super::{Environment, values};

/// Settings that count everywhere, merged as git merges them.
pub struct UserConfig(gix::config::File);

impl UserConfig {
    /// Reads them. A file that cannot be read counts as empty, as for a repository.
    pub fn read() -> Self {
        let mut all = gix::config::File::from_globals().unwrap_or_default();
        let environment = gix::config::File::from_environment_overrides().unwrap_or_default();
        let given = given(&Environment::read()).unwrap_or_default();
        for more in [environment, given] {
            // Only nesting without end could fail here.
            drop(all.append(more));
        }
        Self(all)
    }

    /// Returns the last value of a setting; empty if it stands there without one.
    pub fn string(&self, key: &str) -> Option<String> {
        values::string(&self.0, key)
    }

    /// Returns all values of a setting, the least important first.
    pub fn strings(&self, key: &str) -> Vec<String> {
        values::strings(&self.0, key)
    }

    /// Returns the names for which a section has settings, sorted.
    pub fn subsections(&self, section: &str) -> Vec<String> {
        values::subsections(&self.0, section)
    }
}

/// Returns the settings that `git -c` gave.
fn given(environment: &Environment) -> Option<gix::config::File> {
    let text = environment.config_parameters.as_deref()?;
    let pairs = parse_config_parameters(text.as_encoded_bytes())?;
    let mut file =
        gix::config::File::new(gix::config::file::Metadata::from(gix::config::Source::Cli));
    for pair in &pairs {
        let (key, value) = match pair.split_once_str("=") {
            Some((key, value)) => (key, Some(value.as_bstr())),
            None => (&**pair, None),
        };
        let key = gix::config::KeyRef::parse_unvalidated(key.as_bstr())?;
        let mut section =
            file.section_mut_or_create_new(key.section_name, key.subsection_name).ok()?;
        section.push(key.value_name, value).ok()?;
    }
    Some(file)
}
