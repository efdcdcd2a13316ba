//! What file names mean in an Underfolder dataset, as pipelime 1.x reads them.
//!
//! `data/<id>_<key>.<ext>` is an item of the sample `<id>`; a file beside the folder `data`,
//! `<key>.<ext>`, is an item that all samples share. A dataset has as many samples as its highest id
//! says, and one more; ids that no file has are samples without items of their own. Pure.

mod slice;

pub use slice::{Slice, Step};

/// The folder of a dataset that holds the items of samples.
pub const DATA_FOLDER: &[u8] = b"data";

/// A file of the data folder: an item of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleItem<'a> {
    /// The number of its sample, from 0.
    pub id: u64,
    /// What the item is among those of its sample; never has a `.`.
    pub key: &'a [u8],
}

impl<'a> SampleItem<'a> {
    /// Reads the name of a file in the data folder; `None` if it is no item.
    ///
    /// The id ends at the first `_` and is read as Python reads a number: blanks around it, zeros and a
    /// `+` before it do not matter. The key ends at the first `.` and may be empty.
    ///
    /// # Deviation
    /// pipelime accepts an id of `-1` and takes it for the last sample that it has seen so far, which
    /// depends on the order of the folder; here a negative id is no id.
    pub fn parse(file_name: &'a [u8]) -> Option<Self> {
        let at = file_name.iter().position(|byte| *byte == b'_')?;
        let digits = file_name[..at].trim_ascii();
        let digits = digits.strip_prefix(b"+").unwrap_or(digits);
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let id = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
        Some(Self { id, key: key(&file_name[at + 1..]) })
    }
}

/// Returns the key of a file beside the data folder, which all samples share; `None` for a name that
/// begins with a dot, which is no item.
pub fn shared_key(file_name: &[u8]) -> Option<&[u8]> {
    Some(key(file_name)).filter(|key| !key.is_empty())
}

/// Returns what stands before the first dot.
fn key(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_data_folder_are_read_as_python_reads_them() {
        let table: &[(&str, Option<(u64, &str)>)] = &[
            ("0_image.png", Some((0, "image"))),
            ("0002_image.png", Some((2, "image"))),
            ("+1_a.b.c", Some((1, "a"))),
            (" 4_a.txt", Some((4, "a"))),
            ("3_my_key_2.v1.bin", Some((3, "my_key_2"))),
            ("3_.bin", Some((3, ""))),
            ("3_noext", Some((3, "noext"))),
            ("-1_a.txt", None),
            ("x_a.txt", None),
            ("_a.txt", None),
            ("12.txt", None),
            ("+_a.txt", None),
            ("99999999999999999999_a.txt", None),
        ];
        for (name, expected) in table {
            let found = SampleItem::parse(name.as_bytes());
            let expected = expected.map(|(id, key)| SampleItem { id, key: key.as_bytes() });
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_file_beside_the_data_folder_is_shared_unless_it_is_hidden() {
        assert_eq!(shared_key(b"camera.yaml"), Some(&b"camera"[..]));
        assert_eq!(shared_key(b"README"), Some(&b"README"[..]));
        assert_eq!(shared_key(b".gitignore"), None);
    }
}
