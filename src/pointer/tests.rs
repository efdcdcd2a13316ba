use proptest::prelude::*;

use super::*;

const HEX: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

fn text(tail: &str) -> String {
    format!("git-lake pointer v1\noid sha256:{HEX}\nsize 12345\n{tail}")
}

fn source(lake: &str) -> String {
    format!("source {lake}/{HEX}.png\n")
}

fn fault(bytes: &[u8]) -> String {
    match Parsed::of(bytes) {
        Parsed::Damaged(error) => error.to_string(),
        other => panic!("expected a damaged pointer, got {other:?}"),
    }
}

#[test]
fn the_specified_example_parses_and_is_canonical() {
    let example =
        text(&(source("s3://minio.example.com:9000/datasets") + &source("file:///mnt/lake")));
    let Parsed::Pointer(pointer, Canonical::Yes) = Parsed::of(example.as_bytes()) else {
        panic!("the example is a pointer");
    };
    assert_eq!((pointer.oid().to_hex().as_str(), pointer.size()), (HEX, 12345));
    assert_eq!(pointer.sources().len(), 2);
    assert_eq!(pointer.to_bytes(), example.as_bytes());
}

#[test]
fn crlf_is_read_and_never_written() {
    let canonical = text(&source("file:///mnt/lake"));
    let parsed = Parsed::of(canonical.replace('\n', "\r\n").as_bytes());
    let Parsed::Pointer(pointer, Canonical::No) = parsed else {
        panic!("CRLF is accepted");
    };
    assert_eq!(pointer.to_bytes(), canonical.as_bytes());
}

#[test]
fn x_lines_are_kept_verbatim_when_sources_change() {
    let bytes = text("x-kind image/png 640x480\nx-b  two blanks \n") + &source("file:///a");
    let pointer = Parsed::of(bytes.as_bytes()).pointer().expect("a pointer");
    let without = pointer.with_sources(Vec::new()).expect("shorter");
    assert_eq!(without.to_bytes(), text("x-kind image/png 640x480\nx-b  two blanks \n").as_bytes());
}

#[test]
fn faults_name_the_line_and_the_reason() {
    let unknown =
        "should be an `x-<name> <value>` line before the first source, or `source` and an address";
    let size = "should be `size` and a decimal number from 1 to 2^63-1";
    let oid = "should be `oid sha256:` and 64 lower-case hexadecimal digits";
    let with_size = |size: &str| text("").replace("12345", size);
    let table = [
        (text("<<<<<<< ours\n"), "Line 4 of the pointer is a conflict marker of a merge".to_owned()),
        (text("").replace("oid", "<<<<<<< HEAD\noid"), "Line 2 of the pointer is a conflict marker of a merge".to_owned()),
        (text("junk\n"), format!("Line 4 of the pointer {unknown}")),
        (text("\n"), format!("Line 4 of the pointer {unknown}")),
        (text(&(source("file:///a") + "x-late 1\n")), format!("Line 5 of the pointer {unknown}")),
        (text("x- 1\n"), format!("Line 4 of the pointer {unknown}")),
        (text("").trim_end().to_owned(), "Line 3 of the pointer does not end in a line feed".to_owned()),
        (with_size("0"), format!("Line 3 of the pointer {size}")),
        (with_size("01"), format!("Line 3 of the pointer {size}")),
        (with_size("+1"), format!("Line 3 of the pointer {size}")),
        (with_size("9223372036854775808"), format!("Line 3 of the pointer {size}")),
        (text("").replace("4d7a", "4D7A"), format!("Line 2 of the pointer {oid}")),
        ("git-lake pointer v1\n".to_owned(), format!("Line 2 of the pointer {oid}")),
        (text("x-a \u{1b}[31m\n"), "Line 4 of the pointer has a character that is no printable text".to_owned()),
        (text(&(source("file:///a") + &source("file:///a"))), "Line 5 of the pointer repeats a source".to_owned()),
        (
            text(&source("s3://u:p@h/b")),
            "Line 4 of the pointer has a bad address: An address that is stored holds no user or password".to_owned(),
        ),
        (
            text(&source("file:///a/")),
            format!("Line 4 of the pointer has a bad address: The address is not in normal form, which is `file:///a/{HEX}.png`"),
        ),
        (text(&"x-a b\n".repeat(2000)), "Line 1351 of the pointer goes beyond the 8192 bytes that a pointer may have".to_owned()),
    ];
    for (bytes, message) in table {
        assert_eq!(fault(bytes.as_bytes()), message, "{bytes:.200}");
    }
    let mut not_text = text("").into_bytes();
    not_text.extend(b"x-a \xff\n");
    assert_eq!(fault(&not_text), "Line 4 of the pointer has a character that is no printable text");
}

#[test]
fn the_largest_size_is_accepted() {
    let bytes = text("").replace("12345", "9223372036854775807");
    let pointer = Parsed::of(bytes.as_bytes()).pointer().expect("a pointer");
    assert_eq!(pointer.size(), i64::MAX as u64);
}

#[test]
fn newer_versions_and_content_are_told_apart() {
    for newer in
        ["git-lake pointer v2\n", "git-lake pointer v10\r\nanything", "git-lake pointer v2"]
    {
        assert_eq!(Parsed::of(newer.as_bytes()), Parsed::Newer, "{newer}");
    }
    for content in [
        "",
        "git-lake pointer",
        "git-lake pointer v",
        "git-lake pointer v1x\n",
        "git-lake pointer v0\n",
        "a\n",
        " git-lake pointer v1\n",
    ] {
        assert_eq!(Parsed::of(content.as_bytes()), Parsed::Content, "{content}");
    }
}

#[test]
fn a_name_that_is_not_the_oid_is_damage_in_a_sha256_lake_only() {
    let other = format!("source file:///a/{}.png\n", "0".repeat(64));
    let bytes = text("x-a b\n") + &source("file:///b") + &other;
    let pointer = Parsed::of(bytes.as_bytes()).pointer().expect("well-formed");
    let error = pointer.check_names(|_| Some(HashName::Sha256)).expect_err("another object");
    assert_eq!(error, PointerError { line: 6, reason: PointerFault::OtherObject });
    assert_eq!(pointer.check_names(|_| Some(HashName::Sha3_256)), Ok(()));
    assert_eq!(pointer.check_names(|_| None), Ok(()));
}

#[test]
fn a_stream_is_content_as_soon_as_it_differs() {
    assert!(may_be_pointer(b"") && may_be_pointer(b"git-l") && may_be_pointer(text("").as_bytes()));
    assert!(!may_be_pointer(b"g1t") && !may_be_pointer(b"\x89PNG"));
}

fn pointers() -> impl Strategy<Value = Pointer> {
    let lake = prop_oneof![
        "[a-z][a-z0-9]{0,7}(:[1-9][0-9]{0,3})?".prop_map(|host| format!("s3://{host}/bucket")),
        "[a-zA-Z0-9+ %\u{e4}~_.-]{1,12}"
            .prop_map(|folder| format!("file:///mnt/x{}", folder.replace('%', "%25"))),
    ];
    let extra = "x-[a-z]{1,8} [ -~]{1,20}".prop_map(String::into_boxed_str);
    (
        any::<[u8; 32]>(),
        1..=i64::MAX as u64,
        prop::collection::vec(extra, 0..3),
        prop::collection::vec(lake, 0..4),
    )
        .prop_map(|(digest, size, extras, lakes)| {
            let oid = Oid::from_bytes(digest);
            let source = |lake: &String| {
                let name = crate::object_name::ObjectName::new(&oid.into(), b"a.npy");
                crate::lake_url::LakeUrl::parse(lake).expect("an address").source(name)
            };
            let mut pointer = Pointer::new(oid, size, Vec::new()).expect("a size");
            pointer.extras = extras;
            pointer.with_sources(lakes.iter().map(source).collect()).expect("short")
        })
}

proptest! {
    #[test]
    fn parse_of_write_is_identity(pointer in pointers()) {
        let bytes = pointer.to_bytes();
        prop_assert_eq!(Parsed::of(&bytes), Parsed::Pointer(pointer, Canonical::Yes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        let mut with_magic = b"git-lake pointer v1\n".to_vec();
        with_magic.extend(&bytes);
        for bytes in [&bytes, &with_magic] {
            if let Parsed::Damaged(error) = Parsed::of(bytes) {
                prop_assert!(error.line <= bytes.split(|byte| *byte == b'\n').count());
            }
        }
    }

    #[test]
    fn a_canonical_pointer_has_no_other_encoding(pointer in pointers(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = pointer.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Parsed::Pointer(other, Canonical::Yes) = Parsed::of(&bytes) {
            prop_assert_eq!(other.to_bytes(), bytes);
        }
    }
}
