//! Figures as Prometheus reads them: its text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::histogram::{BOUNDS, Measured};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of figures.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// One figure's samples, being written.
#[derive(Debug)]
pub struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Something that only grows until the daemon ends.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Something that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Durations by their length.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { page: &mut self.0, name }
    }
}

impl Family<'_> {
    /// Adds a sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// Adds the samples of a histogram.
    pub fn measured(&mut self, labels: &[(&str, &str)], measured: &Measured) -> &mut Self {
        let bounds = BOUNDS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(measured.up_to.into_iter().chain([measured.count])) {
            self.line("_bucket", &[labels, &[("le", &bound)]].concat(), count);
        }
        self.line("_sum", labels, measured.sum.as_secs_f64());
        self.line("_count", labels, measured.count);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let label = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels = labels.iter().map(label).collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let name = self.name;
        writeln!(self.page, "{name}{suffix}{labels} {value}").expect("a text takes everything");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_whatever_characters_stays_within_its_label() {
        let mut page = Exposition::default();
        page.gauge("calls", "Calls.").sample(&[("queue", "a\"b\\c\nd")], 3).sample(&[], 0.5);
        let text = page.into_text();
        assert_eq!(text, "# HELP calls Calls.\n# TYPE calls gauge\ncalls{queue=\"a\\\"b\\\\c\\nd\"} 3\ncalls 0.5\n");
    }
}
