//! Numbers and words exchanged for others of the same shape, by a key that nobody keeps.
//!
//! Digits go through a permutation, so that two numbers never become one; it is a Feistel network over the two halves of the
//! digits, with SHA-256 as its round function. Without the key nobody finds out a number by trying all of them.

use std::io;

use sha2::{Digest, Sha256};

/// Rounds of the network: two more than the eight that NIST's FF1 had before its attacks made them ten.
const ROUNDS: u8 = 10;

/// The key, which is random for each file and forgotten with it.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A new one.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 32];
        let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random bytes"))?;
        Ok(Self(bytes))
    }

    /// One that is known, for tests.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Exchanges digits (each 0 to 9) for as many others. A first digit other than zero stays other than zero, so that a
    /// number remains one in JSON.
    pub(super) fn permute(&self, digits: &mut [u8]) {
        let begins_with_zero = digits.first() == Some(&0);
        loop {
            self.permute_once(digits);
            // Walking on within the permutation until the shape fits again is a permutation of that shape.
            if (digits.first() == Some(&0)) == begins_with_zero {
                return;
            }
        }
    }

    fn permute_once(&self, digits: &mut [u8]) {
        let length = digits.len();
        let (left, right) = digits.split_at_mut(length / 2);
        for round in 0..ROUNDS {
            let (changed, other) = if round % 2 == 0 { (&mut *left, &*right) } else { (&mut *right, &*left) };
            let stream = self.stream(&[b"digits", &length.to_be_bytes(), &[round], other]);
            for (digit, byte) in changed.iter_mut().zip(stream) {
                *digit = (*digit + byte % 10) % 10;
            }
        }
    }

    /// Exchanges a word's letters for as many others of the same case and the same length in UTF-8. However it is written, a
    /// word becomes the same one.
    pub(super) fn word(&self, word: &str) -> String {
        let meant = word.to_lowercase();
        for variant in 0_u8.. {
            let stream = self.stream(&[b"word", &[variant], meant.as_bytes()]);
            let other: String =
                word.chars().zip(Pairs(stream)).map(|(letter, chance)| exchange(letter, chance)).collect();
            // A few letters can come out as they went in.
            if other != word || variant == u8::MAX {
                return other;
            }
        }
        word.to_owned()
    }

    /// Bytes without end that only this key and these parts give.
    fn stream(&self, parts: &[&[u8]]) -> impl Iterator<Item = u8> + use<> {
        let mut hasher = Sha256::new_with_prefix(self.0);
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        (0_u32..).flat_map(move |block| {
            let bytes: [u8; 32] = hasher.clone().chain_update(block.to_be_bytes()).finalize().into();
            bytes
        })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Two bytes at a time, for a choice among many.
struct Pairs<I>(I);

impl<I: Iterator<Item = u8>> Iterator for Pairs<I> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(u32::from(self.0.next()?) << 8 | u32::from(self.0.next()?))
    }
}

/// Another letter that takes as many bytes.
fn exchange(letter: char, chance: u32) -> char {
    let (first, count) = match letter {
        'a'..='z' => ('a', 26),
        'A'..='Z' => ('A', 26),
        // à to ö, À to Ö.
        _ if letter.len_utf8() == 2 && letter.is_uppercase() => ('À', 23),
        _ if letter.len_utf8() == 2 => ('à', 23),
        // Han, of which there are enough for both lengths.
        _ if letter.len_utf8() == 3 => ('一', 20_000),
        _ => ('\u{20000}', 40_000),
    };
    char::from_u32(first as u32 + chance % count).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KEY: Key = Key::from_bytes([7; 32]);

    #[test]
    fn all_numbers_of_a_length_change_places() {
        let numbers = || (0..10_000_u32).map(|number| format!("{number:04}").into_bytes());
        let permuted: BTreeSet<Vec<u8>> = numbers()
            .map(|text| {
                let mut digits: Vec<u8> = text.iter().map(|digit| digit - b'0').collect();
                let zero = digits[0] == 0;
                KEY.permute(&mut digits);
                assert_eq!(digits[0] == 0, zero);
                digits
            })
            .collect();
        assert_eq!(permuted.len(), 10_000);
    }

    #[test]
    fn a_word_keeps_its_shape_and_is_the_same_in_any_case() {
        let word = KEY.word("Müller");
        assert_eq!(word.len(), "Müller".len());
        assert_eq!(word.chars().count(), 6);
        assert!(word.starts_with(char::is_uppercase) && word != "Müller");
        assert_eq!(KEY.word("MÜLLER").to_lowercase(), word.to_lowercase());
        assert_ne!(Key::from_bytes([8; 32]).word("Müller"), word);
        for text in ["山田太郎", "a", "Ж", "𠮷"] {
            assert_eq!(KEY.word(text).len(), text.len());
            assert_ne!(KEY.word(text), text);
        }
    }
}
