//! Servers and keys in the settings of MinIO's client `mc`.

use std::path::Path;

use crate::access::Keys;
use crate::fs::read_small;
use crate::lake_url::host::Host;
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
    /// Its keys; `None` where one is missing.
    pub keys: Option<Keys>,
    /// The file, for people.
    pub file: String,
}

impl Alias {
    /// Returns true if the alias names this server, spoken to in this way.
    pub(super) fn is_of(&self, host: &Host, plain_http: bool) -> bool {
        self.server.as_ref().is_some_and(|known| {
            known.plain_http == plain_http && known.host.is_same(host, plain_http)
        })
    }

    /// Says which alias it is, in words that fit into a list.
    pub(super) fn describe(&self) -> String {
        format!("the alias `{}` of {}", self.name, self.file)
    }
}

/// Reads all aliases; says in `looked_at` which files have none.
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
        let pair = given("accessKey").zip(given("secretKey"));
        let pair = pair.filter(|(id, secret)| is_real(id) && is_real(secret));
        let keys = pair.map(|(id, secret)| Keys { id, secret, token: given("sessionToken") });
        let server = text("url").and_then(Endpoint::parse);
        let (name, file) = (name.clone(), file.to_owned());
        Alias { name, server, keys: keys.filter(Keys::is_clean), file }
    };
    Some(table.iter().map(alias).collect())
}
