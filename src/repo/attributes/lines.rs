//! Lines of attributes files that give files to git-lake.

/// What such a line says behind its pattern when git-lake writes it.
pub const ATTRIBUTES: &str = "filter=lake merge=lake -text";

/// A line that gives files to git-lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeLine {
    /// Which files, without the quotes that the line may need.
    pub pattern: String,
    attributes: Vec<String>,
}

impl LakeLine {
    /// Parses a line; `None` for any other than those that give files to git-lake.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let (pattern, rest) = match line.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted
                    .char_indices()
                    .find(|(at, c)| *c == '"' && !quoted[..*at].ends_with('\\'))?
                    .0;
                (unquoted(&quoted[..end]), &quoted[end + 1..])
            }
            None => {
                let (pattern, rest) = line.split_once(char::is_whitespace)?;
                (pattern.to_owned(), rest)
            }
        };
        let attributes: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
        let is_lake = attributes.iter().any(|attribute| attribute == "filter=lake");
        (is_lake && !line.starts_with('#')).then_some(Self { pattern, attributes })
    }

    /// Returns the attributes that the line should have as well: without them git changes line ends in
    /// pointers, or merges pointers as text.
    pub fn missing(&self) -> Vec<&'static str> {
        let has = |names: &[&str]| self.attributes.iter().any(|there| names.contains(&&**there));
        let needed = [("merge=lake", &["merge=lake"][..]), ("-text", &["-text", "binary"][..])];
        needed.into_iter().filter(|(_, names)| !has(names)).map(|(name, _)| name).collect()
    }

    /// Returns true if the line has nothing that git-lake would not have written.
    pub fn is_plain(&self) -> bool {
        let ours: Vec<&str> = ATTRIBUTES.split(' ').collect();
        self.attributes.iter().all(|attribute| ours.contains(&&**attribute))
    }
}

/// Returns the pattern of a line that gives files to git-lake.
pub fn lake_pattern(line: &[u8]) -> Option<String> {
    Some(LakeLine::parse(line)?.pattern)
}

/// Adds to these lines of an attributes file what they miss; all else stays byte for byte. The first line
/// has the number 1.
pub fn completed(text: &[u8], numbers: &[usize]) -> Vec<u8> {
    let lines = text.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| {
        let missing = match numbers.contains(&(at + 1)) {
            true => LakeLine::parse(line).map(|line| line.missing()).unwrap_or_default(),
            false => Vec::new(),
        };
        if missing.is_empty() {
            return line.to_owned();
        }
        let end = line.trim_ascii_end().len();
        let (said, rest) = line.split_at(end);
        // Blanks that nobody sees go; a carriage return is a choice.
        let rest: &[u8] = if rest.ends_with(b"\r") { b"\r" } else { b"" };
        [said, b" ", missing.join(" ").as_bytes(), rest].concat()
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// Quotes a pattern as C does, where `.gitattributes` needs it (gitattributes(5)).
pub fn quoted(pattern: &[u8]) -> String {
    let needs_quotes =
        pattern.iter().any(|c| c.is_ascii_whitespace() || c.is_ascii_control() || !c.is_ascii())
            || pattern.starts_with(b"\"")
            || pattern.starts_with(b"#")
            || pattern.starts_with(b"!");
    if !needs_quotes {
        return String::from_utf8_lossy(pattern).into_owned();
    }
    let mut text = String::from("\"");
    for byte in pattern {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03o}")),
        }
    }
    text.push('"');
    text
}

/// Undoes [`quoted`], for the escapes that it writes.
fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(first @ b'0'..=b'3') => {
                let digits = [*first, *rest.next().unwrap_or(&b'0'), *rest.next().unwrap_or(&b'0')];
                let value =
                    digits.iter().fold(0u32, |sum, c| sum * 8 + u32::from(c.saturating_sub(b'0')));
                bytes.push(u8::try_from(value).unwrap_or(b'?'));
            }
            Some(other) => bytes.push(*other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_survive_quoting() {
        for pattern in
            ["*.png", "with blank.npy", "tab\there", "quo\"te\\", "uml\u{e4}ut*", "#hash", "!bang"]
        {
            let line = format!("{} {ATTRIBUTES}", quoted(pattern.as_bytes()));
            assert_eq!(lake_pattern(line.as_bytes()).as_deref(), Some(pattern), "{line}");
        }
        assert_eq!(lake_pattern(b"*.txt text"), None);
        assert_eq!(lake_pattern(b"# *.png filter=lake"), None);
    }

    #[test]
    fn lines_are_completed_and_nothing_else_is_touched() {
        let text = b"# *.a filter=lake\r\n*.b filter=lake \r\n*.c -text filter=lake\n*.d text\n\"e f\" filter=lake";
        let whole = b"# *.a filter=lake\r\n*.b filter=lake merge=lake -text\r\n*.c -text filter=lake merge=lake\n*.d text\n\"e f\" filter=lake";
        assert_eq!(completed(text, &[1, 2, 3, 4]).as_slice(), whole);
        assert_eq!(completed(whole, &[1, 2, 3, 4]).as_slice(), whole);
        assert_eq!(completed(text, &[]).as_slice(), text);
        let missing = |line: &str| LakeLine::parse(line.as_bytes()).expect(line).missing();
        assert_eq!(missing("* binary filter=lake merge=lake"), [""; 0]);
        assert_eq!(missing("* filter=lake merge=union text"), ["merge=lake", "-text"]);
        let is_plain = |line: &str| LakeLine::parse(line.as_bytes()).expect(line).is_plain();
        assert!(is_plain("*.b -text filter=lake") && !is_plain("*.b filter=lake text"));
    }
}
