//! Receipts: what a log says twice it says the same, and what is added or taken back is, whatever stood
//! there before.

use std::collections::BTreeMap;
use std::path::Path;

use git_lake::lake_url::LakeUrl;
use git_lake::object_name::ObjectName;
use git_lake::store::receipts::{Receipt, Receipts, Strength};

const LAKE: &str = "file:///lake";
const ID: &str = "0123456789abcdef0123456789abcdef";

/// The bytes are the log of one lake.
pub(super) fn check(bytes: &[u8]) {
    let lake = LakeUrl::parse(LAKE).expect("an address");
    super::in_folder(|root| {
        let log = root.join("receipts").join(format!("{}.log", lake.file_key()));
        std::fs::create_dir(root.join("receipts")).expect("creates");
        std::fs::write(&log, bytes).expect("writes");
        let found = all(root, &lake);
        let kept = all(root, &lake);
        // A log that was mended may have lost its dates, and nothing else.
        let undated = |found: &BTreeMap<ObjectName, Receipt>| -> Vec<_> {
            found.iter().map(|(name, proof)| (name.clone(), proof.size, proof.strength)).collect()
        };
        assert_eq!(undated(&found), undated(&kept));
        assert!(bytes.iter().filter(|byte| **byte == b'\n').count() >= found.len());
        let name = ObjectName::parse(&format!("{}.bin", "a".repeat(64))).expect("a name");
        let url = lake.source(name.clone());
        let receipts = Receipts::at(root);
        receipts.bind(&lake, Some(ID)).expect("reads");
        receipts.add(&lake, Some(ID), &[(name.clone(), 7, Strength::Size)]).expect("writes");
        let proof = Receipts::at(root).get(&url).expect("reads").expect("it was added");
        assert!(proof.size == 7 && proof.is_fresh());
        assert_eq!(receipts.get(&url).expect("reads"), Some(proof));
        let before = all(root, &lake);
        receipts.revoke(&url).expect("writes");
        let mut after = before.clone();
        after.remove(&name);
        assert_eq!(all(root, &lake), after, "one is taken back, and no other");
        receipts.bind(&lake, Some("another")).expect("reads");
        assert_eq!(receipts.names(&lake).expect("reads"), [], "another lake proved nothing");
    });
}

fn all(root: &Path, lake: &LakeUrl) -> BTreeMap<ObjectName, Receipt> {
    let receipts = Receipts::at(root);
    let names = receipts.names(lake).expect("reads");
    let proof = |name: ObjectName| {
        let proof =
            receipts.get(&lake.source(name.clone())).expect("reads").expect("it was listed");
        (name, proof)
    };
    names.into_iter().map(proof).collect()
}
