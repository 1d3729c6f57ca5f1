//! The module telemetry.
