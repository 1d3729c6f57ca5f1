//! Reading the configuration's files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

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
    let further = further_files(&directory).unwrap_or_else(|error| {
        unreadable(&directory, &error);
        Vec::new()
    });
    let read = |path: PathBuf| match read_bounded(&path, MAX_BYTES) {
        Ok(text) => Some(SourceFile { name: path.display().to_string(), text }),
        Err(error) => {
            unreadable(&path, &error);
            None
        }
    };
    std::iter::once(path.to_owned()).chain(further).filter_map(read).collect()
}

/// Whether every user of the machine may read the file.
pub(super) fn is_readable_by_everybody(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Reads a text file of at most `limit` bytes, even where the path names something endless.
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes")));
    }
    Ok(text)
}

fn further_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
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
