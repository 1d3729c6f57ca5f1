//! Receivers behind TLS, good and bad.

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::server::{Server, Wire};
use crate::stage::Stage;
use crate::{assert_delivered, assert_failed, sent_from};

/// An authority of one's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
struct Card {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        Self::called("Ours")
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Card {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Card { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A directory with its certificate.
    fn directory(&self) -> TempDir {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("ca.pem"), self.0.pem()).expect("is written");
        directory
    }
}

/// A server with that certificate, which asks for one of the authority's where there is one.
async fn server(card: &Card, clients: Option<&Authority>) -> Server {
    Server::start_tls(settings(card, clients), |_, wire| welcome(wire)).await
}

fn settings(card: &Card, clients: Option<&Authority>) -> ServerConfig {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_slice(card.certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(card.key.as_bytes()).expect("a key");
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.0.der().clone()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    builder.with_single_cert(chain, key).expect("fit")
}

async fn welcome(mut wire: Box<dyn Wire>) {
    let _ = wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}

fn step(server: &Server, host: &str) -> String {
    format!("url = 'https://{host}:{}/', timeout = '5s', retry = ['10ms']", server.address.port())
}

/// What says that the authority's certificates count for this receiver.
fn trusting(server: &Server, host: &str) -> String {
    format!("[delivery.receivers.'https://{host}:{}']\nca = 'ca.pem'\n", server.address.port())
}

#[tokio::test]
async fn a_certificate_of_ones_own_authority_counts_where_that_is_said_and_nowhere_else() {
    let authority = Authority::new();
    let server = server(&authority.issue("localhost", |_| {}), None).await;
    let (directory, step) = (authority.directory(), step(&server, "localhost"));
    assert_delivered(&sent_from(&directory, &trusting(&server, "localhost"), &step).await);
    let stranger = TempDir::new().expect("a directory");
    assert_failed(&sent_from(&stranger, "", &step).await, 2, "no secure connection (TLS)");
}

#[tokio::test]
async fn a_certificate_that_has_ended_or_is_anothers_is_refused() {
    let authority = Authority::new();
    let expired = authority.issue("localhost", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    let anothers = authority.issue("other.example", |_| {});
    for (card, reason) in [(expired, "expired"), (anothers, "not valid for")] {
        let server = server(&card, None).await;
        let story =
            sent_from(&authority.directory(), &trusting(&server, "localhost"), &step(&server, "localhost")).await;
        assert_failed(&story, 2, "no secure connection (TLS)");
        assert_failed(&story, 2, reason);
    }
}

/// A certificate that has signed itself, marked as an authority's or not.
fn self_signed(is_ca: IsCa) -> (Card, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).expect("a certificate");
    let digest = Sha256::digest(certificate.der());
    let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    (Card { certificate: certificate.pem(), key: key.serialize_pem() }, fingerprint)
}

#[tokio::test]
async fn a_self_signed_certificate_counts_where_it_is_pinned_and_is_told_to_be_one_elsewhere() {
    let marked = IsCa::Ca(BasicConstraints::Unconstrained);
    for (is_ca, words) in [
        (IsCa::ExplicitNoCa, "is self-signed"),
        (IsCa::NoCa, "is self-signed"),
        (marked, "is marked as an authority's (CA:TRUE)"),
    ] {
        let (card, fingerprint) = self_signed(is_ca);
        let server = server(&card, None).await;
        let (directory, step) = (TempDir::new().expect("a directory"), step(&server, "localhost"));
        let told = sent_from(&directory, "", &step).await;
        assert_failed(&told, 2, words);
        assert_failed(&told, 2, &fingerprint.replace(':', "").to_lowercase());
        let receiver = format!("[delivery.receivers.'https://localhost:{}']\n", server.address.port());
        let pinned = format!("{receiver}certificate_sha256 = ['{fingerprint}', '{}']\n", "0".repeat(64));
        assert_delivered(&sent_from(&TempDir::new().expect("a directory"), &pinned, &step).await);
        let other = format!("{receiver}certificate_sha256 = '{}'\n", "0".repeat(64));
        let refused = sent_from(&TempDir::new().expect("a directory"), &other, &step).await;
        assert_failed(&refused, 2, "is not among those of `certificate_sha256`");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_self_signed_authority_that_is_named_as_ca_is_refused_in_words_that_help() {
    let (card, _) = self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let server = server(&card, None).await;
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("ca.pem"), &card.certificate).expect("is written");
    let story = sent_from(&directory, &trusting(&server, "localhost"), &step(&server, "localhost")).await;
    assert_failed(&story, 2, "is marked as an authority's (CA:TRUE)");
    assert_failed(&story, 2, "certificate_sha256");
}

#[tokio::test]
async fn another_authority_and_no_name_are_told() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    let nameless = ours.issue("localhost", |params| params.subject_alt_names.clear());
    // The authority was made anew under its old name.
    let renewed = stranger.issue("localhost", |_| {});
    let other = Authority::called("Stranger");
    let foreign = other.issue("localhost", |_| {});
    for (card, words) in [
        (foreign, "by an authority (issuer) that is not known here"),
        (renewed, "the name of one that is known here, and another key"),
        (nameless, "not valid for any names"),
    ] {
        let server = server(&card, None).await;
        let story = sent_from(&ours.directory(), &trusting(&server, "localhost"), &step(&server, "localhost")).await;
        assert_failed(&story, 2, words);
        assert!(server.requests().is_empty());
    }
}

#[tokio::test]
async fn a_certificate_of_ours_is_shown_to_nobody_to_whom_the_receiver_redirects() {
    let authority = Authority::new();
    let other = server(&authority.issue("localhost", |_| {}), Some(&authority)).await;
    let to = format!("https://localhost:{}/", other.address.port());
    let card = authority.issue("localhost", |_| {});
    let first = Server::start_tls(settings(&card, Some(&authority)), move |_, mut wire| {
        let answer = format!("HTTP/1.1 308 So\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        async move {
            let _ = wire.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let (directory, ours) = (authority.directory(), authority.issue("hookswitch", |_| {}));
    fs::write(directory.path().join("ours.pem"), &ours.certificate).expect("is written");
    fs::write(directory.path().join("ours.key"), &ours.key).expect("is written");
    let with = format!(
        "{}certificate = 'ours.pem'\nkey = {{ file = 'ours.key' }}\nredirects = 2\n",
        trusting(&first, "localhost")
    );
    assert_failed(&sent_from(&directory, &with, &step(&first, "localhost")).await, 2, "");
    assert_eq!((first.requests().len(), other.requests().len()), (2, 0));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let authority = Authority::new();
    let plain = Server::start(|_, wire| welcome(wire)).await;
    let to = plain.url();
    let first = Server::start_tls(settings(&authority.issue("localhost", |_| {}), None), move |_, mut wire| {
        let answer = format!("HTTP/1.1 307 So\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        async move {
            let _ = wire.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let with = format!("{}redirects = 2\n", trusting(&first, "localhost"));
    let story = sent_from(&authority.directory(), &with, &step(&first, "localhost")).await;
    assert_failed(&story, 1, "it leads from https to http");
    assert!(plain.requests().is_empty());
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_so() {
    let server = Server::start(|_, wire| welcome(wire)).await;
    let broken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = broken.local_addr().expect("an address");
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = broken.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let directory = TempDir::new().expect("a directory");
    let step = format!("url = 'https://{address}/', timeout = '5s', retry = ['10ms']");
    assert_failed(&sent_from(&directory, "", &step).await, 2, "no secure connection (TLS)");
    answering.abort();
    drop(server);
}

#[tokio::test]
async fn who_asks_for_a_certificate_gets_ours() {
    let authority = Authority::new();
    let server = server(&authority.issue("localhost", |_| {}), Some(&authority)).await;
    let directory = authority.directory();
    let ours = authority.issue("hookswitch", |_| {});
    fs::write(directory.path().join("ours.pem"), &ours.certificate).expect("is written");
    fs::write(directory.path().join("ours.key"), &ours.key).expect("is written");
    let (without, step) = (trusting(&server, "localhost"), step(&server, "localhost"));
    let with = format!("{without}certificate = 'ours.pem'\nkey = {{ file = 'ours.key' }}\n");
    assert_delivered(&sent_from(&directory, &with, &step).await);
    assert_eq!(server.requests().len(), 1);
    let second = authority.directory();
    let story = sent_from(&second, &without, &step).await;
    assert_failed(&story, 2, "");
    assert_eq!(server.requests().len(), 1, "nothing was sent to it");
}

#[tokio::test]
async fn who_speaks_http_2_gets_everything_over_one_connection() {
    let authority = Authority::new();
    let mut config = settings(&authority.issue("localhost", |_| {}), None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, seen) = (Arc::clone(&connections), Arc::clone(&requests));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let stream = TokioIo::new(acceptor.accept(stream).await.expect("TLS"));
                let service = service_fn(move |request: Request<Incoming>| {
                    assert_eq!(request.version(), Version::HTTP_2);
                    seen.fetch_add(1, Ordering::SeqCst);
                    async { Ok::<_, Infallible>(Response::new(String::new())) }
                });
                let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
            });
        }
    });
    let directory = authority.directory();
    let origin = format!("https://localhost:{}", address.port());
    let text = format!(
        "[delivery.receivers.'{origin}']\nca = 'ca.pem'\n[flows.f]\nsteps = [{{ http = {{ url = '{origin}/' }} }}]\n"
    );
    let stage = Stage::start(&directory, &text);
    // The first one connects; those that begin meanwhile would not know yet that one connection is enough.
    let first = stage.fire("f", 0, 0).await;
    stage.over(first).await;
    let mut runs = Vec::new();
    for attempt in 1..50 {
        runs.push(stage.fire("f", attempt, 0).await);
    }
    for run in runs {
        assert_delivered(&stage.over(run).await);
    }
    assert_eq!((connections.load(Ordering::SeqCst), requests.load(Ordering::SeqCst)), (1, 50));
    serving.abort();
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Answers 204 to each request, and to the second of a connection goes away with this error code: it has processed the first.
async fn goes_away(mut wire: impl AsyncRead + AsyncWrite + Unpin, code: u32) -> Option<()> {
    wire.read_exact(&mut [0; 24]).await.ok()?;
    wire.write_all(&frame(4, 0, 0, &[])).await.ok()?;
    let mut requests = 0;
    loop {
        let mut head = [0; 9];
        wire.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        wire.read_exact(&mut vec![0; usize::try_from(length).ok()?]).await.ok()?;
        let (kind, flags, stream) = (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        match kind {
            4 if flags & 1 == 0 => wire.write_all(&frame(4, 1, 0, &[])).await.ok()?,
            0 | 1 if flags & 1 == 1 => {
                requests += 1;
                if requests == 2 {
                    let payload = [1_u32.to_be_bytes(), code.to_be_bytes()].concat();
                    wire.write_all(&frame(7, 0, 0, &payload)).await.ok()?;
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    return None;
                }
                // `:status: 204` of the static table.
                wire.write_all(&frame(1, 5, stream, &[0x89])).await.ok()?;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_a_receiver_that_goes_away_has_not_processed_is_sent_again_at_once_whatever_its_error() {
    // No error, an internal one, and too much load.
    for code in [0, 2, 11] {
        let authority = Authority::new();
        let mut config = settings(&authority.issue("localhost", |_| {}), None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move { goes_away(acceptor.accept(stream).await.ok()?, code).await });
            }
        });
        let directory = authority.directory();
        let step = format!("url = '{origin}/', json = {{}}, retry = []");
        let text =
            format!("[delivery.receivers.'{origin}']\nca = 'ca.pem'\n[flows.f]\nsteps = [{{ http = {{ {step} }} }}]\n");
        let stage = Stage::start(&directory, &text);
        for attempt in 0..3 {
            let story = stage.over(stage.fire("f", attempt, 0).await).await;
            assert_delivered(&story);
            assert_eq!(story.tries.len(), 1, "it costs no try");
        }
        serving.abort();
    }
}
