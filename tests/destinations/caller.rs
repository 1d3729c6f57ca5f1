//! Callers who call themselves what would harm a careless program.

/// Their names; none has a NUL, which texts in PostgreSQL can't hold.
pub(crate) const NAMES: [&str; 9] = [
    "Ada",
    "Robert'); DROP TABLE calls;--",
    "\"quoted\" \\ 'single' $1 ${HOME}",
    "{{ 7*7 }}{% raw %}",
    "line one\r\nBcc: victim@example.com\r\n\r\nbody",
    "a.b > * #",
    "<script>alert(1)</script>",
    "Zoë 🦉 \u{202e}gnp",
    ".\r\n.\r\nMAIL FROM:<x@y>",
];
