//! Three-way merge of pointers: by content first, then by sources.

use super::Pointer;

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// Both sides fit together.
    Clean(Pointer),
    /// Each side has another content: a person has to choose, as with any binary file.
    Conflict,
}

/// Merges two versions of a pointer; reads pointers only, never content.
///
/// With equal oids the result has the base's sources with what both sides added and removed; if
/// that leaves none, or there is no base with this oid, it has those of both sides, ours first.
/// With one side unchanged the result is the other side. Merging is deterministic and has no side effects.
pub fn merge(base: Option<&Pointer>, ours: &Pointer, theirs: &Pointer) -> Merged {
    if ours.oid() != theirs.oid() {
        let changed = |side: &Pointer| base.is_none_or(|base| base.oid() != side.oid());
        return match (changed(ours), changed(theirs)) {
            (false, _) => Merged::Clean(theirs.clone()),
            (_, false) => Merged::Clean(ours.clone()),
            (true, true) => Merged::Conflict,
        };
    }
    let base = base.filter(|base| base.oid() == ours.oid());
    // One content has one size, so one of two is wrong: the one that nobody changed.
    let size = match base.map(|base| base.size) {
        _ if ours.size == theirs.size => ours.size,
        Some(before) if before == ours.size => theirs.size,
        Some(before) if before == theirs.size => ours.size,
        _ => return Merged::Conflict,
    };
    let none = (Vec::new(), Vec::new());
    let (base_extras, base_sources) =
        base.map_or(none, |base| (base.extras.clone(), base.sources.clone()));
    let mut sources = merge_lists(&base_sources, &ours.sources, &theirs.sources);
    if sources.is_empty() {
        sources = merge_lists(&[], &ours.sources, &theirs.sources);
    }
    let mut merged = ours.clone();
    merged.size = size;
    merged.extras = merge_lists(&base_extras, &ours.extras, &theirs.extras);
    merged.with_sources(sources).map_or(Merged::Conflict, Merged::Clean)
}

/// Ours without what theirs removed, then what theirs added; theirs in its order if ours changed nothing.
fn merge_lists<T: PartialEq + Clone>(base: &[T], ours: &[T], theirs: &[T]) -> Vec<T> {
    if base == ours {
        return theirs.to_vec();
    }
    let removed_there = |item: &&T| base.contains(item) && !theirs.contains(item);
    let added_there = |item: &&T| !base.contains(item) && !ours.contains(item);
    let kept = ours.iter().filter(|item| !removed_there(item));
    kept.chain(theirs.iter().filter(added_there)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake_url::LakeUrl;
    use crate::object_name::ObjectName;
    use crate::oid::Oid;

    fn pointer(content: &[u8], lakes: &[&str]) -> Pointer {
        let oid = Oid::of(content);
        let source = |lake: &&str| {
            let lake = LakeUrl::parse(&format!("file:///{lake}")).expect("an address");
            lake.source(ObjectName::new(&oid.into(), b"x.png"))
        };
        Pointer::new(oid, 5, lakes.iter().map(source).collect()).expect("a pointer")
    }

    fn clean(base: Option<&[&str]>, ours: &[&str], theirs: &[&str]) -> Merged {
        let base = base.map(|lakes| pointer(b"x", lakes));
        merge(base.as_ref(), &pointer(b"x", ours), &pointer(b"x", theirs))
    }

    #[test]
    fn sources_merge_by_what_each_side_added_and_removed() {
        let expect = |lakes: &[&str]| Merged::Clean(pointer(b"x", lakes));
        assert_eq!(clean(Some(&["a"]), &["a", "b"], &["a", "c"]), expect(&["a", "b", "c"]));
        assert_eq!(clean(Some(&["a", "b"]), &["b"], &["a", "b", "c"]), expect(&["b", "c"]));
        assert_eq!(clean(Some(&["a", "b"]), &["b", "a"], &["a", "b"]), expect(&["b", "a"]));
        assert_eq!(clean(Some(&["a", "b"]), &["a", "b"], &["b", "a"]), expect(&["b", "a"]));
        assert_eq!(clean(Some(&["a"]), &["a"], &["b", "a"]), expect(&["b", "a"]));
        assert_eq!(clean(None, &["a"], &["b"]), expect(&["a", "b"]));
    }

    #[test]
    fn a_merge_that_would_leave_no_source_keeps_those_of_both_sides() {
        let expect = Merged::Clean(pointer(b"x", &["b", "a"]));
        assert_eq!(clean(Some(&["a", "b"]), &["b"], &["a"]), expect);
    }

    #[test]
    fn content_changed_on_one_side_takes_that_side() {
        let (old, new) = (pointer(b"old", &["a"]), pointer(b"new", &["b"]));
        assert_eq!(merge(Some(&old), &old, &new), Merged::Clean(new.clone()));
        assert_eq!(merge(Some(&old), &new, &old), Merged::Clean(new.clone()));
        let other = pointer(b"other", &["a"]);
        assert_eq!(merge(Some(&old), &new, &other), Merged::Conflict);
        assert_eq!(merge(None, &new, &other), Merged::Conflict);
    }

    #[test]
    fn both_sides_with_the_same_new_content_keep_the_sources_of_both() {
        let old = pointer(b"old", &["a"]);
        let (ours, theirs) = (pointer(b"new", &["a"]), pointer(b"new", &["b"]));
        assert_eq!(merge(Some(&old), &ours, &theirs), Merged::Clean(pointer(b"new", &["a", "b"])));
    }

    #[test]
    fn of_two_sizes_the_one_that_was_changed_is_taken() {
        let sized = |size| Pointer { size, ..pointer(b"x", &["a"]) };
        let (old, new, other) = (sized(5), sized(6), sized(7));
        assert_eq!(merge(Some(&old), &old, &new), Merged::Clean(new.clone()));
        assert_eq!(merge(Some(&old), &new, &old), Merged::Clean(new.clone()));
        assert_eq!(merge(Some(&old), &new, &new), Merged::Clean(new.clone()));
        assert_eq!(merge(Some(&old), &new, &other), Merged::Conflict);
        assert_eq!(merge(None, &new, &other), Merged::Conflict);
    }

    #[test]
    fn x_lines_merge_three_way() {
        let with = |extras: &[&str]| {
            let mut pointer = pointer(b"x", &["a"]);
            pointer.extras = extras.iter().map(|line| (*line).into()).collect();
            pointer
        };
        let merged = merge(
            Some(&with(&["x-a 1", "x-b 1"])),
            &with(&["x-a 1", "x-b 1", "x-c 1"]),
            &with(&["x-b 1", "x-d 1"]),
        );
        assert_eq!(merged, Merged::Clean(with(&["x-b 1", "x-c 1", "x-d 1"])));
    }
}
