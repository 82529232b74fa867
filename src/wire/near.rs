//! "Did you mean": the nearest known name.

/// The name nearest to a word, when one is near enough to be meant: at most a third of it mistyped.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long word is nobody's slip, and comparing it would cost its square.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let word = word.to_lowercase();
    names
        .into_iter()
        .map(|n| (distance(&word, n), n))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| n)
}

/// `; did you mean ..?`, or the known names when they are few, or nothing.
pub(crate) fn hint(word: &str, names: &[&str]) -> String {
    match nearest(word, names.iter().copied()) {
        Some(n) => format!("; did you mean `{n}`?"),
        None if names.is_empty() || names.len() > 12 => String::new(),
        None => format!("; it can be: {}", names.join(", ")),
    }
}

/// Edits (insert, delete, replace) between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut row = vec![left];
        for ((cb, diagonal), above) in b.iter().zip(&last).zip(last.iter().skip(1)) {
            left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            row.push(left);
        }
        last = row;
    }
    last.last().copied().unwrap_or(0)
}
