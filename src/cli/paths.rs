//! Where files are, unless somebody says otherwise: after the Filesystem Hierarchy Standard for root and for services, after
//! the XDG Base Directory Specification for everybody else.

use std::ffi::OsString;
use std::path::PathBuf;

/// The configuration of the system.
const CONFIGURATION: &str = "/etc/hookswitch/hookswitch.toml";

/// The outbox of the system.
const OUTBOX: &str = "/var/lib/hookswitch/outbox.db";

/// The configuration that commands read: the user's own where there is one, else the system's.
pub(super) fn configuration() -> PathBuf {
    of_user().map(|user| user.configuration).filter(|path| path.exists()).unwrap_or_else(|| CONFIGURATION.into())
}

/// Where a new configuration and its outbox belong.
pub(super) fn new() -> Paths {
    of_user().unwrap_or_else(|| Paths { configuration: CONFIGURATION.into(), outbox: OUTBOX.into() })
}

/// Where a configuration and its outbox are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    pub(super) configuration: PathBuf,
    pub(super) outbox: PathBuf,
}

fn of_user() -> Option<Paths> {
    if rustix::process::geteuid().is_root() { None } else { in_environment(|name| std::env::var_os(name)) }
}

/// The user's files; none without a home.
fn in_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Paths> {
    // A relative path is to be ignored, says the specification.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = |name: &str, under_home: &str| absolute(name).or_else(|| Some(absolute("HOME")?.join(under_home)));
    Some(Paths {
        configuration: base("XDG_CONFIG_HOME", ".config")?.join("hookswitch/hookswitch.toml"),
        outbox: base("XDG_STATE_HOME", ".local/state")?.join("hookswitch/outbox.db"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(variables: &[(&str, &str)]) -> Option<Paths> {
        in_environment(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_users_files_are_under_the_home_unless_xdg_says_otherwise() {
        let home = paths(&[("HOME", "/home/ada")]).expect("paths");
        assert_eq!(home.configuration, PathBuf::from("/home/ada/.config/hookswitch/hookswitch.toml"));
        assert_eq!(home.outbox, PathBuf::from("/home/ada/.local/state/hookswitch/outbox.db"));
        let xdg = paths(&[("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "relative")]);
        let xdg = xdg.expect("paths");
        assert_eq!(xdg.configuration, PathBuf::from("/c/hookswitch/hookswitch.toml"));
        assert_eq!(xdg.outbox, home.outbox);
        assert_eq!(paths(&[]), None);
    }
}
