//! docs/what-is-saved.md says what the rules say.

/// Checks that the page has these lines under this name, and no others.
pub(super) fn lists(name: &str, lines: impl IntoIterator<Item = String>) {
    const PAGE: &str = include_str!("../../docs/what-is-saved.md");
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let found = PAGE.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| {
            format!(
                "- {line}
"
            )
        })
        .collect();
    let expected = lines.concat();
    assert_eq!(
        found.map(|(block, _)| block),
        Some(expected.as_str()),
        "the list {name} of the page"
    );
}
