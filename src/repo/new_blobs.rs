//! Writing blobs into git's object database, many thousands at once.

use super::process::{self, Git};
use super::{BlobId, Error as RepoError, Repo};

/// Says why blobs could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Git could not be run, or failed.
    #[error(transparent)]
    Git(#[from] process::Error),
    /// A blob has no id.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl Repo {
    /// Writes blobs and returns their ids, in order; durable as git makes its objects.
    ///
    /// One `git fast-import` takes them all: a hundred or more become one pack, fewer become loose
    /// objects (`fastimport.unpackLimit`). What is there already is not written again into a pack.
    ///
    /// # Errors
    /// If git fails; some of them may have been written then, which does no harm.
    pub fn write_blobs<C: AsRef<[u8]>>(
        &self,
        contents: impl IntoIterator<Item = C>,
    ) -> Result<Vec<BlobId>, Error> {
        let mut contents = contents.into_iter().peekable();
        if contents.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut ids = Vec::new();
        Git::of(self)?.feed(&["fast-import", "--quiet", "--done"], |to_git| {
            for content in contents {
                let content = content.as_ref();
                ids.push(self.blob_id_of(content));
                write!(to_git, "blob\ndata {}\n", content.len())?;
                to_git.write_all(content)?;
                to_git.write_all(b"\n")?;
            }
            // Without it a stream that was cut off would look like a whole one.
            to_git.write_all(b"done\n")
        })?;
        Ok(ids.into_iter().collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::repo::Blob;
    use crate::repo::testing::TestRepo;

    #[test]
    fn blobs_are_written_with_their_bytes_whatever_these_are() {
        for args in [&[][..], &["--object-format=sha256"]] {
            let test = TestRepo::with_args(args);
            let mut contents: Vec<Vec<u8>> =
                (0..150).map(|n| format!("blob {n}\n").into()).collect();
            contents.push(b"done\nblob\ndata 7\n\0\xff".to_vec());
            contents.push(contents[0].clone());
            let ids = test.open().write_blobs(&contents).expect("writes");
            let repo = test.open();
            for (id, content) in ids.iter().zip(&contents) {
                assert_eq!(
                    repo.read_blob(*id, 100).expect("reads"),
                    Blob::Content(content.clone())
                );
            }
            assert!(test.run(&["count-objects", "-v"]).contains("packs: 1"));
            assert_eq!(repo.write_blobs(&[] as &[Vec<u8>]).expect("nothing"), []);
            assert_eq!(test.run(&["fsck", "--strict", "--no-dangling"]), "");
        }
    }
}
