//! Opening lakes where git's `url.<base>.insteadOf` says that they are, with the keys that they may have.

use std::sync::Arc;

use super::Cancel;
use crate::config::Config;
use crate::config::hosts::Hosts;
use crate::lake::s3::{Limits, Notes};
use crate::lake::{AdminLake, Opener, WriteLake};
use crate::lake_url::LakeUrl;

/// How lakes are reached from a clone, or for datasets. Lakes on one server share its connections.
pub struct Reach {
    /// How servers are talked to, and with which keys.
    pub hosts: Arc<Hosts>,
    opener: Opener,
    /// Addresses are rewritten by it.
    config: Config,
}

impl Reach {
    /// Prepares; contacts nobody. Requests end early once `cancel` is set.
    pub fn new(
        config: &Config,
        hosts: &Arc<Hosts>,
        notes: Arc<dyn Notes>,
        cancel: &Cancel,
    ) -> Arc<Self> {
        let asked = Arc::clone(hosts);
        let access = Box::new(move |location: &LakeUrl| asked.access_to(location));
        let usual = Limits::default();
        let limits = Limits {
            part_bytes: config.part_size,
            connect: config.connect_timeout.unwrap_or(usual.connect),
            stall: config.stall_timeout.unwrap_or(usual.stall),
        };
        let opener = Opener::new(access, notes, limits).stopped_by(cancel.flag());
        Arc::new(Self { hosts: Arc::clone(hosts), opener, config: config.clone() })
    }

    /// Returns where a lake is found.
    pub fn location(&self, url: &LakeUrl) -> LakeUrl {
        self.config.rewritten(url)
    }

    /// Returns the lake at an address; no I/O.
    pub fn open(&self, url: &LakeUrl) -> Arc<dyn WriteLake> {
        self.opener.open(url, &self.location(url))
    }

    /// Returns the lake with the right to declare it: for commands in which the user names it.
    pub fn open_admin(&self, url: &LakeUrl) -> Arc<dyn AdminLake> {
        self.opener.open_admin(url, &self.location(url))
    }
}
