//! git-lake.

pub mod cli;
pub mod commands;
pub mod config;
pub mod digest;
pub mod fill;
pub mod filter;
pub mod fs;
pub mod lake;
pub mod lake_url;
pub mod object_name;
pub mod oid;
pub mod owed;
pub mod pointer;
pub mod proof;
pub mod repo;
pub mod repo_path;
pub mod store;
pub mod transfer;
pub mod ui;
pub mod workspace;
