//! How long a dataset takes into a lake and back, beside pipelime, start-up included.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::dataset::place;
use crate::common::{Repo, TestEnv};

const ROUNDS: usize = 7;

/// Samples that pipelime can decode: an image of noise, which stays its size, and a table.
const GENERATE: &str = r#"
import zlib, struct, random, os
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
os.makedirs("in/data")
for at in range(500):
    noise = random.Random(at)
    rows = b"".join(b"\0" + noise.randbytes(3 * 138) for _ in range(138))
    head = struct.pack(">IIBBBBB", 138, 138, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with open(f"in/data/{at:03}_image.png", "wb") as image:
        image.write(b"\x89PNG\r\n\x1a\n" + chunks)
    with open(f"in/data/{at:03}_pose.txt", "w") as table:
        table.write("1.0 0.0 0.0 2.5\n0.0 1.0 0.0 3.5\n")
"#;

fn time(place: &Repo, program: &str, runs: &[&[&str]]) -> Duration {
    let begun = Instant::now();
    for args in runs {
        let ran = place.run(program, *args);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    }
    begun.elapsed()
}

#[test]
#[ignore = "a measurement: run it alone, with --release, --nocapture and GIT_LAKE_TEST_PIPELIME"]
#[expect(clippy::print_stdout, reason = "somebody reads it")]
fn five_hundred_samples_to_a_folder_and_back() {
    let pipelime = std::env::var("GIT_LAKE_TEST_PIPELIME").expect("the program of pipelime");
    let python = Path::new(&pipelime).with_file_name("python");
    let env = TestEnv::new();
    let place = place(&env);
    let made = place.run(python.to_str().unwrap(), ["-c", GENERATE]);
    assert_eq!(made.code, Some(0), "{made:#?}");
    println!("in {}: seconds of pipelime / git-lake", place.path.display());
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|round| compare(&place, &pipelime, round)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("least {:.1}, median {:.1} times faster", ratios[0], ratios[ROUNDS / 2]);
}

#[expect(clippy::print_stdout, reason = "somebody reads it")]
fn compare(place: &Repo, pipelime: &str, round: usize) -> f64 {
    let name = |what: &str| format!("{what}{round}");
    let shared = format!("file://{}/{}", place.path.display(), name("their-lake"));
    let (theirs, their_back) = (name("theirs"), name("their-back"));
    let add = ["--no-ui", "remote-add", "+i", "in", "+o", &theirs, "+r", &shared];
    let keep = "+o.serialization.disable._";
    let clone = ["--no-ui", "clone", "+i", &theirs, "+o.folder", &their_back, keep, "REMOTE_FILE"];
    let slow = time(place, pipelime, &[&add, &clone]);
    let (lake, ours, back) = (name("lake"), name("ours"), name("back"));
    let add = ["remote-add", "-i", "in", "-o", &ours, "-r", &lake];
    let clone = ["clone", "-i", &ours, "-o", &back];
    let fast = time(place, "git-lake", &[&add, &clone]);
    for folder in [&theirs, &their_back, &ours, &back] {
        assert_eq!(place.files(folder).len(), 1000, "{folder}");
    }
    let image = "data/123_image.png";
    place.has(format!("{back}/{image}"), place.read(format!("in/{image}")));
    let ratio = slow.as_secs_f64() / fast.as_secs_f64();
    println!("{:.3} / {:.3} = {ratio:.1}", slow.as_secs_f64(), fast.as_secs_f64());
    ratio
}
