//! Making foreign text harmless before it reaches a terminal.

/// Replaces what could steer a terminal or turn the reading order by `\u{…}`; keeps everything else.
pub fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Bidirectional controls reorder what follows (Unicode TR 9, TR 36); the separators of lines and
        // paragraphs begin a new line in some terminals and viewers.
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\t') || turns {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_bidi_controls_do_not_pass() {
        let shown = for_terminal("a\x1b[31m\r\nb\u{202e}c\u{7f}\u{9b}");
        assert_eq!(shown, "a\\u{1b}[31m\\r\\nb\\u{202e}c\\u{7f}\\u{9b}");
        assert_eq!(for_terminal("\u{61c}\u{2028}\u{2069}"), "\\u{61c}\\u{2028}\\u{2069}");
        assert_eq!(for_terminal("äöü 图\tx"), "äöü 图\tx");
    }
}
