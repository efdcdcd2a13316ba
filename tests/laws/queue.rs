//! Claims: what a log says survives being folded, and what is added to it is there beside it.

use git_lake::lake_url::SourceUrl;
use git_lake::oid::Oid;
use git_lake::repo_path::RepoPath;
use git_lake::store::queue::{Claims, Compacted, Owed, Queue, Tentative};

/// The bytes are a log that another process left.
pub(super) fn check(bytes: &[u8]) {
    super::in_folder(|root| {
        let folder = root.join("queue");
        std::fs::create_dir(&folder).expect("creates");
        std::fs::write(folder.join("1-1-0.log"), bytes).expect("writes");
        let queue = Queue::at(root);
        let before = queue.read().expect("reads");
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let (tentative, owed) = sorted(&before);
        assert!(tentative.len() + owed.len() <= lines);
        for address in &owed {
            let normal = address.url.to_string();
            assert_eq!(SourceUrl::parse_normal(&normal).as_ref(), Ok(&address.url));
        }
        let compacted = queue.compact(|claims| claims).expect("folds");
        let after = queue.read().expect("reads");
        assert_eq!(sorted(&after), (tentative.clone(), owed.clone()), "nothing is lost");
        let is_lossy = matches!(compacted, Compacted::Lossy(_));
        assert!(before.are_complete() == after.are_complete() || is_lossy);
        if let Compacted::Lossy(remains) = compacted {
            queue.forget(&remains).expect("removes");
            let again = queue.compact(|claims| claims).expect("folds");
            assert_eq!(again, Compacted::Done, "it was forgotten");
        }
        let mine = mine();
        queue.add_owed([&mine]).expect("writes");
        let (still, mut with_mine) = sorted(&queue.read().expect("reads"));
        assert_eq!(still, tentative);
        with_mine.retain(|one| one.url != mine.url);
        let others: Vec<Owed> = owed.into_iter().filter(|one| one.url != mine.url).collect();
        assert_eq!(with_mine, others);
        queue.compact(|_| Claims::default()).expect("folds");
    });
}

fn mine() -> Owed {
    let oid = Oid::of(b"mine");
    let url = SourceUrl::parse_normal(&format!("file:///lake/{oid}.bin")).expect("an address");
    Owed { url, oid, size: 4, path: RepoPath::parse(b"a b/\xffc").expect("a path") }
}

fn sorted(claims: &Claims) -> (Vec<Tentative>, Vec<Owed>) {
    let mut tentative: Vec<Tentative> = claims.tentative().collect();
    let mut owed: Vec<Owed> = claims.owed().collect();
    tentative.sort_by(|a, b| (&a.path, a.oid, &a.blob).cmp(&(&b.path, b.oid, &b.blob)));
    owed.sort_by(|a, b| a.url.cmp(&b.url));
    (tentative, owed)
}
