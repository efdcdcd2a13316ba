//! What runs for each file or each byte: `cargo bench`.
//!
//! Nothing is asserted of times. Numbers of this and of other machines: `docs/benchmarks.md`.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "nothing runs but measurements"
)]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use git_lake::digest::{HashName, Hasher};
use git_lake::filter::pktline::{MAX_PAYLOAD_BYTES, Packet, PacketReader};
use git_lake::filter::protocol::Connection;
use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;
use git_lake::oid::Oid;
use git_lake::pointer::{Parsed, Pointer};
use git_lake::repo::index::Index;
use git_lake::repo::index_stat::{self, StatChange, StatUpdate};
use git_lake::repo_path::RepoPath;

fn main() {
    divan::main();
}

/// Hashing: bytes as they pass, in pieces as they come.
mod hash {
    use super::*;

    const BYTES: usize = 8 << 20;

    fn hash(bencher: Bencher<'_, '_>, hashes: &[HashName]) {
        let content = vec![7; BYTES];
        bencher.counter(BytesCount::new(BYTES)).bench(|| {
            let mut hasher = Hasher::new(hashes);
            content.chunks(64 << 10).for_each(|piece| hasher.update(black_box(piece)));
            hasher.finish()
        });
    }

    #[divan::bench]
    fn sha256(bencher: Bencher<'_, '_>) {
        hash(bencher, &[]);
    }

    #[divan::bench]
    fn sha256_and_blake2b(bencher: Bencher<'_, '_>) {
        hash(bencher, &[HashName::Blake2b]);
    }

    #[divan::bench]
    fn sha256_of_20_kib(bencher: Bencher<'_, '_>) {
        let content = vec![7; 20 << 10];
        bencher.counter(BytesCount::new(content.len())).bench(|| Oid::of(black_box(&content)));
    }
}

/// The conversation with git.
mod packets {
    use super::*;

    const BYTES: usize = 8 << 20;

    fn written() -> Vec<u8> {
        let mut packets = Vec::new();
        for piece in vec![7; BYTES].chunks(MAX_PAYLOAD_BYTES) {
            packets.extend(format!("{:04x}", piece.len() + 4).bytes());
            packets.extend(piece);
        }
        packets.extend(b"0000");
        packets
    }

    #[divan::bench]
    fn read_content(bencher: Bencher<'_, '_>) {
        let packets = written();
        bencher.counter(BytesCount::new(BYTES)).bench(|| {
            let mut reader = PacketReader::new(Cursor::new(&packets));
            let mut read = 0;
            while let Packet::Data(bytes) = reader.read_packet().expect("well formed") {
                read += black_box(bytes).len();
            }
            read
        });
    }

    /// A request of `git add` for a file of 20 KiB, and the pointer as the answer.
    #[divan::bench]
    fn one_request(bencher: Bencher<'_, '_>) {
        let mut request = Vec::new();
        let content = [7; 20 << 10];
        for line in ["command=clean\n", "pathname=train/images/000123.png\n"] {
            request.extend(format!("{:04x}{line}", line.len() + 4).bytes());
        }
        request.extend(b"0000");
        request.extend(format!("{:04x}", content.len() + 4).bytes());
        request.extend(content);
        request.extend(b"0000");
        bencher.bench(|| {
            let mut connection = Connection::new(Cursor::new(&request), Vec::new());
            let asked = connection.next_request().expect("well formed");
            let mut read = 0;
            while let Some(bytes) = connection.content().expect("well formed") {
                read += black_box(bytes).len();
            }
            connection.answer(&[7; 200]).expect("memory takes all");
            (asked, read)
        });
    }
}

/// Pointers, as git holds them.
mod pointers {
    use super::*;

    pub(super) fn pointer(at: u32) -> Pointer {
        let oid = Oid::of(&at.to_le_bytes());
        let lakes = ["s3://minio.example.com:9000/datasets", "file:///mnt/nas/lake"];
        let sources = lakes.map(|lake| {
            let lake = LakeUrl::parse(lake).expect("an address");
            lake.source(ObjectName::new(&oid.into(), b"x.png"))
        });
        Pointer::new(oid, 20_000 + u64::from(at), sources.into()).expect("a pointer")
    }

    #[divan::bench]
    fn read(bencher: Bencher<'_, '_>) {
        let text = pointer(1).to_bytes();
        bencher.bench(|| Parsed::of(black_box(&text)));
    }

    #[divan::bench]
    fn write(bencher: Bencher<'_, '_>) {
        let pointer = pointer(1);
        bencher.bench(|| black_box(&pointer).to_bytes());
    }

    #[divan::bench]
    fn look_at_content(bencher: Bencher<'_, '_>) {
        let content = [0x89; 8192];
        bencher.bench(|| Parsed::of(black_box(&content)));
    }
}

/// An index of ten thousand entries, as git wrote it.
mod index {
    use super::*;

    const ENTRIES: usize = 10_000;

    struct Case {
        dir: tempfile::TempDir,
    }

    impl Case {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a folder");
            let git = |args: &[&str], input: &str| {
                let mut child = Command::new("git")
                    .args(args)
                    .current_dir(dir.path())
                    .stdin(Stdio::piped())
                    .spawn()
                    .expect("git starts");
                let mut stdin = child.stdin.take().expect("a pipe");
                std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("git reads");
                drop(stdin);
                assert!(child.wait().expect("git ends").success());
            };
            git(&["init", "-q"], "");
            let entries: String = (0..ENTRIES)
                .map(|at| {
                    format!("100644 {:040x}\ttrain/images/batch-{}/{at:06}.png\n", at + 1, at % 100)
                })
                .collect();
            git(&["update-index", "--index-info"], &entries);
            Self { dir }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join(".git/index")
        }
    }

    fn read_index(path: &Path) -> Index {
        Index::read(path, 20).expect("an index")
    }

    #[divan::bench]
    fn read(bencher: Bencher<'_, '_>) {
        let case = Case::new();
        bencher.counter(ItemsCount::new(ENTRIES)).bench(|| {
            let index = read_index(&case.path());
            index.entries().filter(|entry| entry.kind.is_file()).count()
        });
    }

    #[divan::bench]
    fn patch_all(bencher: Bencher<'_, '_>) {
        let case = Case::new();
        let index = read_index(&case.path());
        let metadata = std::fs::metadata(case.path()).expect("a file");
        let change = |entry: git_lake::repo::index::Entry<'_>| StatChange {
            path: RepoPath::parse(entry.path).expect("a path"),
            id: entry.id,
            stat: StatUpdate::Of(metadata.clone()),
        };
        let changes: Vec<StatChange> = index.entries().map(change).collect();
        bencher.counter(ItemsCount::new(ENTRIES)).bench(|| {
            index_stat::patch(&case.path(), 20, &changes, Duration::ZERO).expect("not locked")
        });
    }
}
