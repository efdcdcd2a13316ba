//! The files of the demo: real images and arrays, the same on every machine.

use std::io::Write as _;
use std::path::Path;

use crate::fs::{IoContext as _, PathError};

/// How many images there are.
pub(super) const IMAGES: usize = 40;
/// Width and height of an image, in pixels.
const SIDE: usize = 96;
/// How many small arrays there are.
pub(super) const ARRAYS: usize = 6;
/// Rows and columns of the one large array: 6 MiB of numbers.
const FEATURES: [usize; 2] = [4096, 384];
/// Longest stored block of deflate (RFC 1951, 3.2.4).
const STORED_BLOCK_BYTES: usize = 65_535;

/// Writes the dataset into a folder that exists: `images/`, `depth/`, `features.npy`, `labels.csv`.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write(folder: &Path) -> Result<(), PathError> {
    for name in ["images", "depth"] {
        let path = folder.join(name);
        std::fs::create_dir(&path).context(&path)?;
    }
    let mut labels = String::from("image,shape,size\n");
    for number in 0..IMAGES {
        let (shape, radius) = (number % SHAPES.len(), 12 + number % 30);
        let name = format!("images/{number:04}.png");
        let pixels = draw(number, shape, radius);
        create(&folder.join(&name), &png(SIDE as u32, SIDE as u32, &pixels))?;
        labels.push_str(&format!("{name},{},{radius}\n", SHAPES[shape]));
    }
    for number in 0..ARRAYS {
        let path = folder.join(format!("depth/{number:04}.npy"));
        create(&path, &npy([SIDE, SIDE], number as u32))?;
    }
    create(&folder.join("features.npy"), &npy(FEATURES, 99))?;
    create(&folder.join("labels.csv"), labels.as_bytes())
}

/// Writes a file that was not there. Not synced: the demo can be run again.
fn create(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = std::fs::File::create_new(path).context(path)?;
    file.write_all(bytes).context(path)
}

const SHAPES: [&str; 3] = ["disc", "square", "stripes"];

/// Draws a shape on a gradient, as rows of red, green and blue.
fn draw(number: usize, shape: usize, radius: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (dx, dy) = (x.abs_diff(SIDE / 2), y.abs_diff(SIDE / 2));
            let is_inside = match shape {
                0 => dx * dx + dy * dy < radius * radius,
                1 => dx.max(dy) < radius,
                _ => (x + y) / 8 % 2 == 0 && dy < radius,
            };
            let lit = if is_inside { 255 } else { 40 };
            pixels.extend([(x * 2) as u8, (y * 2 + number) as u8, lit]);
        }
    }
    pixels
}

/// Encodes rows of 8-bit red, green and blue as PNG, without compressing them.
fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut rows = Vec::with_capacity(pixels.len() + height as usize);
    for row in pixels.chunks(width as usize * 3) {
        // Filter type 0: the row as it is.
        rows.push(0);
        rows.extend(row);
    }
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // 8 bits a channel, red-green-blue, and the only methods that PNG has; not interlaced.
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", zlib(&rows)), (b"IEND", Vec::new())] {
        file.extend((data.len() as u32).to_be_bytes());
        let begin = file.len();
        file.extend(kind);
        file.extend(data);
        let check = crc32(&file[begin..]);
        file.extend(check.to_be_bytes());
    }
    file
}

/// Wraps bytes as a zlib stream of stored blocks (RFC 1950, RFC 1951).
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(STORED_BLOCK_BYTES).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(bytes).to_be_bytes());
    stream
}

fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65_521;
    let step = |(a, b): (u32, u32), byte: &u8| {
        let a = (a + u32::from(*byte)) % BASE;
        (a, (b + a) % BASE)
    };
    let (a, b) = bytes.iter().fold((1, 0), step);
    b << 16 | a
}

/// The checksum of a chunk, as PNG's appendix D has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |mut crc: u32, byte: &u8| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        }
        crc
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// Encodes a matrix of noise as a NumPy file of 32-bit floats.
fn npy(shape: [usize; 2], seed: u32) -> Vec<u8> {
    let [rows, columns] = shape;
    let text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version and length take 10 bytes; the data begin at a multiple of 64.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{text:<width$}\n", width = length - 1).bytes());
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    for _ in 0..rows * columns {
        // Marsaglia's xorshift: looks like measured data to whoever would compress it.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        file.extend((state as f32 / u32::MAX as f32).to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_their_published_values() {
        // The check value of CRC-32/ISO-HDLC, and the chunk that ends every PNG file.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn a_pixel_becomes_a_whole_image() {
        let bytes = png(1, 1, &[255, 0, 0]);
        let expected: &[&[u8]] = &[
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde",
            b"\0\0\0\x0fIDAT\x78\x01\x01\x04\0\xfb\xff\0\xff\0\0\x03\x01\x01\0",
        ];
        assert!(bytes.starts_with(&expected.concat()), "{bytes:x?}");
        assert!(bytes.ends_with(b"\0\0\0\0IEND\xaeB\x60\x82"));
    }

    #[test]
    fn long_data_are_cut_into_blocks_and_only_the_last_one_says_so() {
        let stream = zlib(&vec![7; STORED_BLOCK_BYTES + 1]);
        assert_eq!(stream[2..7], [0, 0xff, 0xff, 0, 0]);
        let second = &stream[7 + STORED_BLOCK_BYTES..];
        assert_eq!(second[..6], [1, 1, 0, 0xfe, 0xff, 7]);
        assert_eq!(second.len(), 6 + 4, "then the checksum");
    }

    #[test]
    fn numbers_of_an_array_begin_at_a_multiple_of_64() {
        let file = npy([3, 5], 1);
        let length = usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((10 + length) % 64, 0);
        assert_eq!(file[10 + length - 1], b'\n');
        assert_eq!(file.len(), 10 + length + 3 * 5 * 4);
    }

    #[test]
    fn every_file_has_other_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path()).expect("writes");
        let mut seen = std::collections::HashSet::new();
        for folder in ["images", "depth"] {
            for entry in std::fs::read_dir(dir.path().join(folder)).expect("lists").flatten() {
                assert!(seen.insert(std::fs::read(entry.path()).expect("reads")));
            }
        }
        assert_eq!(seen.len(), IMAGES + ARRAYS);
        assert!(dir.path().join("labels.csv").exists());
    }
}
