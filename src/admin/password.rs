//! Passwords: their hashes (argon2id), made and compared.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version};
use subtle::ConstantTimeEq as _;

/// What a password of nobody is compared with, so that it takes as long to refuse as one of somebody.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$aG9va3N3aXRjaC1ub2JvZHk$Rk5HMnJ0bTlXc2VrS0pKVHhkYlFwTnZ6aG1RYlE4d0Y";

/// Hashes a password with a salt of its own.
pub fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether the text is such a hash.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.hash.is_some() && hash.algorithm.as_str().starts_with("argon2"))
}

/// Compares passwords with hashes, in memory that is used again.
///
/// A comparison takes 19 MiB. An allocator keeps memory of that size for each thread that ever asked for it, so it is
/// allocated once for each comparison that runs at the same time, and kept.
#[derive(Default)]
pub struct Comparer {
    kept: Mutex<Vec<Vec<Block>>>,
}

impl Comparer {
    /// Whether it is the password of this hash; never without one, which takes as long to find.
    pub fn verify(&self, password: &str, hash: Option<&str>) -> bool {
        let is_it = self.compare(password.as_bytes(), hash.unwrap_or(NOBODYS)).unwrap_or(false);
        is_it && hash.is_some()
    }

    fn compare(&self, password: &[u8], hash: &str) -> Result<bool, argon2::password_hash::Error> {
        let hash = PasswordHash::new(hash)?;
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
        let params = Params::try_from(&hash)?;
        let algorithm = Algorithm::new(hash.algorithm.as_str())?;
        let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let mut memory = self.lend();
        memory.resize(params.block_count(), Block::default());
        let mut made = vec![0; expected.len()];
        let hasher = Argon2::new(algorithm, version, params);
        let hashed = hasher.hash_password_into_with_memory(password, salt, &mut made, memory.as_mut_slice());
        self.keep(memory);
        hashed?;
        Ok(made.ct_eq(expected.as_bytes()).into())
    }

    fn lend(&self) -> Vec<Block> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps what the usual hash needs; what a hash of higher cost has taken is freed.
    fn keep(&self, memory: Vec<Block>) {
        if memory.len() <= Params::default().block_count() {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
    }
}

impl fmt::Debug for Comparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comparer")
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::CustomizedPasswordHasher as _;

    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let made = hash("correct horse").expect("hashes");
        let comparer = Comparer::default();
        assert!(is_hash(&made) && is_hash(NOBODYS), "{made}");
        assert_ne!(made, hash("correct horse").expect("hashes"), "each has a salt of its own");
        assert!(comparer.verify("correct horse", Some(&made)));
        assert!(!comparer.verify("correct horse ", Some(&made)) && !comparer.verify("", Some(&made)));
        assert!(!comparer.verify("x", None) && comparer.verify("correct horse", Some(&made)), "memory is used again");
        assert!(!is_hash("correct horse") && !is_hash("") && !is_hash("$argon2id$"));
        assert_eq!(comparer.kept.lock().expect("nothing panics").len(), 1, "one after the other");
    }

    #[test]
    fn hashes_of_every_kind_and_cost_are_compared() {
        let comparer = Comparer::default();
        for (kind, memory, passes, lanes) in
            [("argon2id", 8, 1, 1), ("argon2i", 64, 3, 1), ("argon2d", 64, 1, 2), ("argon2id", 20_480, 1, 4)]
        {
            let params = Params::new(memory, passes, lanes, None).expect("good");
            let made: PasswordHash = Argon2::default()
                .hash_password_customized(b"right", b"some salt of it", Some(kind), None, params)
                .expect("hashes");
            let made = made.to_string();
            assert!(comparer.verify("right", Some(&made)) && !comparer.verify("wrong", Some(&made)), "{made}");
        }
        let kept = comparer.kept.lock().expect("nothing panics");
        assert!(kept.iter().all(|memory| memory.len() <= Params::default().block_count()), "what is large is freed");
    }
}
