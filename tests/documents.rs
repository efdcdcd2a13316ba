//! What documents say about the tests is true.

use std::path::Path;

#[test]
fn the_tests_that_show_what_is_promised_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = ["docs/security.md", "docs/reliability.md"]
        .map(|name| std::fs::read_to_string(top.join(name)).unwrap());
    let text = documents.concat();
    let mut count = 0;
    // What is typed is in blocks of its own.
    let text: String = text.split("```").step_by(2).collect();
    // Every second part stands between backquotes.
    for name in text.split('`').skip(1).step_by(2) {
        if let Some((file, test)) = name.split_once("::") {
            let path = top.join("tests").join(format!("{file}.rs"));
            let folder = top.join("tests").join(file).join("mod.rs");
            let path = if folder.exists() { folder } else { path };
            let source = std::fs::read_to_string(&path);
            let source = source.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(source.contains(&format!("fn {test}(")), "{name}");
            count += 1;
        } else if name.starts_with("src/") {
            assert!(top.join(name).exists(), "{name}");
        }
    }
    assert!(count > 50, "{count}");
}
