//! Signed requests, checked by who defined how they are signed: the Standard Webhooks libraries for Python and JavaScript.
//!
//! `tests/run` installs both below `target/standardwebhooks` and runs these tests.

mod library;
mod request;

use library::{JAVASCRIPT, Library, PYTHON};
use request::{NEW, OLD, Request, STRANGER};

#[tokio::test]
#[ignore = "needs the library for Python, which tests/run installs"]
async fn the_library_for_python_takes_what_is_signed_and_nothing_else() {
    check(&PYTHON).await;
}

#[tokio::test]
#[ignore = "needs the library for JavaScript, which tests/run installs"]
async fn the_library_for_javascript_takes_what_is_signed_and_nothing_else() {
    check(&JAVASCRIPT).await;
}

async fn check(library: &Library) {
    let [before, between, after] = [&[OLD][..], &[NEW, OLD], &[NEW]].map(Request::signed_with);
    let (before, between, after) = (before.await, between.await, after.await);
    let tampered = |change: fn(&mut Request)| {
        let mut request = between.clone();
        change(&mut request);
        request
    };
    let cases = [
        ("one key", OLD, before.clone(), true),
        ("the old key while it is replaced", OLD, between.clone(), true),
        ("the new key while it replaces", NEW, between.clone(), true),
        ("the new key once it has replaced", NEW, after.clone(), true),
        ("the new key before it was used", NEW, before, false),
        ("the old key once it is replaced", OLD, after, false),
        ("another's key", STRANGER, between.clone(), false),
        ("another body", NEW, tampered(|request| request.body = request.body.replace("agent1", "agent2")), false),
        ("a longer body", NEW, tampered(|request| request.body.push(' ')), false),
        ("another time", NEW, tampered(|request| request.timestamp += 1), false),
        ("another id", NEW, tampered(|request| request.id.push('0')), false),
        ("no signature", NEW, tampered(|request| request.signature.clear()), false),
        ("a late repeat", NEW, between.signed_long_ago(), false),
    ];
    let verdicts = library.verify(cases.iter().map(|(_, secret, request, _)| (*secret, request)));
    for ((what, _, _, expected), verdict) in cases.iter().zip(verdicts) {
        assert_eq!(verdict, *expected, "{what}");
    }
}
