//! A library for receivers, asked through a script of its language.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::request::Request;

/// A library: who runs its script, and where it finds its modules.
pub(crate) struct Library {
    program: &'static str,
    script: &'static str,
    modules: Option<(&'static str, &'static str)>,
}

pub(crate) const PYTHON: Library = Library {
    program: "target/standardwebhooks/python/bin/python",
    script: "tests/signature/verify.py",
    modules: None,
};

pub(crate) const JAVASCRIPT: Library = Library {
    program: "node",
    script: "tests/signature/verify.cjs",
    modules: Some(("NODE_PATH", "target/standardwebhooks/javascript/node_modules")),
};

impl Library {
    /// Whether the library takes each request of a sender who is known by the secret.
    pub(crate) fn verify<'a>(&self, requests: impl Iterator<Item = (&'a str, &'a Request)>) -> Vec<bool> {
        let question: Vec<_> = requests
            .map(|(secret, Request { id, timestamp, signature, body })| {
                json!({ "secret": secret, "id": id, "timestamp": timestamp, "signature": signature, "body": body })
            })
            .collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // A program without a path is looked for where programs are.
        let program = if self.program.contains('/') { root.join(self.program) } else { self.program.into() };
        let mut command = Command::new(&program);
        command.arg(root.join(self.script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(self.modules.map(|(variable, path)| (variable, root.join(path))));
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut input = process.stdin.take().expect("a pipe");
        input.write_all(json!(question).to_string().as_bytes()).expect("asks");
        drop(input);
        let answer = process.wait_with_output().expect("answers");
        assert!(answer.status.success(), "the script has failed");
        serde_json::from_slice(&answer.stdout).expect("a list of truth values")
    }
}
