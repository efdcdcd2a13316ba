//! Pointers: one value, one encoding; merging is a function of pointers with a pointer as its result.

use git_lake::pointer::{
    Canonical, MAX_POINTER_BYTES, Merged, Parsed, Pointer, is_lfs_pointer, may_be_pointer, merge,
};

/// The bytes are up to three texts, between which a NUL stands: base, ours and theirs.
pub(super) fn check(bytes: &[u8]) {
    let texts: Vec<&[u8]> = bytes.splitn(3, |byte| *byte == 0).collect();
    let pointers: Vec<Pointer> = texts.iter().filter_map(|text| one(text)).collect();
    match &pointers[..] {
        [ours, theirs] => merged(None, ours, theirs),
        [base, ours, theirs] => {
            merged(Some(base), ours, theirs);
            merged(None, ours, theirs);
        }
        _ => {}
    }
}

fn one(bytes: &[u8]) -> Option<Pointer> {
    let parsed = Parsed::of(bytes);
    assert!(parsed == Parsed::Content || may_be_pointer(bytes));
    assert!(parsed == Parsed::Content || !is_lfs_pointer(bytes));
    if let Parsed::Damaged(error) = &parsed {
        assert!(error.line >= 1 && error.line <= MAX_POINTER_BYTES + 1);
        error.to_string();
    }
    let Parsed::Pointer(pointer, canonical) = parsed else { return None };
    let written = pointer.to_bytes();
    assert_eq!(canonical == Canonical::Yes, written == bytes, "one value has one encoding");
    assert!(written.len() <= bytes.len() && bytes.len() <= MAX_POINTER_BYTES);
    assert_eq!(Parsed::of(&written), Parsed::Pointer(pointer.clone(), Canonical::Yes));
    assert!(pointer.size() >= 1 && i64::try_from(pointer.size()).is_ok());
    let text = String::from_utf8(written).expect("a pointer is text");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    for source in pointer.sources() {
        let source = source.to_string();
        assert!(source.is_ascii() && !source.contains(['@', '?', '#', ' ']), "{source}");
    }
    let same = pointer.clone().with_sources(pointer.sources().to_vec());
    assert_eq!(same.as_ref(), Ok(&pointer));
    Some(pointer)
}

fn merged(base: Option<&Pointer>, ours: &Pointer, theirs: &Pointer) {
    if let Merged::Clean(result) = merge(base, ours, theirs) {
        let bytes = result.to_bytes();
        assert_eq!(Parsed::of(&bytes), Parsed::Pointer(result.clone(), Canonical::Yes));
        assert!(result.oid() == ours.oid() || result.oid() == theirs.oid());
        let known = |source| ours.sources().contains(source) || theirs.sources().contains(source);
        assert!(result.sources().iter().all(known));
    }
    assert_eq!(merge(base, ours, ours), Merged::Clean(ours.clone()), "nothing to merge");
    // Who takes the last source away, and leaves the content as it is, is not followed.
    let is_followed =
        |other: &Pointer, new: &Pointer| other.oid() != new.oid() || !new.sources().is_empty();
    if is_followed(ours, theirs) {
        assert_eq!(merge(Some(ours), ours, theirs), Merged::Clean(theirs.clone()), "theirs alone");
    }
    if is_followed(theirs, ours) {
        assert_eq!(merge(Some(theirs), ours, theirs), Merged::Clean(ours.clone()), "ours alone");
    }
}
