//! Patterns of names: `*` stands for any run of characters, `?` for one.

/// Whether the pattern matches the whole name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                n += 1;
            }
            Some(c) if *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star_p, star_n)) = star else { return false };
                star = Some((star_p, star_n + 1));
                p = star_p + 1;
                n = star_n + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_run_and_a_question_mark_one_character() {
        assert!(matches("*", ""));
        assert!(matches("support@*", "support@default"));
        assert!(matches("*@default", "support@default"));
        assert!(matches("s?les*", "sales@default"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("support@*", "sales@default"));
        assert!(!matches("?", ""));
    }
}
