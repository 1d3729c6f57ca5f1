//! Tests that mount file systems, where nobody else sees them.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tells the test program that it is the one in the namespace.
const MARK: &str = "HOOKSWITCH_TEST_OWN_MOUNTS";

/// Whether this process may mount what it likes. One that may not runs the test of that name in a process that may, in a
/// mount namespace of its own, and has nothing left to do itself. Where there can be none, the test is left out, and says
/// so whether or not the test program's output is shown.
pub(crate) fn are_ours(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    // Root needs no user namespace, and others can't mount without one.
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let Some(way) = ways.into_iter().find(|way| works(way)) else {
        leave_out(test, "a mount namespace of its own: root, or user namespaces");
        return false;
    };
    let program = std::env::current_exe().expect("has a path");
    let mut command = Command::new("unshare");
    command.args(way).arg(program).args([test, "--exact", "--include-ignored", "--nocapture"]).env(MARK, "1");
    let output = command.output().expect("runs");
    print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    false
}

/// Whether a file system can be mounted so.
fn works(way: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    command.args(way).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says what a test needs that is not here.
fn leave_out(test: &str, needs: &str) {
    writeln!(std::io::stderr(), "LEFT OUT: {test} needs {needs}").expect("is written");
}

/// A disk of memory. It goes with the namespace.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it over a directory.
    pub(crate) fn mount(at: &Path, mebibytes: u64) -> Self {
        let size = format!("size={mebibytes}m");
        assert!(succeeds(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs"], at), "{} is no disk", at.display());
        Self { at: at.to_owned() }
    }

    /// Takes all that is left.
    pub(crate) fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).expect("a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("is removed");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

/// A disk in a file, which the kernel gives up when it breaks: what is open stays open, and nothing can be written any more.
pub(crate) struct FrailDisk {
    image: PathBuf,
    at: PathBuf,
}

impl FrailDisk {
    /// Makes it in a file and mounts it over a directory. None where that can't be, which is said.
    pub(crate) fn mount(test: &str, image: PathBuf, mebibytes: u64, at: &Path) -> Option<Self> {
        std::fs::File::create(&image).and_then(|file| file.set_len(mebibytes << 20)).expect("a file");
        let disk = Self { image, at: at.to_owned() };
        if succeeds(&["mkfs.ext4", "-q"], &disk.image) && disk.is_mounted() {
            return Some(disk);
        }
        leave_out(test, "loop devices and ext4");
        None
    }

    /// Breaks it.
    pub(crate) fn fail(&self) {
        assert!(succeeds(&["mount", "-o", "remount,abort"], &self.at), "it can't be broken");
    }

    /// Mends it, while nobody has a file of it open.
    pub(crate) fn mend(&self) {
        assert!(succeeds(&["umount"], &self.at), "it is in use");
        // Where it has mended something, that is told as a failure.
        succeeds(&["e2fsck", "-fy"], &self.image);
        assert!(self.is_mounted(), "it is not mended");
    }

    /// Mounts it, if that can be.
    fn is_mounted(&self) -> bool {
        let image = self.image.to_str().expect("a path");
        succeeds(&["mount", "-o", "loop", image], &self.at)
    }
}

/// Runs a command with a path behind it.
fn succeeds(command: &[&str], path: &Path) -> bool {
    let words = command.iter().map(OsStr::new).chain([path.as_os_str()]).collect::<Vec<_>>();
    let output = Command::new(words[0]).args(&words[1..]).output();
    output.is_ok_and(|output| output.status.success())
}
