//! Width and height of images, as their headers have them.

/// Returns the format and, where the bytes reach so far, width and height.
pub(super) fn of(head: &[u8]) -> Option<(&'static str, Option<(u32, u32)>)> {
    const FORMATS: [(&str, Reader); 6] =
        [("PNG", png), ("JPEG", jpeg), ("GIF", gif), ("BMP", bmp), ("TIFF", tiff), ("WebP", webp)];
    FORMATS.iter().find_map(|(format, read)| Some((*format, read(head)?.dimensions)))
}

/// Reads the header of one format; `None` if the bytes are of another.
type Reader = fn(&[u8]) -> Option<Found>;

/// The format was recognised.
#[derive(Default)]
struct Found {
    dimensions: Option<(u32, u32)>,
}

impl Found {
    fn with(width: Option<u32>, height: Option<u32>) -> Self {
        Self { dimensions: width.zip(height) }
    }
}

/// Which byte of a number comes first.
#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

fn u16_at(head: &[u8], at: usize, order: Order) -> Option<u32> {
    let bytes = head.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(u32::from(match order {
        Order::Big => u16::from_be_bytes(bytes),
        Order::Little => u16::from_le_bytes(bytes),
    }))
}

fn u32_at(head: &[u8], at: usize, order: Order) -> Option<u32> {
    let bytes = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(match order {
        Order::Big => u32::from_be_bytes(bytes),
        Order::Little => u32::from_le_bytes(bytes),
    })
}

fn png(head: &[u8]) -> Option<Found> {
    head.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    if head.get(12..16) != Some(b"IHDR") {
        return Some(Found::default());
    }
    Some(Found::with(u32_at(head, 16, Order::Big), u32_at(head, 20, Order::Big)))
}

/// Walks the segments up to the first frame header (ITU-T T.81, B.1.1.3).
fn jpeg(head: &[u8]) -> Option<Found> {
    head.strip_prefix(b"\xff\xd8\xff")?;
    let frame = || {
        let mut at = 2_usize;
        loop {
            if *head.get(at)? != 0xff {
                return None;
            }
            let marker = *head.get(at + 1)?;
            match marker {
                // Any number of fill bytes may stand before a marker.
                0xff => at += 1,
                // Markers without a segment.
                0x01 | 0xd0..=0xd8 => at += 2,
                // The frame headers: all of this range but DHT, JPG and DAC.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    let height = u16_at(head, at + 5, Order::Big)?;
                    return Some((u16_at(head, at + 7, Order::Big)?, height));
                }
                // Image data begins: there is no header any more.
                0xd9 | 0xda => return None,
                _ => {
                    let len = u16_at(head, at + 2, Order::Big)?;
                    at = at.checked_add(2)?.checked_add(usize::try_from(len).ok()?)?;
                }
            }
        }
    };
    Some(Found { dimensions: frame() })
}

fn gif(head: &[u8]) -> Option<Found> {
    if !head.starts_with(b"GIF87a") && !head.starts_with(b"GIF89a") {
        return None;
    }
    Some(Found::with(u16_at(head, 6, Order::Little), u16_at(head, 8, Order::Little)))
}

fn bmp(head: &[u8]) -> Option<Found> {
    head.strip_prefix(b"BM")?;
    // Two letters are little to go by: the four bytes after the size are zero in any real file.
    if u32_at(head, 6, Order::Little)? != 0 {
        return None;
    }
    match u32_at(head, 14, Order::Little)? {
        12 => Some(Found::with(u16_at(head, 18, Order::Little), u16_at(head, 20, Order::Little))),
        40 | 52 | 56 | 64 | 108 | 124 => {
            // A negative height says that rows go from the top to the bottom.
            let height = u32_at(head, 22, Order::Little);
            let height = height.map(|height| height.cast_signed().unsigned_abs());
            Some(Found::with(u32_at(head, 18, Order::Little), height))
        }
        _ => None,
    }
}

/// Reads the first directory, if it lies within the first bytes.
fn tiff(head: &[u8]) -> Option<Found> {
    const WIDTH: u32 = 256;
    const HEIGHT: u32 = 257;
    const SHORT: u32 = 3;
    let order = match head.get(..4)? {
        b"II*\0" => Order::Little,
        b"MM\0*" => Order::Big,
        _ => return None,
    };
    let directory = usize::try_from(u32_at(head, 4, order)?).ok()?;
    let count = u16_at(head, directory, order).unwrap_or_default() as usize;
    let value = |wanted: u32| {
        let mut entries = (0..count).map_while(|number| {
            let at = directory.checked_add(2 + 12 * number)?;
            Some((at, u16_at(head, at, order)?))
        });
        let (at, _) = entries.find(|(_, tag)| *tag == wanted)?;
        match u16_at(head, at + 2, order)? {
            SHORT => u16_at(head, at + 8, order),
            _ => u32_at(head, at + 8, order),
        }
    };
    Some(Found::with(value(WIDTH), value(HEIGHT)))
}

fn webp(head: &[u8]) -> Option<Found> {
    if !head.starts_with(b"RIFF") || head.get(8..12) != Some(b"WEBP") {
        return None;
    }
    let low = |at: usize, mask: u32| u16_at(head, at, Order::Little).map(|value| value & mask);
    Some(match head.get(12..16) {
        // A key frame: its start code, then 14 bits each (RFC 6386, 9.1).
        Some(b"VP8 ") if head.get(23..26) == Some(b"\x9d\x01\x2a") => {
            Found::with(low(26, 0x3fff), low(28, 0x3fff))
        }
        // 14 bits each, less one, after a signature.
        Some(b"VP8L") if head.get(20) == Some(&0x2f) => {
            let bits = u32_at(head, 21, Order::Little);
            let part = |shift: u32| bits.map(|bits| ((bits >> shift) & 0x3fff) + 1);
            Found::with(part(0), part(14))
        }
        // 24 bits each, less one.
        Some(b"VP8X") => {
            let part = |at: usize| {
                let (low, high) = (u16_at(head, at, Order::Little)?, *head.get(at + 2)?);
                Some((low | u32::from(high) << 16) + 1)
            };
            Found::with(part(24), part(27))
        }
        _ => Found::default(),
    })
}
