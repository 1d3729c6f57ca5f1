//! The configuration's files as they were at one time, and writing them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use toml_edit::{DocumentMut, TomlError};

use super::draft::HookChange;
use super::hooks::{self, Standing};
use crate::config::file::{self, SourceFile};
use crate::config::report::Report;
use crate::config::{Config, Problems};

/// How many bytes the names of a file's attributes have at most, and each value: Linux's own limit.
const MOST_ATTRIBUTES: usize = 64 * 1_024;

/// The files, as they were read.
#[derive(Debug)]
pub struct Edition {
    path: PathBuf,
    files: Vec<SourceFile>,
}

/// A change that the daemon would take, not written yet.
#[derive(Debug)]
pub struct Changed {
    file: PathBuf,
    before: String,
    after: String,
    revision: String,
}

/// Why a configuration is not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The files are not those that whoever wants the change has seen.
    #[error("the configuration has been changed meanwhile")]
    ChangedMeanwhile,
    /// The hook is not there, or is written in a way that can't be changed by program.
    #[error("no hook `{name}` of `{pattern}` can be changed")]
    NoHook {
        /// The pattern.
        pattern: String,
        /// The hook.
        name: String,
    },
    /// A file is no TOML.
    #[error("{file} can't be read: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, without the line that it is in: a secret may stand there.
        reason: String,
    },
    /// With the change, the daemon would refuse the configuration.
    #[error("{0}")]
    Refused(#[from] Problems),
    /// A file can't be written.
    #[error("can't write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Edition {
    /// Reads the files of the configuration at `path`.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let report = Report::default();
        let files = file::read(path, &report);
        let path = path.to_owned();
        report.finish(Some(Self { path, files }))
    }

    /// What tells these texts from all others.
    pub fn revision(&self) -> String {
        file::revision(&self.files)
    }

    /// Changes the hooks of a pattern in the file that has them, and has the whole read as the daemon reads it.
    pub fn change(mut self, pattern: &str, change: &HookChange) -> Result<Changed, EditError> {
        let mut documents = Vec::new();
        for SourceFile { name, text } in &self.files {
            let parsed = text.parse::<DocumentMut>();
            documents.push(parsed.map_err(|error| syntax(name, &error))?);
        }
        let standing: Vec<Standing> = documents.iter().map(|document| hooks::standing(document, pattern)).collect();
        let best = standing.iter().copied().max().unwrap_or(Standing::Nowhere);
        let place = standing.iter().position(|standing| *standing == best).unwrap_or_default();
        let name = match change {
            HookChange::Add(draft) => draft.name.clone().unwrap_or_default(),
            HookChange::Replace(name, _) | HookChange::Enable(name, _) | HookChange::Delete(name) => name.clone(),
        };
        let missing = || EditError::NoHook { pattern: pattern.to_owned(), name };
        let document = documents.get_mut(place).ok_or(EditError::ChangedMeanwhile)?;
        hooks::change(document, pattern, change).map_err(|hooks::NoHook| missing())?;
        let file = PathBuf::from(&self.files[place].name);
        let before = std::mem::replace(&mut self.files[place].text, document.to_string());
        let (after, revision) = (self.files[place].text.clone(), self.revision());
        let config = Config::load_from(self.files, &self.path)?;
        config.require_freeswitch().map_err(Problems::from)?;
        Ok(Changed { file, before, after, revision })
    }
}

impl Changed {
    /// The file that is changed.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What tells the files, once it is written, from all others.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Writes it in one step, unless somebody was faster: whoever reads the file sees it as it was, or as it is now.
    pub fn write(&self) -> Result<(), EditError> {
        // A link goes on leading to its file.
        let file = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        if fs::read_to_string(&file).ok().as_ref() != Some(&self.before) {
            return Err(EditError::ChangedMeanwhile);
        }
        replace(&file, &self.after).map_err(|source| EditError::Write { file, source })
    }
}

fn syntax(file: &str, error: &TomlError) -> EditError {
    EditError::Syntax { file: file.to_owned(), reason: error.message().to_owned() }
}

/// Puts a text in the place of a file's. The new file is the old one's in all else, or nothing is changed.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{:08x}.new", fastrand::u32(..)));
    let new = PathBuf::from(name);
    let mut options = OpenOptions::new();
    // Nobody else reads a secret in it before it has the file's mode.
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        take_over(file, &opened)?;
        opened.sync_all()?;
        fs::rename(&new, file)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })?;
    let directory = file.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Gives a new file the owner, group, mode, access control list and other attributes of an old one, or says why it can't.
fn take_over(old: &Path, new: &File) -> io::Result<()> {
    let (wanted, own) = (old.metadata()?, new.metadata()?);
    let (user, group) = (wanted.uid(), wanted.gid());
    if (user, group) != (own.uid(), own.gid()) {
        fchown(new, Some(user), Some(group)).map_err(|error| {
            let remedy = "change it by hand, or give it to the user whom hookswitch runs as";
            let reason = format!("it would not stay that of user {user} and group {group} ({error}): {remedy}");
            io::Error::new(error.kind(), reason)
        })?;
    }
    // A change of the owner takes some bits of it away, and an access control list has the mode's within it.
    new.set_permissions(wanted.permissions())?;
    let old = File::open(old)?;
    let (wanted, own) = (attributes(&old)?, attributes(new)?);
    let unkept = |name: &str, error: Errno| {
        let reason = format!("it would lose `{name}` ({error}): change it by hand");
        io::Error::new(io::Error::from(error).kind(), reason)
    };
    // What the directory gives to new files, and this one did not have.
    for (name, _) in own.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        fremovexattr(new, name.as_str()).map_err(|error| unkept(name, error))?;
    }
    for (name, value) in wanted.iter().filter(|(name, value)| own.get(*name) != Some(value)) {
        fsetxattr(new, name.as_str(), value, XattrFlags::empty()).map_err(|error| unkept(name, error))?;
    }
    Ok(())
}

/// A file's extended attributes, its access control list among them.
fn attributes(file: &File) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; MOST_ATTRIBUTES];
    let length = match flistxattr(file, &mut names[..]) {
        Ok(length) => length,
        // A file system without them.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    names.truncate(length);
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut found = BTreeMap::new();
    for name in names {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; MOST_ATTRIBUTES];
        let length = fgetxattr(file, name.as_str(), &mut value[..])?;
        value.truncate(length);
        found.insert(name, value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::draft::HookDraft;
    use super::*;

    const HEAD: &str = "# ours\n[[freeswitch]]\nname = \"fs1\" # the first\naddress = \"127.0.0.1:8021\"\npassword = \"x\"\n\n\
        [flows.f] # a flow\nsteps = [{ log = { message = \"x\" } }]\n\n";

    fn draft(name: &str) -> HookDraft {
        let (event, flow) = ("joined".into(), "f".into());
        HookDraft { name: Some(name.into()), event, flow, when: None, enabled: true, dry_run: false }
    }

    /// What becomes of the queues.
    fn changed(queues: &str, change: &HookChange) -> Result<String, EditError> {
        let file = SourceFile { name: "test.toml".into(), text: format!("{HEAD}{queues}") };
        let edition = Edition { path: "test.toml".into(), files: vec![file] };
        let after = edition.change("q", change)?.after;
        Ok(after.strip_prefix(HEAD).expect("what stands before is as it was").to_owned())
    }

    const LINES: &str = "[queues.q]\nsla = '20s' # promised\nhooks = [\n  # the first\n  { event = \"joined\", flow = \"f\" }, # behind\n  \
        { event   = \"leaving\", flow = \"f\", expires_after = \"5s\" },   # the last\n]\n";

    #[test]
    fn a_hook_is_added_behind_the_others_and_comments_stay() {
        let after = changed(LINES, &HookChange::Add(draft("new"))).expect("is changed");
        let expected =
            LINES.replace("# the last\n]", "# the last\n  { name = \"new\", event = \"joined\", flow = \"f\" },\n]");
        assert_eq!(after, expected);
    }

    #[test]
    fn a_list_in_one_line_or_none_gets_lines() {
        let new = "  { name = \"new\", event = \"joined\", flow = \"f\" },\n]\n";
        let add = HookChange::Add(draft("new"));
        let one = "[queues.q]\nhooks = [{ event = \"joined\", flow = \"f\" }]\n";
        let after = changed(one, &add).expect("is changed");
        assert_eq!(after, format!("[queues.q]\nhooks = [\n  {{ event = \"joined\", flow = \"f\" }},\n{new}"));
        for queues in ["[queues.q]\n", "[queues.q]\nhooks = []\n"] {
            assert_eq!(changed(queues, &add).expect("is changed"), format!("[queues.q]\nhooks = [\n{new}"));
        }
        let others = "[queues.\"*\"] # all\nsla = \"5s\"\n";
        assert_eq!(changed(others, &add).expect("is changed"), format!("{others}\n[queues.q]\nhooks = [\n{new}"));
        assert_eq!(
            changed("", &add).expect("is changed").trim_end(),
            format!("[queues.q]\nhooks = [\n{new}").trim_end()
        );
    }

    #[test]
    fn a_hook_is_changed_in_its_place_and_keeps_what_the_draft_does_not_say() {
        let mut other = draft("late");
        other.event = "leaving".into();
        other.when = Some("wait_sec > 60 and member_name != \"x\"".into());
        let after = changed(LINES, &HookChange::Replace("1".into(), other)).expect("is changed");
        assert!(after.contains("expires_after = \"5s\""), "{after}");
        assert!(after.contains("when = 'wait_sec > 60 and member_name != \"x\"'"), "{after}");
        assert!(after.contains("# the first") && after.contains("# behind") && after.contains("# the last"), "{after}");
        let paused = changed(LINES, &HookChange::Enable("0".into(), false)).expect("is changed");
        assert!(paused.contains("{ event = \"joined\", flow = \"f\", enabled = false }, # behind"), "{paused}");
    }

    #[test]
    fn a_hook_is_deleted_with_its_comments_and_the_others_keep_their_names() {
        let after = changed(LINES, &HookChange::Delete("0".into())).expect("is changed");
        let expected = "[queues.q]\nsla = '20s' # promised\nhooks = [\n  \
            { event = \"leaving\", flow = \"f\", expires_after = \"5s\", name = \"1\" },   # the last\n]\n";
        assert_eq!(after, expected);
        let after = changed(LINES, &HookChange::Delete("1".into())).expect("is changed");
        assert_eq!(
            after,
            LINES.lines().filter(|line| !line.contains("leaving")).map(|l| format!("{l}\n")).collect::<String>()
        );
    }

    #[test]
    fn tables_of_hooks_are_changed_too() {
        let tables = "[queues.q]\n\n# why\n[[queues.q.hooks]]\nevent = \"joined\" # when\nflow = \"f\"\n";
        let added = changed(tables, &HookChange::Add(draft("new"))).expect("is changed");
        assert_eq!(added, format!("{tables}\n[[queues.q.hooks]]\nname = \"new\"\nevent = \"joined\"\nflow = \"f\"\n"));
        let paused = changed(tables, &HookChange::Enable("0".into(), false)).expect("is changed");
        assert_eq!(paused, format!("{tables}enabled = false\n"));
        assert_eq!(changed(&added, &HookChange::Delete("new".into())).expect("is changed"), tables);
    }

    #[test]
    fn hooks_are_changed_in_the_file_that_has_them() {
        let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
        let main = file("main.toml", &format!("{HEAD}[queues.q]\nsla = '20s'\n"));
        let further = file("further.toml", "[queues.q]\nhooks = [{ event = 'joined', flow = 'f' }]\n");
        let edition = Edition { path: "main.toml".into(), files: vec![main, further] };
        let changed = edition.change("q", &HookChange::Enable("0".into(), false)).expect("is changed");
        assert_eq!(changed.file(), Path::new("further.toml"));
        assert_eq!(changed.after, "[queues.q]\nhooks = [{ event = 'joined', flow = 'f', enabled = false }]\n");
    }

    #[test]
    fn a_name_that_is_a_number_stays_when_its_hook_is_changed() {
        let kept = changed(LINES, &HookChange::Delete("0".into())).expect("is changed");
        let mut other = draft("");
        other.name = None;
        let after = changed(&kept, &HookChange::Replace("1".into(), other)).expect("is changed");
        assert!(after.contains("name = \"1\""), "{after}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_of_without_its_secrets() {
        let refused =
            changed("password = \"geheim\" geheim\n", &HookChange::Delete("0".into())).expect_err("is refused");
        assert!(matches!(refused, EditError::Syntax { .. }) && !format!("{refused:?}").contains("geheim"), "{refused}");
    }

    #[test]
    fn what_the_daemon_would_refuse_is_not_written() {
        let mut wrong = draft("new");
        wrong.when = Some("no_such_field".into());
        let refused = changed(LINES, &HookChange::Add(wrong)).expect_err("is refused");
        assert!(refused.to_string().contains("no_such_field"), "{refused}");
        assert!(matches!(changed(LINES, &HookChange::Delete("7".into())), Err(EditError::NoHook { .. })));
    }

    #[test]
    fn a_file_is_replaced_in_one_step_keeps_its_mode_and_is_left_alone_when_it_has_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hookswitch.toml");
        fs::write(&path, format!("{HEAD}{LINES}")).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("sets");
        let read = || Edition::read(&path).expect("reads");
        let revision = read().revision();
        let changed = read().change("q", &HookChange::Add(draft("new"))).expect("is good");
        changed.write().expect("is written");
        assert_eq!(path.metadata().expect("is there").permissions().mode() & 0o777, 0o640);
        assert_eq!(directory.path().read_dir().expect("reads").count(), 1, "nothing else is left");
        assert_ne!(read().revision(), revision);
        assert!(matches!(changed.write(), Err(EditError::ChangedMeanwhile)));
    }

    #[test]
    fn a_file_that_is_replaced_keeps_owner_group_access_list_and_attributes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hookswitch.toml");
        fs::write(&path, "old").expect("writes");
        let file = File::open(&path).expect("opens");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_533), Some(65_532)).expect("sets");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("sets");
        // The owner reads and writes, user 65534 and the group read, others do not.
        let entries: [(u16, u16, u32); 5] =
            [(1, 6, u32::MAX), (2, 4, 65_534), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            list.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
        }
        for (name, value) in [("system.posix_acl_access", &list[..]), ("user.origin", b"git")] {
            // Not every file system has them.
            match fsetxattr(&file, name, value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
        let state = |path: &Path| {
            let metadata = path.metadata().expect("is there");
            let kept = attributes(&File::open(path).expect("opens")).expect("reads");
            (metadata.uid(), metadata.gid(), metadata.mode(), kept)
        };
        let before = state(&path);
        replace(&path, "new").expect("is replaced");
        assert_eq!((fs::read_to_string(&path).expect("reads").as_str(), state(&path)), ("new", before));
    }
}
