//! What to write instead of a word that is not known.

/// How many known words a remedy names.
const MAX_WORDS: usize = 16;

/// A longer word is not compared: that costs the product of both lengths, and nobody mistypes that much.
const MAX_WORD_BYTES: usize = 64;

/// The remedy for an unknown `word`: the nearest of the known ones, or else all of them.
pub(crate) fn among<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    match nearest(word, &known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => {
            let more = if known.len() > MAX_WORDS { ", …" } else { "" };
            known.truncate(MAX_WORDS);
            format!("there are: {}{more}", known.join(", "))
        }
    }
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > MAX_WORD_BYTES {
        return None;
    }
    let distance = |other: &&str| strsim::damerau_levenshtein(&word.to_lowercase(), &other.to_lowercase());
    let most = word.len().max(3) / 3;
    // Words whose lengths differ by more are not compared in full.
    let close = |other: &&&str| other.len().abs_diff(word.len()) <= 2 * most && distance(other) <= most;
    known.iter().filter(close).min_by_key(|other| distance(other)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_gets_the_word_that_was_meant() {
        assert_eq!(among("offerring", ["joined", "offering"]), "did you mean `offering`?");
        assert_eq!(among("Joined", ["joined", "offering"]), "did you mean `joined`?");
        assert_eq!(among("ringing", ["joined", "offering"]), "there are: joined, offering");
        assert_eq!(among("x", []), "there are none");
    }
}
