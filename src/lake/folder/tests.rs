use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fs::{Shared, unix_now, write_atomic};
use crate::lake::contract::{self, Declares, Sample, Subject};
use crate::lake::{LakeId, Obstacle, Proof, Unobserved};

const WEEK: u64 = 7 * 24 * 60 * 60;

/// A declared lake in a folder of its own.
struct Env {
    dir: tempfile::TempDir,
    lake: FolderLake,
}

impl Env {
    fn undeclared() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let lake = at(&dir.path().join("lake"));
        Self { dir, lake }
    }

    fn new() -> Self {
        let env = Self::undeclared();
        env.declare(None).expect("declares");
        env
    }

    fn declare(&self, wanted: Option<HashName>) -> Result<Declaration, LakeError> {
        self.lake.declare(wanted, Creation::IfParentExists)
    }

    fn base(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    fn tags(&self) -> PathBuf {
        self.base().join(".pl/tags.json")
    }

    fn with_tags(text: &str) -> Self {
        let env = Self::undeclared();
        std::fs::create_dir_all(env.base().join(".pl")).expect("creates");
        put_file(&env.tags(), text.as_bytes());
        env
    }

    fn staged(&self) -> usize {
        let staging = self.base().join(STAGING_FOLDER);
        std::fs::read_dir(staging).map_or(0, Iterator::count)
    }
}

fn at(folder: &Path) -> FolderLake {
    let url = LakeUrl::from_folder(folder).expect("an address");
    FolderLake::new(url, folder.to_owned())
}

fn put_file(path: &Path, bytes: &[u8]) {
    write_atomic(path, bytes, Shared::Yes).expect("writes");
}

fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("reads")
}

fn set_age(path: &Path, seconds: u64) {
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_now() - seconds);
    let file = File::options().write(true).open(path).expect("opens");
    file.set_modified(date).expect("dates");
}

fn age_of(path: &Path) -> u64 {
    let metadata = std::fs::metadata(path).expect("there");
    let modified = info_of(&metadata).modified.expect("a date");
    unix_now().saturating_sub(modified)
}

#[test]
fn it_keeps_the_contract() {
    contract::check_all(&|| {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        let base = dir.path().join("lake");
        let (planted, kept) = (base.clone(), base.join(crate::lake::ASIDE_FOLDER));
        Subject {
            neighbour: None,
            declares: Declares::Must,
            has_one_creator: true,
            lake: Arc::new(at(&base)),
            reopen: Box::new(move || Arc::new(at(&base))),
            aside: Box::new(move || {
                let entries = std::fs::read_dir(&kept).into_iter().flatten();
                entries
                    .map(|entry| std::fs::read(entry.expect("lists").path()).expect("reads"))
                    .collect()
            }),
            plant: Box::new(move |name, bytes| {
                let _keep = &dir;
                std::fs::create_dir_all(&planted).expect("creates");
                put_file(&planted.join(name.as_str()), bytes);
            }),
        }
    });
}

#[test]
fn a_declaration_is_written_as_pipelime_would() {
    let env = Env::new();
    let id = env.lake.declaration().expect("declared").id.expect("an id");
    let expected = format!("{{\"__HASH_FN__\": \"sha256\", \"__LAKE_ID__\": \"{id}\"}}");
    assert_eq!(read_text(&env.tags()), expected);
    let names: Vec<_> = std::fs::read_dir(env.base().join(".pl"))
        .expect("lists")
        .map(|entry| entry.expect("lists").file_name())
        .collect();
    assert_eq!(names, ["tags.json"]);
}

#[test]
fn a_lake_of_pipelime_keeps_its_hash_and_gets_an_id() {
    let env = Env::with_tags("{\"__HASH_FN__\": \"blake2b\"}");
    let before = env.lake.declaration().expect("declared");
    assert_eq!((before.hash, before.id), (HashName::Blake2b, None));
    let id = env.declare(None).expect("keeps it").id.expect("an id");
    let expected = format!("{{\"__HASH_FN__\": \"blake2b\", \"__LAKE_ID__\": \"{id}\"}}");
    assert_eq!(read_text(&env.tags()), expected);
    assert_eq!(env.declare(None).expect("again").id, Some(id));
}

#[test]
fn ids_added_at_once_agree() {
    let env = Env::with_tags("{\"__HASH_FN__\": \"sha256\"}");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let declare = || at(&env.base()).declare(None, Creation::IfParentExists);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(declare)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|result| result.expect("no panic")).collect()
    });
    let last = env.lake.declaration().expect("declared");
    for declared in ids {
        assert_eq!(declared.expect("declares"), last);
    }
}

#[test]
fn keys_of_others_are_kept_byte_for_byte() {
    let env = Env::with_tags("{\n  \"team\": \"\\u00e4\",\n  \"n\": 1.10\n}\n");
    assert!(env.lake.declaration().is_err_and(|e| e.is_unreachable()));
    let id = env.declare(Some(HashName::Sha512)).expect("declares").id;
    let expected = format!(
        "{{\n  \"team\": \"\\u00e4\",\n  \"n\": 1.10, \"__HASH_FN__\": \"sha512\", \"__LAKE_ID__\": \"{}\"}}\n",
        id.as_ref().map(LakeId::as_str).unwrap_or_default()
    );
    assert_eq!(read_text(&env.tags()), expected);
    assert_eq!(env.lake.declaration().expect("reads").id, id);
    let empty = Env::with_tags("{ }");
    empty.declare(None).expect("declares");
    assert!(read_text(&empty.tags()).starts_with("{\"__HASH_FN__\": \"sha256\", \"__LAKE"));
}

#[test]
fn a_declaration_that_is_not_understood_is_never_rewritten() {
    let url = "Could not understand the declaration of the lake";
    let table = [
        ("", "it is no JSON object"),
        ("[]", "it is no JSON object"),
        ("{\"__HASH_FN__\": 1}", "`__HASH_FN__` is no text"),
        ("{\"__HASH_FN__\": \"sha256\", \"__LAKE_ID__\": \"\"}", "`__LAKE_ID__` is no lake id"),
    ];
    for (text, reason) in table {
        let env = Env::with_tags(text);
        let error = env.declare(None).expect_err(text).to_string();
        assert_eq!(error, format!("{url} `{}`: {reason}", env.lake.url()));
        assert!(env.lake.list().is_err());
        assert!(Sample::new(b"x").put(&env.lake).is_err());
        assert_eq!(read_text(&env.tags()), text);
    }
    for name in ["SHA256", "shake_128", "new"] {
        let text = format!("{{\"__HASH_FN__\": \"{name}\"}}");
        let env = Env::with_tags(&text);
        for result in [env.declare(None), env.lake.declaration()] {
            assert!(matches!(result, Err(LakeError::UnknownHash { .. })));
        }
        assert_eq!(read_text(&env.tags()), text);
    }
    let env = Env::with_tags(&format!("{{\"x\": \"{}\"}}", "y".repeat(70_000)));
    let error = env.lake.declaration().expect_err("too long");
    assert!(error.to_string().ends_with(": it is too long"), "{error}");
}

#[test]
fn weak_hashes_are_read_and_not_written() {
    let env = Env::with_tags("{\"__HASH_FN__\": \"md5\"}");
    let name = ObjectName::parse("900150983cd24fb0d6963f7d28e17f72.bin").expect("a name");
    put_file(&env.base().join(name.as_str()), b"abc");
    assert_eq!(env.lake.get(&name, 0).expect("reads").size, 3);
    let result = Sample::new(b"x").put(&env.lake);
    assert!(matches!(result, Err(LakeError::HashNotWritable { .. })));
    assert_eq!(env.staged(), 0);
}

#[test]
fn a_missing_folder_is_created_only_as_far_as_allowed() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = at(&dir.path().join("a/b/lake"));
    let obstacle = match lake.declaration() {
        Err(LakeError::Unreachable { obstacle, .. }) => obstacle,
        other => panic!("{other:?}"),
    };
    assert!(matches!(obstacle, Obstacle::NoFolder));
    let refused = lake.declare(None, Creation::IfParentExists);
    assert!(matches!(refused, Err(LakeError::NoParent { .. })));
    assert!(!dir.path().join("a").exists());
    lake.declare(None, Creation::WithParents).expect("creates");
}

#[test]
fn a_share_that_went_away_is_unreachable_and_not_empty() {
    let (env, sample) = (Env::new(), Sample::new(b"abc"));
    sample.put(&env.lake).expect("puts");
    let aside = env.dir.path().join("aside");
    #[expect(clippy::disallowed_methods, reason = "a share is unmounted")]
    std::fs::rename(env.base(), aside).expect("moves");
    std::fs::create_dir(env.base()).expect("an empty mount point");
    assert!(env.lake.stat(sample.name()).is_err_and(|e| e.is_unreachable()));
    assert!(env.lake.get(sample.name(), 0).is_err_and(|e| e.is_unreachable()));
    assert!(env.lake.list().is_err_and(|e| e.is_unreachable()));
    assert!(sample.put(&env.lake).is_err_and(|e| e.is_unreachable()));
    let left = std::fs::read_dir(env.base()).expect("lists").count();
    assert_eq!(left, 0, "nothing is written to a mount point");
}

#[test]
fn what_is_no_object_is_not_listed() {
    let (env, sample) = (Env::new(), Sample::new(b"abc"));
    sample.put(&env.lake).expect("puts");
    for foreign in ["README.md", "datasets.json", ".lake-left"] {
        put_file(&env.base().join(foreign), b"x");
    }
    let name = Sample::new(b"folder").name().clone();
    std::fs::create_dir(env.base().join(name.as_str())).expect("creates");
    let listed: Vec<_> = env.lake.list().expect("lists").collect();
    assert_eq!(listed.len(), 1);
    assert_eq!(&listed[0].as_ref().expect("listed").0, sample.name());
    assert!(matches!(env.lake.stat(&name), Err(LakeError::NotRegular { .. })));
}

#[test]
fn left_over_files_are_swept_after_a_day_and_not_before() {
    let (env, staging) = (Env::new(), Env::base);
    let staging = staging(&env).join(STAGING_FOLDER);
    std::fs::create_dir(&staging).expect("creates");
    let (dead, alive) = (staging.join(".lake-dead"), staging.join(".lake-alive"));
    put_file(&dead, b"half");
    put_file(&alive, b"half");
    set_age(&dead, 25 * 60 * 60);
    Sample::new(b"abc").put(&env.lake).expect("puts");
    assert!(!dead.exists());
    assert!(alive.exists());
    assert_eq!(env.staged(), 1, "what the upload staged is gone");
}

#[test]
fn failed_uploads_leave_no_staged_file() {
    let env = Env::new();
    let sample = Sample::new(b"abc");
    let wrong = Upload {
        name: sample.name(),
        hash: HashName::Sha256,
        size: 3,
        open: &|| Ok(Box::new(io::repeat(b'x').take(1 << 30))),
        verified: None,
    };
    let result = env.lake.put(&[wrong], &Unobserved).remove(0);
    assert!(matches!(result, Err(LakeError::SourceChanged { .. })));
    assert_eq!(env.staged(), 0);
}

#[test]
fn an_unfinished_upload_is_not_seen_in_the_lakes_folder() {
    let (env, sample) = (Env::new(), Sample::new(b"abc"));
    let names = || {
        let entries = std::fs::read_dir(env.base()).expect("lists");
        let names = entries.map(|entry| entry.expect("lists").file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let upload = Upload {
        name: sample.name(),
        hash: HashName::Sha256,
        size: 3,
        open: &|| {
            assert_eq!(env.staged(), 1);
            assert!(names().iter().all(|name| name == ".pl" || name == STAGING_FOLDER));
            Ok(Box::new(&b"abc"[..]))
        },
        verified: None,
    };
    let result = env.lake.put(&[upload], &Unobserved).remove(0);
    assert_eq!(result.expect("puts"), Put::Created);
    assert_eq!(env.staged(), 0);
}

#[test]
fn a_file_that_was_verified_before_is_copied_unread_and_has_to_be_whole() {
    let (env, sample) = (Env::new(), Sample::new(b"abc"));
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x");
    let put = |bytes: &[u8]| {
        crate::fs::write_atomic(&path, bytes, Shared::No).expect("writes");
        let verified = || Some(File::open(&path).expect("opens"));
        let open = || panic!("nobody needs it");
        let (name, hash, verified) = (sample.name(), HashName::Sha256, Some(&verified as _));
        let upload = Upload { name, hash, size: 3, open: &open, verified };
        env.lake.put(&[upload], &Unobserved).remove(0)
    };
    assert!(matches!(put(b"ab"), Err(LakeError::SourceChanged { .. })));
    assert_eq!(put(b"abc").expect("puts"), Put::Created);
    assert_eq!(std::fs::read(env.lake.path_of(sample.name())).expect("reads"), b"abc");
}

#[test]
fn cancelling_late_publishes_nothing_of_the_batch() {
    struct Late(AtomicBool);
    impl Observer for Late {
        fn advanced(&self, _: u64) {}
        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }
    }
    let (env, late) = (Env::new(), Late(AtomicBool::new(false)));
    let (first, last) = (Sample::new(b"first"), Sample::new(b"last"));
    let upload = |sample, size, open| Upload {
        name: Sample::name(sample),
        hash: HashName::Sha256,
        size,
        open,
        verified: None,
    };
    let open_last = || {
        late.0.store(true, Ordering::SeqCst);
        Ok(Box::new(&b"last"[..]) as Box<dyn io::Read + Send>)
    };
    let uploads =
        [upload(&first, 5, &|| Ok(Box::new(&b"first"[..]))), upload(&last, 4, &open_last)];
    for result in env.lake.put(&uploads, &late) {
        assert!(matches!(result, Err(LakeError::Cancelled)));
    }
    assert_eq!(env.lake.list().expect("lists").count(), 0);
    assert_eq!(env.staged(), 0);
}

#[test]
fn finding_an_old_object_renews_its_date() {
    let (env, sample) = (Env::new(), Sample::new(b"abc"));
    sample.put(&env.lake).expect("puts");
    let path = env.lake.path_of(sample.name());
    let there = Put::AlreadyThere(Proof::Content);
    for (age, renewed) in [(WEEK - 3600, false), (WEEK + 3600, true)] {
        set_age(&path, age);
        assert_eq!(sample.put(&env.lake).expect("there"), there);
        assert_eq!(age_of(&path) < 3600, renewed, "{age}");
    }
    set_age(&path, WEEK);
    env.lake.renew(sample.name()).expect("renews");
    assert!(age_of(&path) < 3600);
}

#[test]
fn big_batches_are_synced_as_one_and_all_arrive() {
    let env = Env::new();
    let samples: Vec<Sample> =
        (0..40_u32).map(|number| Sample::new(&number.to_le_bytes())).collect();
    for result in Sample::put_all(&samples, &env.lake, &Unobserved) {
        assert_eq!(result.expect("puts"), Put::Created);
    }
    assert_eq!(env.lake.list().expect("lists").count(), 40);
    assert_eq!(env.staged(), 0);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).expect("sets the mode");
    }

    #[test]
    fn a_symbolic_link_is_no_object() {
        let (env, sample) = (Env::new(), Sample::new(b"secret"));
        let secret = env.dir.path().join("secret");
        put_file(&secret, b"secret");
        symlink(&secret, env.lake.path_of(sample.name())).expect("links");
        let is_refused = |error| matches!(error, Some(LakeError::NotRegular { .. }));
        assert!(is_refused(env.lake.stat(sample.name()).err()));
        assert!(is_refused(env.lake.get(sample.name(), 0).err()));
        assert!(is_refused(env.lake.renew(sample.name()).err()));
        assert!(is_refused(sample.put(&env.lake).err()));
        assert_eq!(env.lake.list().expect("lists").count(), 0);
        assert_eq!(read_text(&secret), "secret");
    }

    #[test]
    fn a_link_to_nowhere_is_not_replaced() {
        let (env, sample) = (Env::new(), Sample::new(b"abc"));
        let path = env.lake.path_of(sample.name());
        symlink(env.dir.path().join("nowhere"), &path).expect("links");
        sample.put(&env.lake).expect_err("a link is in the way");
        let metadata = std::fs::symlink_metadata(&path).expect("still there");
        assert!(metadata.is_symlink());
        assert!(!env.dir.path().join("nowhere").exists());
    }

    #[test]
    fn objects_get_the_umasks_mode_and_the_folders_group() {
        let (env, sample) = (Env::new(), Sample::new(b"abc"));
        let plain = env.dir.path().join("plain");
        File::create(&plain).expect("creates");
        let ours = std::fs::metadata(&plain).expect("there");
        // Root may give any group; others only their own, so the folder keeps what it has.
        let is_root = std::os::unix::fs::chown(env.base(), None, Some(ours.gid() + 1)).is_ok();
        chmod(&env.base(), 0o775);
        sample.put(&env.lake).expect("puts");
        let object = std::fs::metadata(env.lake.path_of(sample.name())).expect("there");
        assert_eq!(object.mode(), ours.mode());
        assert_eq!(object.nlink(), 1);
        assert_eq!(object.gid(), ours.gid() + u32::from(is_root));
        let staging = std::fs::metadata(env.base().join(STAGING_FOLDER)).expect("there");
        assert_eq!(staging.mode() & 0o7777, 0o775, "others of the group stage too");
    }

    #[test]
    fn a_folder_that_cannot_be_written_says_so() {
        let (env, sample) = (Env::new(), Sample::new(b"abc"));
        chmod(&env.base(), 0o555);
        let is_root = File::create(env.base().join("probe")).is_ok();
        let result = sample.put(&env.lake);
        chmod(&env.base(), 0o755);
        if !is_root {
            assert!(matches!(result, Err(LakeError::ReadOnly { .. })));
        }
    }

    #[test]
    fn a_lake_that_only_others_may_declare_has_no_id() {
        let env = Env::with_tags("{\"__HASH_FN__\": \"sha256\"}");
        let settings = env.base().join(".pl");
        chmod(&settings, 0o555);
        let is_root = File::create(settings.join("probe")).is_ok();
        let declared = env.declare(None).expect("the hash is known");
        chmod(&settings, 0o755);
        assert_eq!(declared.id.is_some(), is_root);
    }
}

#[test]
fn a_share_that_vanishes_during_a_batch_is_named_and_not_its_files() {
    let env = Env::new();
    let contents: [&[u8]; 3] = [b"one", b"two", b"three"];
    let names = contents.map(|content| Sample::new(content).name().clone());
    let gone = env.dir.path().join("elsewhere");
    // The share goes when the second one is read.
    let open = |at: usize| {
        let (base, gone) = (env.base(), gone.clone());
        move || {
            if at == 1 {
                #[expect(clippy::disallowed_methods, reason = "this is the fault")]
                std::fs::rename(&base, &gone)?;
            }
            Ok(Box::new(contents[at]) as Box<dyn io::Read + Send>)
        }
    };
    let opens = [open(0), open(1), open(2)];
    let uploads: Vec<Upload<'_>> = (0..3)
        .map(|at| Upload {
            name: &names[at],
            hash: HashName::Sha256,
            size: contents[at].len() as u64,
            open: &opens[at],
            verified: None,
        })
        .collect();
    for result in env.lake.put(&uploads, &Unobserved) {
        let error = result.expect_err("it is gone");
        assert!(matches!(error, LakeError::Unreachable { .. }), "{error}");
    }
}
