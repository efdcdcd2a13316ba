//! What kind of file some content is, by its first bytes: its format, and where those bytes say so the
//! dimensions of an image or the shape of an array.
//!
//! Owns the magic numbers. Pure; never more than [`HEAD_BYTES`] are looked at, and no bytes, however
//! wrong, make it panic. It tells people what changed: nothing may rely on it.

use std::fmt;

mod image;
mod npy;
#[cfg(test)]
mod tests;

/// How many bytes of content are enough; of a JPEG with long metadata the dimensions lie behind them.
pub const HEAD_BYTES: usize = 4096;

/// What content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The usual name of the format, such as `PNG`.
    pub format: &'static str,
    /// Width and height of an image, in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// What a `.npy` file holds.
    pub array: Option<Array>,
}

/// The header of an array in NumPy's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// The type of an element as NumPy describes it, such as `<f4`; `structured` for records.
    pub dtype: String,
    /// The length of each axis; empty for a single value.
    pub shape: Vec<u64>,
}

/// What files that have no dimensions begin with.
const MAGIC: &[(&[u8], &str)] = &[
    (b"%PDF-", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"PAR1", "Parquet"),
    (b"ARROW1\0\0", "Arrow"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\x7fELF", "ELF"),
    (b"\x00asm", "WebAssembly"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b"ID3", "MP3"),
    (b"\x1aE\xdf\xa3", "Matroska"),
    (b"glTF", "glTF"),
    (b"ply\n", "PLY"),
    (b"ply\r\n", "PLY"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
];

impl Kind {
    /// Tells the kind of content by its first bytes; `None` if they say nothing.
    pub fn of(head: &[u8]) -> Option<Self> {
        let head = &head[..head.len().min(HEAD_BYTES)];
        let plain = |format| Self { format, dimensions: None, array: None };
        if let Some((format, dimensions)) = image::of(head) {
            return Some(Self { dimensions, ..plain(format) });
        }
        if npy::is_array(head) {
            return Some(Self { array: npy::header(head), ..plain("NPY") });
        }
        if let Some((_, format)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Some(plain(format));
        }
        let four = |at: usize| head.get(at..at + 4);
        match (four(0), four(4), four(8)) {
            (_, Some(b"ftyp"), _) => Some(plain("MP4")),
            (Some(b"RIFF"), _, Some(b"WAVE")) => Some(plain("WAV")),
            (Some(b"RIFF"), _, Some(b"AVI ")) => Some(plain("AVI")),
            _ if head.get(257..262) == Some(b"ustar") => Some(plain("tar")),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.format)?;
        if let Some((width, height)) = self.dimensions {
            write!(f, " {width}x{height}")?;
        }
        if let Some(Array { dtype, shape }) = &self.array {
            let axes: Vec<String> = shape.iter().map(u64::to_string).collect();
            // As Python writes a tuple.
            let comma = if axes.len() == 1 { "," } else { "" };
            write!(f, " {dtype} ({}{comma})", axes.join(", "))?;
        }
        Ok(())
    }
}
