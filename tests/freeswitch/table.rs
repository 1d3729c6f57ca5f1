//! The summary of a run.

use std::time::Duration;

/// A scenario and what became of it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static [&'static str],
    pub(crate) seen: Vec<String>,
    pub(crate) differences: Vec<String>,
    pub(crate) took: Duration,
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    println!("\n{:width$}  {:>6}  ok  expected; what was seen stands below where it differs", "scenario", "took");
    for row in rows {
        let ok = if row.differences.is_empty() { "yes" } else { "NO " };
        let expected = if row.expected.is_empty() { vec!["no hook"] } else { row.expected.to_vec() };
        for (place, line) in expected.iter().enumerate() {
            match place {
                0 => println!("{:width$}  {:>4.1} s  {ok} {line}", row.name, row.took.as_secs_f64()),
                _ => println!("{:width$}  {:6}      {line}", "", ""),
            }
        }
        if row.seen != row.expected {
            row.seen.iter().for_each(|line| println!("{:width$}  {:>6}      {line}", "", "seen"));
        }
        row.differences.iter().for_each(|line| println!("{:width$}  {:>6}      {line}", "", "differs"));
    }
    let right = rows.iter().filter(|row| row.differences.is_empty()).count();
    println!("\n{right} of {} scenarios agree", rows.len());
}
