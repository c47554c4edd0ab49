//! "Did you mean": the known name nearest to a mistyped one.

/// The candidate nearest to `typed`, if it is near enough to be a slip of the fingers: a third of its letters.
pub(super) fn nearest<'a>(typed: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (edit_distance(typed, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours that turn `a` into
/// `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut cost = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cost[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = cost[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = replaced.min(cost[i - 1][j] + 1).min(cost[i][j - 1] + 1);
                let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swaps { best.min(cost[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    cost[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_another_word_finds_nothing() {
        let known = ["listen", "level", "drain_timeout"];
        assert_eq!(nearest("lisen", &known), Some("listen"));
        assert_eq!(nearest("drain_timeuot", &known), Some("drain_timeout"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn the_distance_counts_insertions_deletions_replacements_and_swaps() {
        let cases =
            [("", "abc", 3), ("abc", "", 3), ("abc", "abd", 1), ("kitten", "sitting", 3), ("levle", "level", 1)];
        for (a, b, distance) in cases {
            assert_eq!(edit_distance(a, b), distance, "{a} -> {b}");
        }
    }
}
