//! Commits of many pointers, without any content here.

use git_lake::oid::Oid;

use super::Repo;

/// Commits a pointer for each content, in the order of their numbers, as if they had been added: `.bin` files,
/// a thousand in a folder, whose one source is in the lake at an address.
pub(crate) fn commit_pointers(repo: &Repo, lake: &str, contents: impl Iterator<Item = String>) {
    let mut stream =
        String::from("commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 0\n");
    for (at, content) in contents.enumerate() {
        let (oid, size) = (Oid::of(content.as_bytes()).to_hex(), content.len());
        let pointer = format!(
            "git-lake pointer v1\noid sha256:{oid}\nsize {size}\nsource {lake}/{oid}.bin\n"
        );
        let path = format!("{:03}/{at}.bin", at / 1000);
        stream += &format!("M 100644 inline {path}\ndata {}\n{pointer}\n", pointer.len());
    }
    let attributes = "*.bin filter=lake -text\n";
    stream += &format!("M 100644 inline .gitattributes\ndata {}\n{attributes}\n", attributes.len());
    let ran = repo.feed("git", &["fast-import", "--quiet", "--force"], stream.as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
