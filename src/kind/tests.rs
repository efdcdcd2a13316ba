use proptest::prelude::*;

use super::*;

fn shown(head: &[u8]) -> Option<String> {
    Kind::of(head).map(|kind| kind.to_string())
}

fn is(head: &[u8], text: &str) {
    assert_eq!(shown(head).as_deref(), Some(text));
}

fn npy(version: u8, header: &str) -> Vec<u8> {
    let mut bytes = vec![0x93];
    bytes.extend(b"NUMPY");
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend(u16::try_from(header.len()).expect("short").to_le_bytes()),
        _ => bytes.extend(u32::try_from(header.len()).expect("short").to_le_bytes()),
    }
    bytes.extend(header.bytes());
    bytes
}

fn png(width: u32, height: u32) -> Vec<u8> {
    let sizes = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", &*sizes, b"\x08\x02\0\0\0"].concat()
}

fn webp(chunk: &[u8]) -> Vec<u8> {
    [b"RIFF\x24\0\0\0WEBP", chunk].concat()
}

#[test]
fn images_tell_their_dimensions() {
    is(&png(640, 480), "PNG 640x480");
    is(b"GIF89a\x80\x02\xe0\x01", "GIF 640x480");
    is(b"GIF87a\x01\0\x02\0", "GIF 1x2");
    let bmp = |height: i32| {
        let info = [40i32, 640, height].map(i32::to_le_bytes).concat();
        [b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", &*info].concat()
    };
    is(&bmp(480), "BMP 640x480");
    is(&bmp(-480), "BMP 640x480");
    is(b"BM\x1a\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x03\0\x04\0", "BMP 3x4");
    is(b"II*\0\x08\0\0\0\x02\0\0\x01\x03\0\x01\0\0\0\x80\x02\0\0\x01\x01\x04\0\x01\0\0\0\xe0\x01\0\0", "TIFF 640x480");
    is(b"MM\0*\0\0\0\x08\0\x02\x01\0\0\x03\0\0\0\x01\x02\x80\0\0\x01\x01\0\x04\0\0\0\x01\0\0\x01\xe0", "TIFF 640x480");
    is(&webp(b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x80\x02\xe0\x41"), "WebP 640x480");
    is(&webp(b"VP8L\0\0\0\0\x2f\x7f\xc2\x77\0"), "WebP 640x480");
    is(&webp(b"VP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"), "WebP 640x480");
}

#[test]
fn a_jpeg_tells_its_dimensions_where_its_metadata_is_short() {
    let jpeg = |metadata: usize| {
        let len = u16::try_from(metadata + 2).expect("short").to_be_bytes();
        let app = [b"\xff\xd8\xff\xe1", &len[..], &vec![0; metadata]].concat();
        // A table of codes is no frame header, though its marker is among theirs; then fill bytes.
        [&*app, b"\xff\xc4\0\x04ab\xff\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80\x03"].concat()
    };
    is(&jpeg(10), "JPEG 640x480");
    is(&jpeg(HEAD_BYTES), "JPEG");
    is(b"\xff\xd8\xff\xda\0\x02", "JPEG");
}

#[test]
fn arrays_tell_type_and_shape() {
    let header =
        |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    is(&npy(1, &header("(10, 3)")), "NPY <f4 (10, 3)");
    is(&npy(2, &header("(10,)")), "NPY <f4 (10,)");
    is(&npy(3, &header("()")), "NPY <f4 ()");
    is(&npy(1, "{'shape': (10L, 2L), 'descr': '|u1'}"), "NPY |u1 (10, 2)");
    is(&npy(1, "{'descr': [('x', '<f4')], 'shape': (7,)}"), "NPY structured (7,)");
    for wrong in [
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'shape': (a,)}",
        "{'descr': '<\x1b', 'shape': ()}",
        "",
    ] {
        is(&npy(1, wrong), "NPY");
    }
    is(&npy(9, &header("()")), "NPY");
}

#[test]
fn other_files_tell_their_format() {
    let tar = [vec![b'x'; 257], b"ustar\0".to_vec()].concat();
    let table: &[(&[u8], Option<&str>)] = &[
        (b"%PDF-1.7", Some("PDF")),
        (b"PK\x03\x04..", Some("ZIP")),
        (b"\0\0\0\x20ftypisom", Some("MP4")),
        (b"RIFF....WAVEfmt ", Some("WAV")),
        (&tar, Some("tar")),
        (b"BM is no picture, only a text", None),
        (b"hello", None),
        (b"", None),
    ];
    for (head, expected) in table {
        assert_eq!(shown(head).as_deref(), *expected, "{head:?}");
    }
}

#[test]
fn a_header_that_is_cut_off_tells_the_format_alone() {
    let whole = png(640, 480);
    assert_eq!(shown(&whole[..20]).as_deref(), Some("PNG"));
    let array = npy(1, "{'descr': '<f4', 'shape': (10,)}");
    assert_eq!(shown(&array[..array.len() - 1]).as_deref(), Some("NPY"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(start in 0_usize..12, tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        const STARTS: [&[u8]; 12] = [
            b"", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\xff\xd8\xff", b"GIF89a", b"BM\0\0\0\0\0\0\0\0", b"II*\0",
            b"MM\0*", b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0WEBPVP8L", b"RIFF\0\0\0\0WEBPVP8X",
            b"\x93NUMPY\x01\0", b"\x93NUMPY\x02\0",
        ];
        let bytes = [STARTS[start], &tail].concat();
        if let Some(kind) = Kind::of(&bytes) {
            prop_assert!(kind.to_string().chars().all(|c| !c.is_control()));
        }
    }
}
