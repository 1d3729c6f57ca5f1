//! The hookswitch program: see `hookswitch --help`, and the library for how it is built.

use std::process::ExitCode;

fn main() -> ExitCode {
    if fail::has_failpoints() {
        // Only in tests: `FAILPOINTS` says where the program ends itself.
        std::mem::forget(fail::FailScenario::setup());
    }
    // Without one provider chosen, TLS panics at run time where several are linked.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    hookswitch::cli::main()
}
