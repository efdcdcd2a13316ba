//! The header of NumPy's array files (`numpy.lib.format`): a Python dictionary as text.

use super::Array;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Returns true if bytes begin as an array file does.
pub(super) fn is_array(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads type and shape; `None` if the header is cut off or says something else.
pub(super) fn header(head: &[u8]) -> Option<Array> {
    let rest = head.strip_prefix(MAGIC)?;
    let (len, text) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?)), rest.get(4..)?),
        2 | 3 => {
            let len = u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?);
            (usize::try_from(len).ok()?, rest.get(6..)?)
        }
        _ => return None,
    };
    let text = std::str::from_utf8(text.get(..len)?).ok()?;
    Some(Array { dtype: dtype(value(text, "descr")?)?, shape: shape(value(text, "shape")?)? })
}

/// Returns what follows a key of the dictionary.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let quoted = ['\'', '"'].map(|quote| format!("{quote}{key}{quote}"));
    let at = quoted.iter().find_map(|key| Some(text.find(key)? + key.len()))?;
    Some(text.get(at..)?.trim_start().strip_prefix(':')?.trim_start())
}

fn dtype(value: &str) -> Option<String> {
    let quote = value.chars().next()?;
    match quote {
        '[' => Some("structured".to_owned()),
        '\'' | '"' => {
            let name = value.get(1..)?.split(quote).next()?;
            let is_plain = name.chars().all(|c| c.is_ascii_graphic()) && name.len() <= 32;
            (is_plain && !name.is_empty()).then(|| name.to_owned())
        }
        _ => None,
    }
}

fn shape(value: &str) -> Option<Vec<u64>> {
    let (axes, _) = value.strip_prefix('(')?.split_once(')')?;
    let axes = axes.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    // Python 2 wrote `10L`.
    axes.map(|axis| axis.trim_end_matches('L').parse().ok()).collect()
}
