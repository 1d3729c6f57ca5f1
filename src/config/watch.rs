//! Noticing that the configuration's files have changed.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Watches the configuration's directory, `conf.d` in it, and the directories of secrets' files. Directories rather than
/// files, because most editors put a new file in the place of the old one.
#[derive(Debug)]
pub struct ConfigWatch {
    watcher: RecommendedWatcher,
    /// That something has happened is all that is told, so one place is enough.
    changed: mpsc::Receiver<()>,
    directory: PathBuf,
    watches_further: bool,
    secrets: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The directories that are watched for the sake of secrets alone.
    secret_directories: BTreeSet<PathBuf>,
}

impl ConfigWatch {
    /// Begins to watch.
    pub fn begin(config: &Path) -> notify::Result<Self> {
        let config = place(config)?;
        let directory = config.parent().unwrap_or(&config).to_owned();
        let (tell, changed) = mpsc::channel(1);
        let secrets = Arc::new(Mutex::new(BTreeSet::new()));
        let files = Files { further: directory.join(DIRECTORY), config, secrets: secrets.clone() };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if files.concern(&event) => {
                // A full channel has told already.
                let _ = tell.try_send(());
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the configuration can't be watched well; send SIGHUP after a change"),
        })?;
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        let secret_directories = BTreeSet::new();
        let mut watch = Self { watcher, changed, directory, watches_further: false, secrets, secret_directories };
        watch.watch_further();
        Ok(watch)
    }

    /// Watches these files of secrets from now on, and no others. A link's own file is watched as well.
    pub fn watch_secrets<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let files: BTreeSet<PathBuf> = files.flat_map(|file| [place(file), file.canonicalize()]).flatten().collect();
        let directories = files.iter().filter_map(|file| file.parent().map(Path::to_owned));
        let mut elsewhere: BTreeSet<PathBuf> = directories.collect();
        elsewhere.remove(&self.directory);
        elsewhere.remove(&self.directory.join(DIRECTORY));
        for gone in self.secret_directories.difference(&elsewhere) {
            // One that is not there any more is watched no more already.
            let _ = self.watcher.unwatch(gone);
        }
        self.secret_directories = elsewhere;
        for directory in &self.secret_directories {
            // Again where it was watched before, because it may have been replaced.
            if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                warn!(directory = %directory.display(), %error, "secrets there can't be watched; send SIGHUP after a change");
            }
        }
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = files;
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

/// A file's path without links to directories: what has happened is told by one path, however many lead there.
fn place(file: &Path) -> io::Result<PathBuf> {
    let directory = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    Ok(directory.canonicalize()?.join(file.file_name().unwrap_or_default()))
}

/// Which files belong to the configuration. Others, such as the outbox, may lie beside them and change all the time.
struct Files {
    config: PathBuf,
    further: PathBuf,
    secrets: Arc<Mutex<BTreeSet<PathBuf>>>,
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
        let in_further = path.parent().is_some_and(|parent| parent == self.further);
        path == self.config
            || path == self.further
            || path.ends_with(MOUNTED)
            || (in_further && path.extension().is_some_and(|extension| extension == "toml"))
            || self.secrets.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
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

    #[tokio::test]
    async fn a_secret_is_noticed_wherever_its_file_is_and_as_long_as_it_is_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        for name in ["etc", "run", "kept"] {
            fs::create_dir(path(name)).expect("makes");
        }
        fs::write(path("etc/hookswitch.toml"), "").expect("writes");
        fs::write(path("kept/new"), "").expect("writes");
        std::os::unix::fs::symlink(path("kept/new"), path("run/link")).expect("links");
        let mut watch = ConfigWatch::begin(&path("etc/hookswitch.toml")).expect("watches");
        let secrets = ["etc/a", "etc/../run/b", "run/link"].map(path);
        watch.watch_secrets(secrets.iter().map(PathBuf::as_path));
        for secret in ["etc/a", "run/b", "kept/new"] {
            notices(&mut watch, || fs::write(path(secret), "secret").expect("writes")).await;
        }
        fs::write(path("run/other"), "…").expect("writes");
        watch.watch_secrets(secrets[..1].iter().map(PathBuf::as_path));
        fs::write(path("run/b"), "…").expect("writes");
        assert!(tokio::time::timeout(3 * QUIET, watch.changed()).await.is_err(), "nothing of ours has changed");
        notices(&mut watch, || fs::write(path("etc/a"), "secret").expect("writes")).await;
    }
}
