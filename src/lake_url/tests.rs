//! Addresses that are stored: what is accepted, and what is said of the rest.

use super::*;

#[test]
fn accepted_forms_and_their_normal_form() {
    let table = [
        ("file:///mnt/lake", "file:///mnt/lake"),
        ("FILE://localhost/mnt//lake/", "file:///mnt/lake"),
        ("file://127.0.0.1/mnt/./lake", "file:///mnt/lake"),
        ("file:///mnt/my lake", "file:///mnt/my%20lake"),
        ("file:///mnt/a%2bb", "file:///mnt/a%2Bb"),
        ("file:///mnt/a+b", "file:///mnt/a%2Bb"),
        ("file:///mnt/%6cake", "file:///mnt/lake"),
        ("file:///mnt/l\u{e4}ke", "file:///mnt/l%C3%A4ke"),
        ("s3://Minio.Example.com:9000/datasets/", "s3://minio.example.com:9000/datasets"),
        ("s3://h/my.bucket/a/b", "s3://h/my.bucket/a/b"),
        ("s3://[::1]:9000/b", "s3://[::1]:9000/b"),
        ("s3://[0:0:0:0:0:0:0:1]:9000/b", "s3://[::1]:9000/b"),
        ("s3://h/b/my folder", "s3://h/b/my%20folder"),
    ];
    for (text, normal) in table {
        let url = LakeUrl::parse(text).expect(text);
        assert_eq!(url.to_string(), normal);
        assert_eq!(LakeUrl::parse(normal), Ok(url), "normal form is a fixed point");
    }
}

#[test]
fn refused_forms_and_what_is_said() {
    let table = [
        (
            "/mnt/lake",
            "`/mnt/lake` is not a kind of lake: an address begins with `file:///` or `s3://`",
        ),
        ("https://h/b", "The address of a bucket begins with `s3://`: write `s3://h/b`"),
        (
            "http://u:p@h/b?c",
            "The address of a bucket begins with `s3://`: write `s3://h/b`, and `secure = false` beside it",
        ),
        (
            "file://nas/share",
            "A folder's address names no host (`nas`): write `file:///` and the path",
        ),
        ("file:///", "The address names no folder: write `file:///` and the whole path"),
        ("file:///a/../b", "The path holds `..` or a control character"),
        ("file:///a%0ab", "The path holds `..` or a control character"),
        ("file:///a%2f%2e%2e%2fb", "The path holds `..` or a control character"),
        (
            "s3://bucket",
            "The address names no bucket: the long form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`, for AWS `s3://s3.us-east-1.amazonaws.com/bucket`",
        ),
        ("s3://u:p@h/b", "An address that is stored holds no user or password"),
        (
            "s3://h/b?secure=false",
            "An address that is stored holds no `?options` and no `#fragment`",
        ),
        ("s3://-oProxy/b", "`-oproxy` is not a host name with an optional port"),
        ("s3://h:99999/b", "`h:99999` is not a host name with an optional port"),
        ("s3:///b", "The address names no host: the form is `s3://HOST[:PORT]/BUCKET[/PREFIX]`"),
        (
            "s3://169.254.169.254/b",
            "`169.254.169.254` is a link-local or metadata address, which git-lake never asks",
        ),
        ("s3://h/%ff", "The path is not UTF-8, as names in a bucket are"),
        ("s3://h:SECRET/b", "`h` is not a host name with an optional port"),
    ];
    for (text, message) in table {
        let error = LakeUrl::parse(text).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
    }
    let error = LakeUrl::parse("s3:/user:secret@h/b").expect_err("no scheme");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_plain_path_is_a_folder_address() {
    let here = Path::new("/work");
    let parse = |text| LakeUrl::from_argument(text, here).expect(text).to_string();
    assert_eq!(parse("/mnt/lake/"), "file:///mnt/lake");
    assert_eq!(parse("../lake"), "file:///lake");
    assert_eq!(parse("my lake+"), "file:///work/my%20lake%2B");
    let url = LakeUrl::from_argument("my lake+", here).expect("a folder");
    assert_eq!(url.folder(), Some(PathBuf::from("/work/my lake+")));
}

#[test]
fn a_source_must_be_normal() {
    let name = format!("{}.png", "0".repeat(64));
    let good = format!("s3://h:9000/b/{name}");
    assert_eq!(SourceUrl::parse_normal(&good).expect("normal").to_string(), good);
    let error = SourceUrl::parse_normal(&format!("s3://H:9000/b/{name}")).expect_err("case");
    assert_eq!(error, ParseUrlError::NotNormal(good));
    assert!(SourceUrl::parse_normal("s3://h/b/x.png").is_err());
    assert!(SourceUrl::parse_normal(&name).is_err());
}

#[test]
fn a_bucket_and_its_prefix_are_decoded() {
    let table = [
        ("s3://h:9000/b", "b", ""),
        ("s3://h/my.bucket/a%20b/c", "my.bucket", "a b/c/"),
        ("s3://s3.eu-west-1.amazonaws.com/b/x", "b", "x/"),
        ("s3://b.s3.eu-west-1.amazonaws.com/x/y", "b", "x/y/"),
    ];
    for (text, bucket, prefix) in table {
        let found = LakeUrl::parse(text).expect(text).bucket();
        assert_eq!(found, Some((bucket.to_owned(), prefix.to_owned())), "{text}");
    }
    let url = |text| LakeUrl::parse(text).expect(text);
    assert_eq!(url("file:///mnt/lake").bucket(), None);
    assert_eq!((url("s3://h:9000/b").port(), url("s3://h/b").port()), (Some(9000), None));
    assert!(url("s3://127.0.0.1:9000/b").is_loopback_host());
    assert!(!url("s3://h/b").is_loopback_host() && !url("file:///mnt").is_loopback_host());
}

#[test]
fn sources_of_many_lakes_in_turn_keep_their_own() {
    let name = format!("{}.bin", "0".repeat(64));
    let texts: Vec<String> = (0..30).map(|n| format!("file:///lakes/{n}/{name}")).collect();
    for text in texts.iter().chain(&texts).chain(texts.iter().rev()) {
        assert_eq!(SourceUrl::parse_normal(text).unwrap().to_string(), *text);
        let slash = text.replace("/lakes/", "/lakes//");
        assert_eq!(SourceUrl::parse_normal(&slash), Err(ParseUrlError::NotNormal(text.clone())));
    }
}
