//! The directory in which the demonstration's daemon works: its configuration and its outbox, gone afterwards.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::moment::EventName;

/// The path that webhooks are sent to.
pub(super) const HOOKS_PATH: &str = "/hooks";

/// The simulated FreeSWITCH's name.
pub(super) const NODE: &str = "simulated";

/// A directory of the demonstration's own.
#[derive(Debug)]
pub(super) struct Workplace {
    directory: PathBuf,
}

impl Workplace {
    /// Makes the directory, readable to nobody else, and writes the configuration.
    pub(super) fn create(
        freeswitch: SocketAddr,
        password: &str,
        receiver: SocketAddr,
        page: SocketAddr,
        secret: &str,
    ) -> io::Result<Self> {
        let name = format!("hookswitch-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let directory = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let workplace = Self { directory };
        let outbox = workplace.outbox();
        fs::write(workplace.config(), configuration(freeswitch, password, [receiver, page], secret, &outbox))?;
        Ok(workplace)
    }

    /// The outbox's path.
    pub(super) fn outbox(&self) -> PathBuf {
        self.directory.join("outbox.db")
    }

    /// The configuration's path.
    pub(super) fn config(&self) -> PathBuf {
        self.directory.join("hookswitch.toml")
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed is a few kilobytes in the directory for such things.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A signing secret for the time of the demonstration, between this process and itself: 24 bytes, as base64 has them.
pub(super) fn secret() -> String {
    let text: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
    format!("whsec_{text}")
}

/// Every moment of the eight events of every queue goes to the receiver, signed. `active` is left out: it is `answered` under another name.
fn configuration(
    freeswitch: SocketAddr,
    password: &str,
    [receiver, page]: [SocketAddr; 2],
    secret: &str,
    outbox: &Path,
) -> String {
    let hooks: String = (EventName::EIGHT.into_iter())
        .filter(|event| *event != EventName::Active)
        .map(|event| format!("  {{ name = \"{event}\", event = \"{event}\", flow = \"show\" }},\n"))
        .collect();
    let text = |value: &str| toml::Value::from(value).to_string();
    format!(
        "# The demonstration's configuration: every event of every queue is sent to its receiver.\n\n\
         [[freeswitch]]\nname = \"{NODE}\"\naddress = {}\npassword = {}\n\n\
         # The page, for this machine alone.\n[http]\nlisten = {}\n\n\
         [outbox]\npath = {}\n\n\
         [delivery]\nsecrets = [{}]\n\n\
         [queues.\"*\"]\nhooks = [\n{hooks}]\n\n\
         [flows.show]\nsteps = [{{ http = {{ url = {} }} }}]\n",
        text(&freeswitch.to_string()),
        text(password),
        text(&page.to_string()),
        text(&outbox.to_string_lossy()),
        text(secret),
        text(&format!("http://{receiver}{HOOKS_PATH}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_with_a_hook_for_each_event() {
        let address = "127.0.0.1:1".parse().expect("an address");
        let text = configuration(address, "a \"b\"\n", [address, address], &secret(), Path::new("/tmp/o.db"));
        let config: toml::Table = text.parse().expect("TOML");
        assert_eq!(config["queues"]["*"]["hooks"].as_array().map(Vec::len), Some(7));
        assert_eq!(config["freeswitch"][0]["password"].as_str(), Some("a \"b\"\n"));
    }

    #[test]
    fn a_secret_is_one_that_standard_webhooks_takes() {
        assert!(standardwebhooks::Webhook::new(&secret()).is_ok());
    }
}
