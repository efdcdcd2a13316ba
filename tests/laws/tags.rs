//! The declaration of a folder: what is not understood is never rewritten, and what others wrote stays.

use git_lake::lake::folder::FolderLake;
use git_lake::lake::{AdminLake as _, Creation, ReadLake as _};
use git_lake::lake_url::LakeUrl;
use serde_json::{Map, Value};

pub(super) fn check(bytes: &[u8]) {
    super::in_folder(|folder| {
        let path = folder.join(".pl/tags.json");
        std::fs::create_dir(folder.join(".pl")).expect("creates");
        std::fs::write(&path, bytes).expect("writes");
        let url = LakeUrl::from_folder(folder).expect("an address");
        let lake = || FolderLake::new(url.clone(), folder.to_owned());
        let read = lake().declaration();
        assert_eq!(std::fs::read(&path).expect("reads"), bytes, "reading writes nothing");
        let declared = match lake().declare(None, Creation::IfParentExists) {
            Ok(declared) => declared,
            Err(error) => {
                assert!(read.is_err(), "{error}");
                drop((error.to_string(), read));
                assert_eq!(std::fs::read(&path).expect("reads"), bytes, "it was not understood");
                return;
            }
        };
        if let Ok(read) = read {
            assert_eq!(read.hash, declared.hash);
            assert!(read.id.is_none() || read.id == declared.id);
        }
        let after = std::fs::read(&path).expect("reads");
        keeps_other_keys(bytes, &after);
        let again = lake().declare(None, Creation::IfParentExists).expect("it was declared");
        let told = lake().declaration().expect("it was declared");
        assert_eq!((again.hash, &again.id), (declared.hash, &declared.id));
        assert_eq!((told.hash, &told.id), (declared.hash, &declared.id));
        assert_eq!(std::fs::read(&path).expect("reads"), after, "nothing was left to add");
    });
}

fn keeps_other_keys(before: &[u8], after: &[u8]) {
    let keys = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).expect("JSON");
    let (before, mut after) = (keys(before), keys(after));
    for (key, value) in before {
        assert_eq!(after.remove(&key), Some(value), "{key}");
    }
    assert!(after.keys().all(|key| ["__HASH_FN__", "__LAKE_ID__"].contains(&key.as_str())));
}
