//! What was done, as the next page says it. It stands in that page's address, sealed, so that no link of somebody else's has
//! our pages say what we have not.

use aws_lc_rs::hmac;
use maud::{Markup, html};

use super::address;
use super::fields::Fields;
use super::visitor::Visitor;

/// The field with what was done.
const DONE: &str = "done";

/// The field that shows that it is ours.
const SEAL: &str = "seal";

/// A path with its query that says what was done.
pub(super) fn with(visitor: &Visitor, path: &str, query: &[(&str, &str)], done: &str) -> String {
    let seal = seal(visitor, done);
    let mut pairs = query.to_vec();
    pairs.extend([(DONE, done), (SEAL, &*seal)]);
    address::with(path, &pairs)
}

/// What was done, if we say so.
pub(super) fn show(visitor: &Visitor, fields: &Fields) -> Markup {
    let done = fields.get(DONE).filter(|done| fields.get(SEAL).is_some_and(|given| is_seal(visitor, done, given)));
    html! { @if let Some(done) = done { p.done role="status" { (done) } } }
}

fn key(visitor: &Visitor) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, visitor.csrf.as_bytes())
}

fn seal(visitor: &Visitor, done: &str) -> String {
    hmac::sign(&key(visitor), done.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_seal(visitor: &Visitor, done: &str, given: &str) -> bool {
    let bytes = given.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let given: Option<Vec<u8>> = bytes.collect();
    given.is_some_and(|given| hmac::verify(&key(visitor), done.as_bytes(), &given).is_ok())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::admin::role::Role;

    #[test]
    fn only_what_we_have_said_to_somebody_is_shown_to_them() {
        let visitor =
            |csrf: &str| Visitor { name: None, role: Role::Read, now: Timestamp::UNIX_EPOCH, csrf: csrf.into() };
        let (ours, other) = (visitor("a"), visitor("b"));
        let address = with(&ours, "/deliveries", &[("queue", "x")], "1 run is retried.");
        let shown = |visitor: &Visitor, query: &str| show(visitor, &Fields::parse(query.as_bytes())).into_string();
        let (path, query) = address.split_once('?').expect("a query");
        assert_eq!((path, shown(&ours, query).contains("1 run is retried.")), ("/deliveries", true), "{address}");
        assert_eq!(shown(&other, query), "");
        let changed = query.replace("1+run", "2+runs");
        for forged in
            ["done=Sign+in+again", "done=Sign+in+again&seal=", "done=x&seal=zz", "done=x&seal=%C3%A4", &changed]
        {
            assert_eq!(shown(&ours, forged), "", "{forged}");
        }
    }
}
