//! Passwords: their hashes (argon2id), made and compared.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

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

/// Whether it is the password of this hash; never without one, which takes as long to find.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let is_it = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(NOBODYS)).is_ok();
    is_it && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_no_other_is() {
        let made = hash("correct horse").expect("hashes");
        assert!(is_hash(&made) && is_hash(NOBODYS), "{made}");
        assert_ne!(made, hash("correct horse").expect("hashes"), "each has a salt of its own");
        assert!(verify("correct horse", Some(&made)));
        assert!(!verify("correct horse ", Some(&made)) && !verify("", Some(&made)) && !verify("x", None));
        assert!(!is_hash("correct horse") && !is_hash("") && !is_hash("$argon2id$"));
    }
}
