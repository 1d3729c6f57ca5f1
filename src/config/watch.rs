//! Noticing that the configuration's files have changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::file::DIRECTORY;

/// How long the files must have been left alone: an editor writes, renames and changes modes within milliseconds, and a
/// file that is half written would be refused, loudly and for nothing.
const QUIET: Duration = Duration::from_millis(500);

/// How long is waited for quiet at most: something that writes all the time is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The link that Kubernetes replaces when the files behind a mounted configuration change.
const MOUNTED: &str = "..data";

/// Watches the configuration's directory, and `conf.d` in it. Directories rather than files, because most editors put a new
/// file in the place of the old one.
#[derive(Debug)]
pub struct ConfigWatch {
    watcher: RecommendedWatcher,
    /// That something has happened is all that is told, so one place is enough.
    changed: mpsc::Receiver<()>,
    directory: PathBuf,
    watches_further: bool,
}

impl ConfigWatch {
    /// Begins to watch.
    pub fn begin(config: &Path) -> notify::Result<Self> {
        let directory = match config.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        let (tell, changed) = mpsc::channel(1);
        let name = config.file_name().map(Into::into).unwrap_or_default();
        let files = Files { name, further: directory.join(DIRECTORY) };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if files.concern(&event) => {
                // A full channel has told already.
                let _ = tell.try_send(());
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the configuration can't be watched well; send SIGHUP after a change"),
        })?;
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        let mut watch = Self { watcher, changed, directory, watches_further: false };
        watch.watch_further();
        Ok(watch)
    }

    /// Waits for a change, and then until the files are left alone. One that is cancelled in the midst of it forgets the
    /// change: who cancels it reads the configuration anyway.
    pub async fn changed(&mut self) {
        if self.changed.recv().await.is_none() {
            return std::future::pending().await;
        }
        let latest = Instant::now() + PATIENCE;
        while timeout_at(latest.min(Instant::now() + QUIET), self.changed.recv()).await.is_ok() {}
        self.watch_further();
    }

    /// Watches `conf.d`, which may have come, or have been replaced, since the last time.
    fn watch_further(&mut self) {
        let further = self.directory.join(DIRECTORY);
        if self.watches_further {
            // One that is gone is watched no more already.
            let _ = self.watcher.unwatch(&further);
        }
        self.watches_further = further.is_dir();
        if self.watches_further
            && let Err(error) = self.watcher.watch(&further, RecursiveMode::NonRecursive)
        {
            debug!(%error, "conf.d can't be watched");
            self.watches_further = false;
        }
    }
}

/// Which files belong to the configuration. Others, such as the outbox, may lie beside them and change all the time.
struct Files {
    name: std::ffi::OsString,
    further: PathBuf,
}

impl Files {
    fn concern(&self, event: &Event) -> bool {
        let happened = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            // Our own reading is none of our business.
            EventKind::Access(_) => false,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                true
            }
        };
        // An overflow of the system's queue names no file.
        happened && (event.paths.is_empty() || event.paths.iter().any(|path| self.have(path)))
    }

    fn have(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let in_further = path.parent().is_some_and(|parent| parent.ends_with(DIRECTORY));
        name == self.name
            || name == MOUNTED
            || path == self.further
            || (in_further && path.extension().is_some_and(|extension| extension == "toml"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Longer than any machine takes; only a test that fails waits so long.
    const LONG: Duration = Duration::from_secs(60);

    /// Changes the files until that is noticed: a change that comes before the watch has begun is none.
    async fn notices(watch: &mut ConfigWatch, change: impl FnOnce()) {
        change();
        tokio::time::timeout(LONG, watch.changed()).await.expect("is noticed");
    }

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_noticed_and_others_are_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("hookswitch.toml");
        fs::write(&config, "").expect("writes");
        let mut watch = ConfigWatch::begin(&config).expect("watches");
        notices(&mut watch, || fs::write(&config, "x = 1").expect("writes")).await;
        let new = directory.path().join("new");
        fs::write(&new, "x = 2").expect("writes");
        fs::write(directory.path().join("outbox.db-wal"), "…").expect("writes");
        fs::read_to_string(&config).expect("reads");
        assert!(tokio::time::timeout(3 * QUIET, watch.changed()).await.is_err(), "nothing of ours has changed");
        notices(&mut watch, || fs::rename(&new, &config).expect("renames")).await;
    }

    #[tokio::test]
    async fn a_directory_of_further_files_is_noticed_when_it_comes_and_what_is_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = directory.path().join("hookswitch.toml");
        fs::write(&config, "").expect("writes");
        let mut watch = ConfigWatch::begin(&config).expect("watches");
        let further = directory.path().join(DIRECTORY);
        notices(&mut watch, || fs::create_dir(&further).expect("makes")).await;
        notices(&mut watch, || fs::write(further.join("a.toml"), "").expect("writes")).await;
        notices(&mut watch, || fs::remove_file(further.join("a.toml")).expect("removes")).await;
    }
}
