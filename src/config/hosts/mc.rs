//! Servers and keys in the settings of MinIO's client `mc`.

use std::path::Path;

use super::surroundings::is_clean;
use crate::access::Keys;
use crate::fs::read_small;
use crate::lake_url::typed::Endpoint;

/// Where `mc` keeps its settings below the home folder; the second on Windows.
const FILES: [&str; 2] = [".mc/config.json", "mc/config.json"];
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A server that `mc` knows by a short name.
#[derive(Clone)]
pub struct Alias {
    /// The short name.
    pub name: String,
    /// The server; `None` where its address makes no sense.
    pub server: Option<Endpoint>,
    /// Its keys.
    pub keys: Keys,
    /// The file, for people.
    pub file: String,
}

/// Reads the aliases that have both keys; says in `looked_at` which files have none.
pub(super) fn read(home: &Path, looked_at: &mut Vec<String>) -> Vec<Alias> {
    let mut found = Vec::new();
    for name in FILES {
        let file = format!("`~/{name}`");
        match read_small(&home.join(name), MAX_FILE_BYTES) {
            Ok(Some(bytes)) => match aliases(&bytes, &file) {
                Some(aliases) if aliases.is_empty() => looked_at.push(file),
                Some(aliases) => found.extend(aliases),
                None => looked_at.push(format!("{file}, which is not readable as JSON")),
            },
            // Two places are usual, and only one of them is this machine's.
            Ok(None) if name == FILES[1] => {}
            Ok(None) => looked_at.push(file),
            Err(_) => looked_at.push(format!("{file}, which cannot be read")),
        }
    }
    found
}

/// Parses a settings file; `None` if it is none.
fn aliases(bytes: &[u8], file: &str) -> Option<Vec<Alias>> {
    let settings: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let settings = settings.as_object()?;
    let table = settings.get("aliases").or_else(|| settings.get("hosts"));
    let Some(table) = table.and_then(serde_json::Value::as_object) else {
        return Some(Vec::new());
    };
    let alias = |(name, entry): (&String, &serde_json::Value)| {
        let text = |key: &str| entry.get(key).and_then(serde_json::Value::as_str);
        let given = |key: &str| text(key).filter(|text| !text.is_empty()).map(str::to_owned);
        // What `mc` writes into a fresh file.
        let is_real = |text: &String| !text.starts_with("YOUR-");
        let keys = Keys {
            id: given("accessKey").filter(is_real)?,
            secret: given("secretKey").filter(is_real)?,
            token: given("sessionToken"),
        };
        let server = text("url").and_then(Endpoint::parse);
        let (name, file) = (name.clone(), file.to_owned());
        is_clean(&keys).then_some(Alias { name, server, keys, file })
    };
    Some(table.iter().filter_map(alias).collect())
}
