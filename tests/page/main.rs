//! The page: who is let in, asked by a plain client; and what somebody sees and does, in a real Chromium.
//!
//! The tests with a browser are run by `tests/run`, which installs it. They write a picture of each page in both themes to
//! `target/page`, to be looked at.

mod browser;
mod demo;
mod guard;
mod heavy;
mod hooks;
mod look;
mod sign_in;
mod stage;
