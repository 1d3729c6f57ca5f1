//! The configuration, read again while the daemon runs.

use std::fs;
use std::os::unix::fs::symlink;

use rcgen::{CertificateParams, KeyPair};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::process::{Place, tells};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_holds_at_once_and_a_bad_one_changes_nothing() {
    let place = Place::new().await;
    place.write(&tells("the first flow"));
    let mut daemon = place.run();
    daemon.says("the first flow");
    place.write(&tells("the second flow"));
    daemon.says("the new configuration holds");
    daemon.says("the second flow");

    place.write(&tells("the third flow {{ no_such_field }}"));
    let problem = daemon.says("no_such_field");
    assert!(problem.contains("hookswitch.toml:4"), "{problem}");
    daemon.says("the configuration is refused, and the former one stays");
    daemon.says("the second flow");
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("the third flow"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_everything_again_and_tells_what_needs_a_restart() {
    let place = Place::new().await;
    place.write(&tells("{{ queue_name }}"));
    let mut daemon = place.run();
    daemon.says("FreeSWITCH is connected");
    daemon.signal(Signal::HUP);
    daemon.says("the new configuration holds");
    let concurrent = format!("{}[delivery]\nconcurrency = 7\n", tells("changed"));
    place.write(&concurrent);
    daemon.says("delivery.concurrency");
    daemon.says("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_gone_or_follows_nothing_is_refused() {
    let place = Place::new().await;
    place.write(&tells("still here"));
    let mut daemon = place.run();
    daemon.says("still here");
    fs::write(place.config(), tells("nobody")).expect("writes");
    daemon.says("no FreeSWITCH is configured");
    daemon.says("the configuration is refused, and the former one stays");
    fs::remove_file(place.config()).expect("removes");
    daemon.says("cannot read");
    daemon.says("the configuration is refused, and the former one stays");
    daemon.says("still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_pipe_among_the_files_is_refused_and_holds_nothing_up() {
    let place = Place::new().await;
    place.write(&tells("still here"));
    let mut daemon = place.run();
    daemon.says("still here");
    let further = place.directory.path().join("conf.d");
    fs::create_dir(&further).expect("makes");
    mknodat(CWD, further.join("pipe.toml"), FileType::Fifo, Mode::RUSR, 0).expect("makes a pipe");
    daemon.signal(Signal::HUP);
    daemon.says("it is a named pipe, and not a file");
    daemon.says("still here");
    fs::remove_file(further.join("pipe.toml")).expect("removes");
    daemon.says("the new configuration holds");
    daemon.signal(Signal::TERM);
    let (code, said) = daemon.ends();
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_renewed_for_the_same_key_holds_without_a_signal() {
    let place = Place::new().await;
    let file = |name: &str| place.directory.path().join(name);
    let key = KeyPair::generate().expect("a key");
    let issue =
        || CertificateParams::new(vec!["localhost".into()]).expect("a name").self_signed(&key).expect("signs").pem();
    fs::write(file("first.pem"), issue()).expect("writes");
    fs::write(file("http.key"), key.serialize_pem()).expect("writes");
    symlink("first.pem", file("http.pem")).expect("links");
    let http = "[http]\nlisten = '127.0.0.1:0'\ncertificate = 'http.pem'\nkey = { file = 'http.key' }\n";
    place.write(&format!("{}{http}", tells("x")));
    let mut daemon = place.run();
    daemon.says("FreeSWITCH is connected");
    fs::write(file("first.pem"), issue()).expect("writes");
    daemon.says("the new configuration holds");
    fs::write(file("first.pem"), "no certificate").expect("writes");
    daemon.says("the configuration is refused, and the former one stays");
    fs::write(file("second.pem"), issue()).expect("writes");
    symlink("second.pem", file("new")).and_then(|()| fs::rename(file("new"), file("http.pem"))).expect("replaces");
    daemon.says("the new configuration holds");
}
