//! What packages contain is there. `.ci/packages` builds and tries them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::TestEnv;

#[test]
fn every_file_of_the_debian_package_exists() {
    let env = TestEnv::new();
    let here = env.at(".");
    here.git(["lake", "man", "--dir", "packages/man"]);
    here.git(["lake", "completions", "--dir", "packages/completions"]);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        fs::read_to_string(top.join("Cargo.toml")).unwrap().parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let sources = assets.iter().map(|asset| asset[0].as_str().unwrap());
    for source in sources.filter(|source| !source.starts_with("target/release/")) {
        let path = match source.strip_prefix("target/packages/") {
            Some(made) => env.path("packages").join(made),
            None => top.join(source),
        };
        assert!(count(&path) > 0, "{source}");
    }
    assert!(count(&env.path("packages/man/*.1")) > 30);
}

/// Counts the files that a path means, whose last part may begin with `*`.
fn count(path: &Path) -> usize {
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some(end) = name.strip_prefix('*') else { return usize::from(path.is_file()) };
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path: &PathBuf| path.to_str().unwrap().ends_with(end)).count()
}
