//! git-lake as git sees it: real git, the built program, and folders as lakes.
//!
//! One binary, so that everything links once. Each module shows one part of the contract; `common`
//! makes the surroundings, which know nothing of the machine that the tests run on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "tests start git and write files as users do")]

mod common;
mod laws;

mod adds;
mod at_once;
mod cat;
mod checkouts;
mod claims_pace;
mod commands;
mod completions;
mod corpora;
mod damage;
mod damaged_logs;
mod dataset_commands;
mod dataset_failures;
mod dataset_git;
mod dataset_kills;
mod dataset_pace;
mod dataset_pipelime;
mod diff;
mod doctor;
mod documents;
mod downloads;
mod drops;
mod du;
mod faults_hosts;
mod faults_random;
mod faults_remotes;
mod fetches;
mod fills;
mod fsck_pointers;
mod fsck_remotes;
mod fsck_repair;
mod fsck_store;
mod help;
mod hostile_canary;
mod hostile_links;
mod hostile_names;
mod hostile_repos;
mod imports;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kills;
mod large_files;
mod layers;
mod limits;
mod ls_files;
mod manual;
mod merge_cases;
mod merges;
mod mixed_remotes;
mod names;
mod old_history;
mod only_here;
mod orphan_references;
mod orphans;
mod packages;
mod processes;
mod progress;
mod proofs;
mod prunes;
mod pushes;
mod races;
mod random_runs;
mod remote_add;
mod remote_list;
mod remote_remove;
mod remote_upload;
mod repairs;
mod resume;
mod round_trips;
mod s3_copies;
mod s3_failures;
mod s3_faults;
mod s3_git;
mod s3_interrupts;
mod s3_keys;
mod s3_lakes;
mod s3_large;
mod s3_outages;
mod s3_pace;
mod s3_profiles;
mod s3_ranges;
mod s3_replaced;
mod s3_requests;
mod s3_server;
mod s3_sources;
mod s3_tls;
mod s3_trust;
mod s3_unfinished;
mod settings;
mod shared_store;
mod sizes;
mod stability;
mod statuses;
mod surroundings;
mod trust;
mod uploads;
mod where_held;

#[test]
fn every_file_of_this_folder_is_a_module() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let declared = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") else {
            continue;
        };
        let line = format!("mod {module};");
        assert!(declared.lines().any(|found| found == line), "`{name}` is not declared in main.rs");
    }
}
