//! Reading the configuration's files.

use std::fs::{File, FileType};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::report::Report;

/// The longest file: ten thousand queues with their hooks take 5 MB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The directory beside the configuration whose files are merged into it.
pub(super) const DIRECTORY: &str = "conf.d";

/// A file's text, and its name as problems show it.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) name: String,
    pub(super) text: String,
}

/// Reads the file, and `conf.d/*.toml` beside it in the order of their names.
pub(super) fn read(path: &Path, report: &Report) -> Vec<SourceFile> {
    let unreadable = |path: &Path, error: &io::Error| {
        report.refuse_whole(Fault::Unreadable { path: path.display().to_string(), reason: error.to_string() });
    };
    let directory = path.with_file_name(DIRECTORY);
    let further = further_files(&directory);
    report.note_directory(&directory, further.as_ref().ok());
    let further = further.unwrap_or_else(|error| {
        unreadable(&directory, &error);
        Vec::new()
    });
    let read = |path: PathBuf| {
        report.note_file(&path);
        match read_bounded(&path, MAX_BYTES) {
            Ok(text) => Some(SourceFile { name: path.display().to_string(), text }),
            Err(error) => {
                unreadable(&path, &error);
                None
            }
        }
    };
    std::iter::once(path.to_owned()).chain(further).filter_map(read).collect()
}

/// What tells these texts from all others.
pub(super) fn revision(files: &[SourceFile]) -> String {
    let mut hash = Sha256::new();
    for SourceFile { name, text } in files {
        for part in [name, text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether every user of the machine may read the file.
pub(super) fn is_readable_by_everybody(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Reads a text file of at most `limit` bytes. What is no file is refused before it is opened: a named pipe would wait for
/// who writes into it, and a device may do anything.
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<String> {
    refuse_others(path.metadata()?.file_type())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    // It may have been replaced meanwhile.
    refuse_others(metadata.file_type())?;
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes"));
    if metadata.len() > limit {
        return Err(too_long());
    }
    let mut text = String::new();
    file.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit { Err(too_long()) } else { Ok(text) }
}

/// Refuses what is no regular file.
fn refuse_others(found: FileType) -> io::Result<()> {
    let what = match found {
        _ if found.is_file() => return Ok(()),
        _ if found.is_dir() => "a directory",
        _ if found.is_fifo() => "a named pipe",
        _ if found.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, and not a file")))
}

/// The files of the directory that belong to the configuration, in the order of their names.
pub(super) fn further_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).expect("makes a pipe");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("pipe", &link).expect("links");
        let large = directory.path().join("large");
        File::create(&large).and_then(|file| file.set_len(17)).expect("writes");
        for (path, said) in [
            (pipe.as_path(), "a named pipe"),
            (link.as_path(), "a named pipe"),
            (Path::new("/dev/zero"), "a device"),
            (directory.path(), "a directory"),
            (large.as_path(), "longer than 16 bytes"),
        ] {
            let error = read_bounded(path, 16).expect_err("is refused").to_string();
            assert!(error.contains(said), "{}: {error}", path.display());
        }
    }
}
