//! Whether a destination lets somebody in: as `check --connect` asks it, and as a run finds it.

use std::path::Path;
use std::time::Duration;

use hookswitch::config::Config;
use hookswitch::outbox::deliveries::Story;
use tempfile::TempDir;

use crate::stage::Stage;

/// What the only destination of a configuration says of itself, or why nobody gets in.
async fn reaches(directory: &Path, text: &str) -> Result<String, String> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let path = directory.join("reach.toml");
    std::fs::write(&path, text).expect("is written");
    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let (_, destination) = config.destinations().next().expect("a destination");
    loop {
        match destination.connect().await.map_err(|refusal| refusal.to_string()) {
            // PostgreSQL listens a moment before it lets anybody in.
            Err(said) if said.contains("starting up") => tokio::time::sleep(Duration::from_millis(100)).await,
            said => return said,
        }
    }
}

/// The same, and what became of a run of its flow `f`.
pub(crate) async fn tried(place: &TempDir, text: &str) -> (Result<String, String>, Story) {
    let said = reaches(place.path(), text).await;
    let stage = Stage::start(place, text);
    let run = stage.fire("f", 0, 0).await;
    (said, stage.over(run).await)
}
