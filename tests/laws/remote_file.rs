//! `.remote` files: written as pipelime writes them, read back as they were.

use git_lake::dataset::remote_file::RemoteFile;
use git_lake::lake_url::SourceUrl;

pub(super) fn check(bytes: &[u8]) {
    let file = match RemoteFile::parse(bytes) {
        Ok(file) => file,
        Err(error) => return drop(error.to_string()),
    };
    let text = file.to_text();
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
    assert_eq!(RemoteFile::parse(text.as_bytes()).as_ref(), Ok(&file), "{text}");
    let sources = file.sources();
    for source in &sources {
        assert_eq!(SourceUrl::parse_normal(&source.to_string()).as_ref(), Ok(source));
    }
    if let Some(fault) = file.fault() {
        fault.to_string();
    }
    assert!(file.names().count() >= sources.len());
    let mut same = file.clone();
    sources.iter().for_each(|source| same.add(source));
    assert_eq!(same, file, "each is there");
    let (rest, is_changed) = file.without(|_| true);
    assert_eq!(is_changed, !sources.is_empty());
    assert!(rest.is_none_or(|rest| rest.sources().is_empty()));
    assert_eq!(file.without(|_| false), (Some(file.clone()), false));
    if let Some(canonical) = RemoteFile::of(sources) {
        assert_eq!(canonical.fault(), None);
        let again = canonical.sources();
        assert_eq!(RemoteFile::of(again).as_ref(), Some(&canonical));
    }
    file.suffix();
}
