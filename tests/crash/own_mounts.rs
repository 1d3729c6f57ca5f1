//! Tests that mount file systems, where nobody else sees them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tells the test program that it is the one in the namespace.
const MARK: &str = "HOOKSWITCH_TEST_OWN_MOUNTS";

/// Whether this process may mount what it likes. One that may not runs the test of that name in a process that may, a mount
/// namespace of its own, and has nothing left to do itself. Where there can be none, the test is left out, and says so
/// whether or not the test program's output is shown.
pub(crate) fn are_ours(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    // Root needs no user namespace, and others can't mount without one.
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let Some(way) = ways.into_iter().find(|way| works(way)) else {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "LEFT OUT: {test} needs a mount namespace of its own (root, or user namespaces)")
            .expect("writes");
        return false;
    };
    let program = std::env::current_exe().expect("has a path");
    let mut command = Command::new("unshare");
    command.args(way).arg(program).args([test, "--exact", "--include-ignored", "--nocapture"]).env(MARK, "1");
    let done = command.output().expect("runs");
    print!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}", done.status);
    false
}

/// Whether a file system can be mounted so.
fn works(way: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    command.args(way).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A small disk. It goes with the namespace.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it over a directory.
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(at);
        assert!(mount.status().expect("runs").success(), "nothing is mounted at {}", at.display());
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
