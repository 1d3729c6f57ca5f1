//! The interface over TLS.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::header::{LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Certificate, Client, StatusCode};

use crate::stage::Stage;

fn write(stage: &Stage, name: &str) -> Certificate {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(stage.directory().join(format!("{name}.pem")), cert.pem()).expect("is written");
    fs::write(stage.directory().join(format!("{name}.key")), signing_key.serialize_pem()).expect("is written");
    Certificate::from_pem(cert.pem().as_bytes()).expect("a certificate")
}

fn section(name: &str) -> String {
    format!("certificate = '{name}.pem'\nkey = {{ file = '{name}.key' }}\n")
}

fn trusting(certificate: Certificate) -> Client {
    Client::builder().no_proxy().tls_certs_only([certificate]).build().expect("a client")
}

#[tokio::test]
async fn who_trusts_the_certificate_is_answered_and_a_reload_brings_a_new_one() {
    let mut stage = Stage::start("", "").await;
    stage.stop().await;
    let (old, new) = (write(&stage, "old"), write(&stage, "new"));
    stage.resume(&section("old"), "");
    let url = format!("https://localhost:{}/healthz", stage.address().port());
    let is_answered = async |certificate: &Certificate| {
        trusting(certificate.clone()).get(&url).send().await.is_ok_and(|response| response.status() == StatusCode::OK)
    };
    assert!(is_answered(&old).await && !is_answered(&new).await);
    let plain = reqwest::get(format!("http://{}/healthz", stage.address())).await;
    assert!(plain.is_err(), "nothing is said without encryption");
    stage.daemon().reload(stage.config(&section("new"), "")).expect("is good");
    assert!(!is_answered(&old).await && is_answered(&new).await);
}

#[tokio::test]
async fn the_cookie_of_a_session_goes_over_tls_alone() {
    let mut stage = Stage::start("", "").await;
    stage.stop().await;
    let certificate = write(&stage, "ours");
    // The password is `correct horse`.
    let hash = hookswitch::admin::password::hash("correct horse").expect("a hash");
    let user = format!("[[http.users]]\nname = 'ada'\nrole = 'admin'\npassword = '{hash}'\n");
    stage.resume(&section("ours"), &user);
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([certificate])
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let origin = format!("https://localhost:{}", stage.address().port());
    let page = client.get(format!("{origin}/sign-in")).send().await.expect("answers").text().await.expect("a text");
    let (_, csrf) = page.split_once("name=\"csrf\" value=\"").expect("a token");
    let csrf = csrf.split('"').next().expect("its end");
    let form = format!("name=ada&password=correct+horse&next=%2F&csrf={csrf}");
    let request = client.post(format!("{origin}/sign-in")).header(ORIGIN, &origin).body(form);
    let response = request.header("content-type", "application/x-www-form-urlencoded").send().await.expect("answers");
    assert!(response.headers().contains_key(LOCATION), "{}", response.status());
    let cookie = response.headers()[SET_COOKIE].to_str().expect("a text");
    assert!(cookie.contains("; Secure") && cookie.contains("HttpOnly"), "{cookie}");
}
