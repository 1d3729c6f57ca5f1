//! The module cli.
