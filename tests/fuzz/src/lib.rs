//! The laws that the tests check, for whoever throws bytes at them.

#[path = "../../laws/mod.rs"]
mod laws;

/// Checks the law of that name for some bytes.
pub fn check(name: &str, bytes: &[u8]) {
    laws::check(name, bytes);
}
