//! Settings: what is read is unique and in normal form, and an edit changes what it is asked to change.

use std::collections::BTreeSet;

use git_lake::config::edit::{add_remote, merge, remove_remotes};
use git_lake::config::file::{Remote, Settings, Unknown, is_remote_name};
use git_lake::lake_url::LakeUrl;

pub(super) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lenient = Settings::parse(text, Unknown::PassOver);
    if let Ok(settings) = &lenient {
        settings.warnings.iter().for_each(|warning| drop(warning.to_string()));
        are_good(&settings.remotes);
    }
    let settings = match Settings::parse(text, Unknown::Refuse) {
        Ok(settings) => settings,
        Err(error) => return drop(error.to_string()),
    };
    let lenient = lenient.expect("who reads all reads it leniently, too");
    assert_eq!((&lenient.remotes, lenient.warnings.len()), (&settings.remotes, 0));
    edits(text, &settings);
}

fn are_good(remotes: &[Remote]) {
    let names: BTreeSet<&str> = remotes.iter().map(|remote| remote.name.as_str()).collect();
    let urls: BTreeSet<&LakeUrl> = remotes.iter().map(|remote| &remote.url).collect();
    assert_eq!((names.len(), urls.len()), (remotes.len(), remotes.len()));
    for remote in remotes {
        assert!(is_remote_name(&remote.name));
        assert_eq!(LakeUrl::parse(&remote.url.to_string()).as_ref(), Ok(&remote.url));
    }
}

fn edits(text: &str, settings: &Settings) {
    let url = LakeUrl::parse("file:///added/by/the/law").expect("an address");
    let mut new = Remote::new("added-by-the-law".into(), url.clone());
    (new.upload, new.region) = (false, Some("eu-west-1".into()));
    let read = |text: &str| Settings::parse(text, Unknown::Refuse).expect("settings").remotes;
    let is_taken =
        settings.remotes.iter().any(|remote| remote.name == new.name || remote.url == new.url);
    if let Ok(added) = add_remote(text, &new) {
        assert!(!is_taken);
        let mut expected = settings.remotes.clone();
        expected.push(new);
        assert_eq!(read(&added), expected, "{added}");
        let removed = remove_remotes(&added, &BTreeSet::from([url])).expect("settings");
        assert_eq!(read(&removed), settings.remotes, "{removed}");
        // Remotes in one line are merged by people.
        let tables = |text: &str| text.matches("[[remote]]").count();
        let is_merged = tables(&added) > tables(text);
        let merged = |base, ours, theirs| merge(base, ours, theirs).as_deref().map(read);
        for (base, ours, theirs, result) in [
            (text, text, &*added, &expected),
            (text, &added, text, &expected),
            (&added, &added, text, &settings.remotes),
        ] {
            match merged(base, ours, theirs) {
                Some(merged) => assert_eq!(&merged, result, "{base}\n{ours}\n{theirs}"),
                None => assert!(!is_merged, "{base}\n{ours}\n{theirs}"),
            }
        }
    }
    let all: BTreeSet<LakeUrl> = settings.remotes.iter().map(|remote| remote.url.clone()).collect();
    // What cannot be edited in place is refused, and never left as it is without a word.
    if let Ok(emptied) = remove_remotes(text, &all) {
        assert_eq!(read(&emptied), [], "{emptied}");
    }
    assert_eq!(remove_remotes(text, &BTreeSet::new()).as_deref(), Ok(text));
}
