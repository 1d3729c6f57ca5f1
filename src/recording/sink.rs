//! A recording's file, and what is done to frames before they get there.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::redaction::Redaction;

/// zstd's own default: some 300 MB a second, and a fiftieth of the size.
const COMPRESSION_LEVEL: i32 = 3;

/// Where frames go.
pub struct Sink {
    redaction: Option<Redaction>,
    /// What the redaction made of the frames that are being written.
    redacted: Vec<u8>,
    output: Output,
}

enum Output {
    Plain(Box<dyn Write + Send>),
    Compressed(zstd::Encoder<'static, Box<dyn Write + Send>>),
}

impl Sink {
    /// A new file, readable to nobody else: it tells who called whom. Compressed if its name ends in `.zst`.
    pub fn create(path: &Path, redaction: Option<Redaction>) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let compressed = path.extension().is_some_and(|extension| extension == "zst");
        Self::to(Box::new(file), compressed, redaction)
    }

    /// Any other place.
    pub fn to(place: Box<dyn Write + Send>, compressed: bool, redaction: Option<Redaction>) -> io::Result<Self> {
        let output = match compressed {
            true => Output::Compressed(zstd::Encoder::new(place, COMPRESSION_LEVEL)?),
            false => Output::Plain(place),
        };
        Ok(Self { redaction, redacted: Vec::new(), output })
    }

    /// Writes bytes of frames. What is redacted may wait for the frame's end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(redaction) = &mut self.redaction else { return self.output.writer().write_all(bytes) };
        self.redacted.clear();
        let redacted = redaction.redact(bytes, &mut self.redacted);
        self.output.writer().write_all(&self.redacted)?;
        redacted.map_err(io::Error::other)
    }

    /// Puts everything that was written into the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.writer().flush()
    }

    /// Ends the file.
    pub fn finish(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Plain(file) => file.flush(),
            Output::Compressed(encoder) => {
                encoder.do_finish()?;
                encoder.get_mut().flush()
            }
        }
    }

    /// The redaction, which knows what it left out.
    pub fn redaction(&self) -> Option<&Redaction> {
        self.redaction.as_ref()
    }
}

impl Output {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(file) => file,
            Self::Compressed(encoder) => encoder,
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("redaction", &self.redaction).finish_non_exhaustive()
    }
}
