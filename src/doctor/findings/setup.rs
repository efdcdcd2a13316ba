//! Programs, git's configuration and hooks.

use crate::config::file::did_you_mean;
use crate::config::known::UnknownKey;
use crate::doctor::Finding;
use crate::doctor::facts::Setup;
use crate::doctor::facts::setup::FilterKey;
use crate::repo::git_version;
use crate::repo::hooks::{HookFile, HookState};

pub(super) fn decide(setup: &Setup) -> Vec<Finding> {
    let version = format!("git-lake {}", env!("CARGO_PKG_VERSION"));
    let mut findings = vec![Finding::ok("git-lake-version", version), git(&setup.git)];
    if !setup.is_on_path {
        let text = "git does not find the program git-lake on PATH, so that filter and hooks fail";
        findings.push(Finding::problem("not-on-path", text).mended_by("export PATH=\"DIR:$PATH\""));
    }
    findings.extend(filter(&setup.filter));
    findings.extend(setup.unknown.iter().map(unknown));
    findings.extend(setup.hooks.iter().map(|state| hook(state, setup.installs_hooks)));
    findings
}

fn git(said: &Result<String, String>) -> Finding {
    match said {
        Err(why) => Finding::problem("git-version", why.clone()),
        Ok(said) => match git_version::parse(said) {
            Some(_) => Finding::ok("git-version", said.clone()),
            None => Finding::note("git-version", format!("`{said}` says no version of git")),
        },
    }
}

fn filter(keys: &[FilterKey]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let missing: Vec<&str> =
        keys.iter().filter(|key| key.found.is_none()).map(|key| key.key).collect();
    if !missing.is_empty() {
        let text = format!(
            "git's configuration has no `{}`: git does not call git-lake where it has to",
            missing.join("`, `")
        );
        findings.push(Finding::problem("filter-missing", text).mended_by("git lake doctor --fix"));
    }
    for FilterKey { key, expected, found } in keys {
        let Some((value, origin)) = found.as_ref().filter(|(value, _)| value != expected) else {
            continue;
        };
        let origin = origin.words();
        if *key == "filter.lake.required" {
            if !is_true(value) {
                let text = format!(
                    "`{key}` is `{value}` in {origin}: when git-lake fails, git takes content in as \
                     if it was not tracked"
                );
                let remedy = format!("git config {key} true");
                findings.push(Finding::problem("filter-not-required", text).mended_by(remedy));
            }
        } else {
            let text =
                format!("`{key}` is `{value}` in {origin}; git-lake would write `{expected}`");
            findings.push(
                Finding::note("filter-changed", text)
                    .mended_by(format!("git config {key} '{expected}'")),
            );
        }
    }
    if findings.is_empty() {
        let mut origins: Vec<&str> = Vec::new();
        for (_, origin) in keys.iter().filter_map(|key| key.found.as_ref()) {
            if !origins.contains(&origin.words()) {
                origins.push(origin.words());
            }
        }
        let text = format!("The filter and merge drivers are set in {}", origins.join(" and "));
        findings.push(Finding::ok("filter", text));
    }
    findings
}

fn unknown(UnknownKey { key, nearest }: &UnknownKey) -> Finding {
    let near = did_you_mean(nearest.as_deref());
    let text = format!("git's configuration has `{key}`, which git-lake does not read{near}");
    let remedy = format!("git config --show-origin --get-all {key}");
    Finding::note("unknown-key", text).mended_by(remedy)
}

/// Reads truth as git does.
fn is_true(value: &str) -> bool {
    let words = ["true", "yes", "on", "1"];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn hook(state: &HookState, installs_hooks: bool) -> Finding {
    let (name, path) = (state.hook.name(), state.path.display());
    let consequence = match name {
        "pre-push" => "nothing shows that lakes hold what is pushed",
        "post-checkout" => "nobody says when a checkout leaves pointers",
        _ => "nobody says when a merge leaves pointers, nor uploads what it brings together",
    };
    let line = state.hook.line();
    match state.file {
        HookFile::Ours { is_current: true } => {
            Finding::ok("hook", format!("The hook {name} is git-lake's"))
        }
        HookFile::Ours { is_current: false } => {
            let text = format!("The hook {name} is of another git-lake, or not executable");
            let level = if state.is_active() { Finding::note } else { Finding::problem };
            level("hook-old", text).mended_by("git lake doctor --fix")
        }
        HookFile::Foreign { calls_git_lake: true } => {
            Finding::ok("hook", format!("The hook {name} is yours and calls git-lake: `{path}`"))
        }
        HookFile::Foreign { calls_git_lake: false } => {
            let text = format!(
                "The hook `{path}` is yours and does not call git-lake, or is not executable: {consequence}"
            );
            Finding::problem("hook-foreign", text).mended_by(line)
        }
        HookFile::Absent if !state.is_inside => {
            let text = format!(
                "There is no hook {name} where `core.hooksPath` says: {consequence}. Make `{path}` with this line"
            );
            Finding::problem("hook-outside", text).mended_by(line)
        }
        HookFile::Absent => {
            let text = format!("There is no hook {name}: {consequence}");
            let level = if installs_hooks { Finding::problem } else { Finding::note };
            level("hook-absent", text).mended_by("git lake doctor --fix")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_that_is_too_old_is_a_problem_and_one_that_says_nonsense_is_noted() {
        let level = |said: Result<&str, &str>| {
            git(&said.map(str::to_owned).map_err(str::to_owned)).level.name()
        };
        assert_eq!(level(Err("git version 2.38.9 is too old")), "problem");
        assert_eq!(level(Ok("git version 2.39.0")), "ok");
        assert_eq!(level(Ok("git version 3.0.0")), "ok");
        assert_eq!(level(Ok("nonsense")), "note");
    }
}
