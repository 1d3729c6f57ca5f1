//! Noticing that the configuration's files have changed, and reading them again.
//!
//! One thread of its own does both, so that nothing which is read, however slow, holds up the loop that hears signals; and
//! so that no two readings overlap. The system's notices say when to look; the files' own stamps say whether there is
//! anything new. Where notices fail to come (network file systems, a directory that was not there), it looks by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tracing::{debug, error, warn};

use super::fault::Fault;
use super::problem::Problem;
use super::sources::Sources;
use super::{Config, Problems};

/// How long the files must have been left alone: an editor writes, renames and changes modes within milliseconds, and a
/// file that is half written would be refused, loudly and for nothing.
const QUIET: Duration = Duration::from_millis(500);

/// How long is waited for quiet at most: something that writes all the time is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the files are looked at where nothing says that they have changed.
const PERIOD: Duration = Duration::from_secs(3);

/// How long reading may take before that is said: files are read within milliseconds, unless they are on a machine that
/// does not answer.
const LATE: Duration = Duration::from_secs(20);

/// How many links are followed for one path, as Linux does.
const MOST_LINKS: usize = 40;

/// The stack for reading: as large as the main thread's.
const STACK_BYTES: usize = 8 * 1_024 * 1_024;

/// Watches the configuration's files and every one that they name, and reads all of them again when one has changed.
#[derive(Debug)]
pub struct ConfigWatch {
    tell: mpsc::Sender<Note>,
    readings: tokio::sync::mpsc::Receiver<Reading>,
    /// When a reading that has begun is late.
    late_at: Option<tokio::time::Instant>,
}

/// What becomes of reading the configuration again.
#[derive(Debug)]
pub enum Reading {
    /// It has begun.
    Begun,
    /// It takes long, and goes on.
    Late,
    /// It has ended.
    Ended(Box<Result<Config, Problems>>),
}

/// What the thread is told.
enum Note {
    /// Something has happened to one of the files.
    Happened,
    /// The files are to be read, whether they have changed or not.
    Read,
    /// Nobody wants to know any more.
    End,
}

/// Reads the configuration, and says which files that took.
type Read = Box<dyn FnMut() -> (Result<Config, Problems>, Sources) + Send>;

impl ConfigWatch {
    /// Watches the file that `config` was read from, and all that belong to it. What has changed since then is read at once.
    pub fn begin(path: &Path, config: &Config) -> io::Result<Self> {
        let path = path.to_owned();
        Self::begin_with(config.sources().clone(), Box::new(move || Config::load_noting(&path)))
    }

    fn begin_with(sources: Sources, read: Read) -> io::Result<Self> {
        let (tell, notes) = mpsc::channel();
        // One reading at a time is under way, and no other begins before its end was taken.
        let (readings_in, readings) = tokio::sync::mpsc::channel(1);
        let notices = Notices::begin(tell.clone());
        let reader = Reader { sources, notices, read, notes, readings: readings_in };
        let thread = std::thread::Builder::new().name("configuration".into()).stack_size(STACK_BYTES);
        thread.spawn(move || reader.run())?;
        Ok(Self { tell, readings, late_at: None })
    }

    /// Has the files read again, whether they have changed or not.
    pub fn read_again(&self) {
        // Where the thread has ended, that has been said.
        let _ = self.tell.send(Note::Read);
    }

    /// Waits for the next thing that becomes of reading the files again.
    pub async fn next(&mut self) -> Reading {
        let late = async {
            match self.late_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let reading = tokio::select! {
            reading = self.readings.recv() => match reading {
                Some(reading) => reading,
                // Its end has been said.
                None => std::future::pending().await,
            },
            () = late => Reading::Late,
        };
        self.late_at = matches!(reading, Reading::Begun).then(|| tokio::time::Instant::now() + LATE);
        reading
    }
}

impl Drop for ConfigWatch {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.tell.send(Note::End);
    }
}

/// What the thread works with.
struct Reader {
    /// The files as they were when they were last read.
    sources: Sources,
    notices: Notices,
    read: Read,
    notes: mpsc::Receiver<Note>,
    readings: tokio::sync::mpsc::Sender<Reading>,
}

/// Nobody wants to know any more.
struct Ended;

impl Reader {
    fn run(mut self) {
        let watching = catch_unwind(AssertUnwindSafe(|| while self.turn().is_ok() {}));
        if watching.is_err() {
            error!("the configuration is not watched any more, because the program failed in it, which is a bug of it");
        }
    }

    /// Looks at the files, reads them where that is to be done, and waits until there may be something new.
    fn turn(&mut self) -> Result<(), Ended> {
        self.notices.follow(&self.sources);
        if self.sources.now() != self.sources {
            let is_asked = self.settle()?;
            if is_asked || self.sources.now() != self.sources {
                return self.read_now();
            }
        }
        match self.notes.recv_timeout(PERIOD) {
            Ok(Note::Happened) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(Note::Read) => self.read_now(),
            Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Waits until the files are left alone, or are to be read whatever they are: says whether they are.
    fn settle(&self) -> Result<bool, Ended> {
        let latest = Instant::now() + PATIENCE;
        let (mut seen, mut quiet_at) = (self.sources.now(), Instant::now() + QUIET);
        while let now = Instant::now()
            && now < quiet_at.min(latest)
        {
            match self.notes.recv_timeout(quiet_at.min(latest) - now) {
                Ok(Note::Read) => return Ok(true),
                Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => return Err(Ended),
                Ok(Note::Happened) | Err(RecvTimeoutError::Timeout) => {}
            }
            let current = self.sources.now();
            if current != seen {
                (seen, quiet_at) = (current, Instant::now() + QUIET);
            }
        }
        Ok(false)
    }

    fn read_now(&mut self) -> Result<(), Ended> {
        // Who has asked meanwhile is answered by this reading.
        for note in self.notes.try_iter() {
            if matches!(note, Note::End) {
                return Err(Ended);
            }
        }
        self.tell(Reading::Begun)?;
        let read = catch_unwind(AssertUnwindSafe(|| (self.read)()));
        let (config, sources) = read.unwrap_or_else(|_| {
            // What is as it is now would make it fail again.
            (Err(Problem::new(Fault::Panicked, None).into()), self.sources.now())
        });
        self.sources = match (&config, std::mem::take(&mut self.sources)) {
            (Ok(_), _) => sources,
            (Err(_), former) => sources.with_former(former.now()),
        };
        self.tell(Reading::Ended(Box::new(config)))
    }

    fn tell(&self, reading: Reading) -> Result<(), Ended> {
        self.readings.blocking_send(reading).map_err(|_| Ended)
    }
}

/// The system's notices of changes in directories.
struct Notices {
    /// None where the system gives none.
    watcher: Option<RecommendedWatcher>,
    /// The directories that are watched, and which each was: another may have come into its place.
    directories: BTreeMap<PathBuf, (u64, u64)>,
    concerned: Arc<Mutex<Concerned>>,
}

/// What notices are about. Other files, such as the outbox, may lie beside these and change all the time.
#[derive(Default)]
struct Concerned {
    /// Files, links and directories that lead to them.
    entries: BTreeSet<PathBuf>,
    /// The directories all of whose `*.toml` belong to the configuration.
    further: BTreeSet<PathBuf>,
}

impl Notices {
    fn begin(tell: mpsc::Sender<Note>) -> Self {
        let concerned = Arc::new(Mutex::new(Concerned::default()));
        let about = concerned.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) if about.lock().unwrap_or_else(PoisonError::into_inner).has(&event) => {
                // Who has ended does not want to know.
                let _ = tell.send(Note::Happened);
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "changes of the configuration are noticed late"),
        });
        let watcher = watcher.inspect_err(|error| warn!(%error, "changes of the configuration are noticed late"));
        Self { watcher: watcher.ok(), directories: BTreeMap::new(), concerned }
    }

    /// Watches every directory in which something stands that leads to one of these files, and no others.
    fn follow(&mut self, sources: &Sources) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut concerned = Concerned::default();
        for file in sources.files() {
            concerned.entries.extend(trail(file).0);
        }
        for directory in sources.directories() {
            let (entries, end) = trail(directory);
            concerned.entries.extend(entries);
            concerned.further.extend(end);
        }
        let parents = concerned.entries.iter().filter_map(|entry| entry.parent());
        let wanted = parents.chain(concerned.further.iter().map(PathBuf::as_path)).filter_map(|directory| {
            let metadata = directory.metadata().ok().filter(std::fs::Metadata::is_dir)?;
            Some((directory.to_owned(), (metadata.dev(), metadata.ino())))
        });
        let wanted: BTreeMap<_, _> = wanted.collect();
        *self.concerned.lock().unwrap_or_else(PoisonError::into_inner) = concerned;
        let is_kept = |(directory, identity): (&PathBuf, &(u64, u64))| wanted.get(directory) == Some(identity);
        for (directory, _) in self.directories.iter().filter(|known| !is_kept(*known)) {
            // One that is not there any more is watched no more already.
            let _ = watcher.unwatch(directory);
        }
        for directory in wanted.keys().filter(|known| self.directories.get(*known) != wanted.get(*known)) {
            if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                debug!(directory = %directory.display(), %error, "changes there are noticed late");
            }
        }
        self.directories = wanted;
    }
}

impl Concerned {
    fn has(&self, event: &Event) -> bool {
        let happened = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
            // Our own reading is none of our business.
            EventKind::Access(_) => false,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                true
            }
        };
        // An overflow of the system's queue names no file.
        happened && (event.paths.is_empty() || event.paths.iter().any(|path| self.has_path(path)))
    }

    fn has_path(&self, path: &Path) -> bool {
        let is_further = || {
            let is_toml = path.extension().is_some_and(|extension| extension == "toml");
            is_toml && path.parent().is_some_and(|parent| self.further.contains(parent))
        };
        self.entries.contains(path) || self.further.contains(path) || is_further()
    }
}

/// Everything that leads to a path's end: each link, directory and file on the way, by its place without links; and the end,
/// if it is there.
fn trail(path: &Path) -> (Vec<PathBuf>, Option<PathBuf>) {
    let mut entries = Vec::new();
    let Ok(path) = std::path::absolute(path) else { return (entries, None) };
    let names = |path: &Path| -> Vec<OsString> {
        let named = |component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        };
        path.components().filter_map(named).collect()
    };
    let (mut rest, mut at, mut links) = (VecDeque::from(names(&path)), PathBuf::from("/"), 0);
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let entry = at.join(name);
        entries.push(entry.clone());
        match entry.read_link() {
            Ok(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return (entries, None);
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                names(&target).into_iter().rev().for_each(|name| rest.push_front(name));
            }
            Err(_) if entry.symlink_metadata().is_ok() => at = entry,
            Err(_) => return (entries, None),
        }
    }
    (entries, Some(at))
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Happened => "Happened",
            Self::Read => "Read",
            Self::End => "End",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// Longer than any machine takes; only a test that fails waits so long.
    const LONG: Duration = Duration::from_secs(60);

    /// A place with directories, a configuration in `etc`, and whoever watches it.
    struct Place {
        directory: tempfile::TempDir,
        watch: Option<ConfigWatch>,
    }

    impl Place {
        fn new(directories: &[&str]) -> Self {
            let place = Self { directory: tempfile::tempdir().expect("a directory"), watch: None };
            for directory in directories {
                fs::create_dir_all(place.path(directory)).expect("makes");
            }
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).expect("writes");
        }

        /// Puts a link in the place of another in one step.
        fn link(&self, to: &str, name: &str) {
            let new = self.path(&format!("{name}.new"));
            symlink(to, &new).expect("links");
            fs::rename(new, self.path(name)).expect("renames");
        }

        fn begin(&mut self, config: &str) {
            let path = self.path(config);
            let loaded = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
            self.watch = Some(ConfigWatch::begin(&path, &loaded).expect("watches"));
        }

        /// Waits until the files have been read again; whether that was good.
        async fn is_read(&mut self) -> bool {
            let watch = self.watch.as_mut().expect("is watched");
            tokio::time::timeout(LONG, ended(watch)).await.expect("is noticed").is_ok()
        }

        /// That nothing is read, for longer than looking takes.
        async fn is_left_alone(&mut self) {
            let watch = self.watch.as_mut().expect("is watched");
            assert!(
                tokio::time::timeout(PERIOD + 4 * QUIET, watch.next()).await.is_err(),
                "nothing of ours has changed"
            );
        }
    }

    async fn ended(watch: &mut ConfigWatch) -> Result<Config, Problems> {
        loop {
            if let Reading::Ended(config) = watch.next().await {
                return *config;
            }
        }
    }

    /// The message of the first flow.
    const FLOW: &str = "[flows.f]\nsteps = [{ log = { message = 'x' } }]\n";

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_read_again_and_others_are_not() {
        let mut place = Place::new(&["etc"]);
        place.write("etc/hookswitch.toml", "");
        place.begin("etc/hookswitch.toml");
        place.write("etc/hookswitch.toml", FLOW);
        assert!(place.is_read().await);
        place.write("etc/new", "= = =");
        place.write("etc/outbox.db-wal", "…");
        fs::read_to_string(place.path("etc/hookswitch.toml")).expect("reads");
        place.is_left_alone().await;
        fs::rename(place.path("etc/new"), place.path("etc/hookswitch.toml")).expect("renames");
        assert!(!place.is_read().await, "it is refused");
        place.watch.as_ref().expect("is watched").read_again();
        assert!(!place.is_read().await, "it is read on demand");
    }

    #[tokio::test]
    async fn a_directory_of_further_files_is_noticed_when_it_comes_and_what_is_in_it() {
        let mut place = Place::new(&["etc"]);
        place.write("etc/hookswitch.toml", "");
        place.begin("etc/hookswitch.toml");
        fs::create_dir(place.path("etc/conf.d")).expect("makes");
        place.write("etc/conf.d/a.toml", FLOW);
        assert!(place.is_read().await);
        place.write("etc/conf.d/a.toml", "");
        assert!(place.is_read().await);
        place.write("etc/conf.d/b.txt", "…");
        place.is_left_alone().await;
        fs::remove_file(place.path("etc/conf.d/a.toml")).expect("removes");
        assert!(place.is_read().await);
    }

    #[tokio::test]
    async fn what_has_changed_since_it_was_read_is_read_at_once() {
        let mut place = Place::new(&["etc"]);
        place.write("etc/hookswitch.toml", "");
        let path = place.path("etc/hookswitch.toml");
        let config = Config::load(&path).expect("is good");
        place.write("etc/hookswitch.toml", FLOW);
        place.watch = Some(ConfigWatch::begin(&path, &config).expect("watches"));
        assert!(place.is_read().await);
    }

    #[tokio::test]
    async fn links_are_followed_at_every_part_of_a_path() {
        let mut place = Place::new(&["checkout", "volume/one", "volume/two", "secrets"]);
        for (directory, token) in [("one", "first"), ("two", "second")] {
            place.write(&format!("volume/{directory}/token"), token);
            place.write(&format!("volume/{directory}/made.toml"), "");
        }
        // As Kubernetes mounts it: a file leads to `..data/file`, and that to the directory that is replaced.
        symlink("one", place.path("volume/..data")).expect("links");
        symlink("../volume/..data/token", place.path("secrets/token")).expect("links");
        symlink("checkout", place.path("etc")).expect("links");
        symlink("../volume/..data/made.toml", place.path("checkout/hookswitch.toml")).expect("links");
        let text = "[delivery.receivers.'https://crm.example']\nbearer = { file = '../secrets/token' }\n";
        for made in ["volume/one/made.toml", "volume/two/made.toml"] {
            place.write(made, text);
        }
        place.begin("etc/hookswitch.toml");
        place.link("two", "volume/..data");
        assert!(place.is_read().await, "a directory that a link within the path leads to is replaced");
        place.write("volume/two/token", "third");
        assert!(place.is_read().await, "behind links to links a file is written");
        place.write("volume/one/token", "…");
        place.is_left_alone().await;
        place.link("../volume/one/made.toml", "checkout/hookswitch.toml");
        assert!(place.is_read().await, "the configuration's own link is replaced");
    }

    #[tokio::test]
    async fn whatever_was_refused_is_tried_again_once_it_may_be_good() {
        let mut place = Place::new(&["etc"]);
        place.write("etc/hookswitch.toml", "");
        place.begin("etc/hookswitch.toml");
        let token = "[delivery.receivers.'https://crm.example']\nbearer = { file = '../run/secrets/token' }\n";
        place.write("etc/hookswitch.toml", token);
        assert!(!place.is_read().await, "the file is not there, nor its directories");
        fs::create_dir_all(place.path("run/secrets")).expect("makes");
        place.write("run/secrets/token", "geheim");
        assert!(place.is_read().await, "the file has come");
        if !rustix::process::geteuid().is_root() {
            fs::set_permissions(place.path("run/secrets/token"), fs::Permissions::from_mode(0o000)).expect("sets");
            assert!(!place.is_read().await);
            fs::set_permissions(place.path("run/secrets/token"), fs::Permissions::from_mode(0o600)).expect("sets");
            assert!(place.is_read().await, "the file can be read");
        }
        place.write("etc/hookswitch.toml", "= = =");
        assert!(!place.is_read().await);
        place.write("run/secrets/token", "\n");
        assert!(!place.is_read().await, "a file is known of that the latest text does not come to");
        place.write("etc/hookswitch.toml", token);
        assert!(!place.is_read().await, "the secret is empty");
        place.write("run/secrets/token", "geheim");
        assert!(place.is_read().await);
    }

    #[tokio::test]
    async fn a_panic_while_reading_is_a_refusal_and_the_next_reading_comes() {
        let mut readings = 0;
        let read: Read = Box::new(move || {
            readings += 1;
            assert!(readings > 1, "a bug");
            (Ok(Config::default()), Sources::default())
        });
        let mut watch = ConfigWatch::begin_with(Sources::default(), read).expect("watches");
        watch.read_again();
        let refused = tokio::time::timeout(LONG, ended(&mut watch)).await.expect("ends").expect_err("is refused");
        assert!(refused.to_string().contains("bug"), "{refused}");
        watch.read_again();
        assert!(tokio::time::timeout(LONG, ended(&mut watch)).await.expect("ends").is_ok());
    }

    #[test]
    fn a_trail_ends_where_nothing_is_and_where_links_go_in_a_circle() {
        let place = Place::new(&["a"]);
        let root = place.directory.path().canonicalize().expect("is there");
        symlink("../b", place.path("a/b")).expect("links");
        symlink("a/b", place.path("b")).expect("links");
        assert_eq!(trail(&root.join("b")).1, None);
        let (entries, end) = trail(&root.join("a/../a/no/such"));
        assert_eq!((entries.last(), end), (Some(&root.join("a/no")), None));
        assert_eq!(trail(&root.join("a")).1, Some(root.join("a")));
    }
}
