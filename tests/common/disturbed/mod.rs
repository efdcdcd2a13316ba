//! git-lake at work with a server that misbehaves: what may happen, and what never may.

mod site;
mod trouble;
mod work;

pub(crate) use site::{Ended, LARGE, Site, Surroundings};
pub(crate) use trouble::{TROUBLES, Trouble};
pub(crate) use work::{WORKS, Work};
