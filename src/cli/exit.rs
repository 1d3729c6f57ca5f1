//! The exit codes, as `hookswitch --help` tells them.

/// Something went wrong while the command ran.
pub const FAILURE: u8 = 1;

/// The arguments or the configuration are wrong.
pub const CONFIGURATION: u8 = 2;

/// What they mean, for the help text.
pub const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong arguments or a wrong configuration.";
