//! `hookswitch init`: a commented configuration to begin with.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::paths::{self, Paths};

/// The commented example, which the tests check.
const EXAMPLE: &str = include_str!("../../conf/hookswitch.toml");

/// The signing secret's file, beside the configuration.
const SECRET: &str = "webhook.secret";

/// The configuration can hold a password: its group may read it, so that an administrator needs not be the service.
const CONFIGURATION_MODE: u32 = 0o640;
const SECRET_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o750;

/// The characters of base64, of which six random bits name one.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many of them the secret has: 36 bytes, of the 24 to 64 that Standard Webhooks allows.
const SECRET_CHARACTERS: usize = 48;

/// The arguments of `init`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to write the configuration; its signing secret goes beside it.
    #[arg(long, short, value_name = "FILE", default_value_os_t = paths::new().configuration)]
    config: PathBuf,
    /// Where the outbox will be.
    #[arg(long, value_name = "FILE", default_value_os_t = paths::new().outbox)]
    outbox: PathBuf,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Nothing that is there is overwritten.
    #[error("{} is there already, and is left as it is", .0.display())]
    Exists(PathBuf),
    /// A file or directory can't be made.
    #[error("can't write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// What was done can't be told.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// Writes the configuration and a signing secret, and tells what to do next.
pub fn run(args: Args) -> Result<ExitCode, InitError> {
    let Args { config, outbox } = args;
    let secret = config.with_file_name(SECRET);
    if let Some(there) = [&config, &secret].into_iter().find(|path| path.exists()) {
        return Err(InitError::Exists(there.clone()));
    }
    for directory in [config.parent(), outbox.parent()].into_iter().flatten() {
        let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
        made.map_err(|source| InitError::Write { path: directory.to_owned(), source })?;
    }
    write_new(&secret, SECRET_MODE, &format!("{}\n", signing_secret()?))?;
    if let Err(failure) = write_new(&config, CONFIGURATION_MODE, &configuration(&outbox)) {
        // A secret that nothing names would only stand in the way of the next try.
        let _ = fs::remove_file(&secret);
        return Err(failure);
    }
    tell(&Paths { configuration: config, outbox }, &secret, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), InitError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Write { path: path.to_owned(), source },
    })
}

/// The example, with a secret of its own, and starting nothing before somebody has looked at it.
fn configuration(outbox: &Path) -> String {
    let path = toml::Value::from(&*outbox.to_string_lossy()).to_string();
    EXAMPLE
        .replace("path = \"/var/lib/hookswitch/outbox.db\"", &format!("path = {path}"))
        .replace("# secrets = [{ env = \"WEBHOOK_SECRET\" }]", &format!("secrets = [{{ file = \"{SECRET}\" }}]"))
        .replace("dry_run = false", "dry_run = true ")
        .replace(
            "password = { env = \"ESL_PASSWORD\" }        #",
            "password = \"ClueCon\"        # { env = \"NAME\" },",
        )
}

/// A secret as Standard Webhooks writes it.
fn signing_secret() -> Result<String, InitError> {
    let mut bytes = [0; SECRET_CHARACTERS];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| InitError::Random)?;
    let text: String = bytes.iter().map(|byte| char::from(BASE64[usize::from(byte & 63)])).collect();
    Ok(format!("whsec_{text}"))
}

fn tell(paths: &Paths, secret: &Path, out: &mut impl Write) -> io::Result<()> {
    let config = paths.configuration.display();
    writeln!(out, "Wrote {config} and a new signing secret, {}.", secret.display())?;
    writeln!(out, "\nNext:")?;
    writeln!(out, "  1. Write FreeSWITCH's address and password, your queues and your receivers into {config}.")?;
    writeln!(out, "  2. hookswitch check --connect --config {config}")?;
    writeln!(out, "  3. hookswitch run --config {config}")?;
    writeln!(out, "     It only logs what it would start, until `dry_run = false`.")?;
    if rustix::process::geteuid().is_root() {
        let directory = paths.configuration.parent().unwrap_or(Path::new("."));
        writeln!(
            out,
            "\nA service that runs as another user must own these files: chown -R USER: {}",
            directory.display()
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_written_is_a_good_configuration_that_starts_nothing() {
        let text = configuration(Path::new("/home/ada \"x\"/outbox.db"));
        let config = Config::from_toml("init", &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(config.daemon.dry_run);
        assert_eq!(config.outbox.path, Path::new("/home/ada \"x\"/outbox.db"));
        assert_eq!(config.freeswitch[0].password.expose(), "ClueCon");
        assert!(text.contains(&format!("\nsecrets = [{{ file = \"{SECRET}\" }}]\n")));
    }

    #[test]
    fn secrets_are_good_and_differ() {
        let [one, other] = [(); 2].map(|()| signing_secret().expect("random bytes"));
        assert_ne!(one, other);
        assert!(standardwebhooks::Webhook::new(&one).is_ok());
    }
}
