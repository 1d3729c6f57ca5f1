//! Hooks: which flows a moment starts.
