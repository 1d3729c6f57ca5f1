//! Patterns of names: `*` stands for any characters, `?` for one.

/// The longest pattern: FreeSWITCH's own names are shorter.
pub const MAX_CHARS: usize = 256;

/// Whether the pattern matches the whole name.
///
/// It goes back to the last `*` only, so its time is at most the product of both lengths.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // What stands behind the last star, and the rest of the name that it has not taken.
    let mut last_star = None;
    loop {
        let rest = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                last_star = Some((pattern.clone(), rest.clone()));
                name = rest;
            }
            (Some(p), Some(n)) if p == '?' || p == n => {}
            _ => {
                let Some((behind, untaken)) = &mut last_star else { return false };
                if untaken.next().is_none() {
                    return false;
                }
                (pattern, name) = (behind.clone(), untaken.clone());
            }
        }
    }
}

/// Whether the pattern names one thing only.
pub fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

/// What the only `*` of a pattern stands for in a name that matches it; none if it has another number of them.
pub fn star<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, behind) = pattern.split_once('*').filter(|(_, behind)| !behind.contains('*'))?;
    let from = name.char_indices().nth(before.chars().count()).map_or(name.len(), |(at, _)| at);
    let to = behind
        .chars()
        .count()
        .checked_sub(1)
        .map_or(Some(name.len()), |last| name.char_indices().rev().nth(last).map(|(at, _)| at))?;
    (matches(pattern, name) && from <= to).then(|| &name[from..to])
}

/// How many characters the pattern says literally: the more, the more specific it is.
pub fn literals(pattern: &str) -> usize {
    pattern.chars().filter(|c| !matches!(c, '*' | '?')).count()
}

/// Whether some name matches both patterns.
pub fn overlap(a: &str, b: &str) -> bool {
    if differ_literally(a, b) {
        return false;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // overlaps[j]: whether the rest of `a` overlaps with the rest of `b` from j on; from the ends backwards.
    let only_stars = |rest: &[char]| rest.iter().all(|c| *c == '*');
    let mut overlaps: Vec<bool> = (0..=b.len()).map(|j| only_stars(&b[j..])).collect();
    for i in (0..a.len()).rev() {
        let shorter = overlaps.clone();
        overlaps[b.len()] = only_stars(&a[i..]);
        for j in (0..b.len()).rev() {
            overlaps[j] = match (a[i], b[j]) {
                ('*', _) | (_, '*') => shorter[j] || overlaps[j + 1],
                (p, q) => (p == q || p == '?' || q == '?') && shorter[j + 1],
            };
        }
    }
    overlaps[0]
}

/// Whether the patterns begin or end with different literal texts, as most pairs of a long list do: a quick answer.
fn differ_literally(a: &str, b: &str) -> bool {
    const WILD: [char; 2] = ['*', '?'];
    let beginning = |pattern: &str| pattern.find(WILD).unwrap_or(pattern.len());
    let ending = |pattern: &str| pattern.rfind(WILD).map_or(0, |i| i + 1);
    let (begin_a, begin_b) = (&a[..beginning(a)], &b[..beginning(b)]);
    let (end_a, end_b) = (&a[ending(a)..], &b[ending(b)..]);
    !(begin_a.starts_with(begin_b) || begin_b.starts_with(begin_a))
        || !(end_a.ends_with(end_b) || end_b.ends_with(end_a))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("support@*", "support@default"),
            ("*@default", "a@default"),
            ("s?les", "sales"),
            ("*a*b*", "xxaxxbxx"),
            ("a**b", "ab"),
            ("", ""),
            ("?", "ü"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("?", ""), ("support@*", "Support@x"), ("*ab", "aab "), ("a", "ab"), ("", "a"), ("a?", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_stands_for_what_lies_between() {
        for (pattern, name, expected) in [
            ("*@default", "1000@default", Some("1000")),
            ("agent-*", "agent-17", Some("17")),
            ("ü*?", "üäöx", Some("äö")),
            ("*", "", Some("")),
            ("ab*", "ab", Some("")),
            ("*@*", "1000@default", None),
            ("1000", "1000", None),
            ("a*a", "a", None),
        ] {
            assert_eq!(star(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_overlap_where_a_name_matches_both() {
        for (a, b) in [("*@default", "support@*"), ("*", "*"), ("a*", "*a"), ("a?c", "ab*"), ("*", "")] {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [("a*", "b*"), ("*a", "*b"), ("a?", "a"), ("??", "*abc"), ("a", "")] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!matches(&"a*".repeat(128), &("a".repeat(4_000) + "b!")[1..].replace('a', "c")));
        assert!(!matches(&("*a".repeat(127) + "*b"), &"a".repeat(4_000)));
    }

    proptest! {
        #[test]
        fn a_name_that_matches_both_proves_the_overlap(a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", name in "[ab]{0,6}") {
            if matches(&a, &name) && matches(&b, &name) {
                prop_assert!(overlap(&a, &b));
            }
        }

        #[test]
        fn what_is_said_to_overlap_has_a_name(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}") {
            // Names of twice the length are enough to find one.
            let mut names = vec![String::new()];
            for length in 0..8 {
                let longest: Vec<String> = names.iter().filter(|name| name.len() == length).cloned().collect();
                names.extend(longest.iter().flat_map(|name| [format!("{name}a"), format!("{name}b")]));
            }
            prop_assert_eq!(overlap(&a, &b), names.iter().any(|name| matches(&a, name) && matches(&b, name)));
        }
    }
}
