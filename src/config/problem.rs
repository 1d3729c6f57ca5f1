//! Problems of a configuration, as a person is shown them.

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, NamedSource,
    SourceCode, SourceSpan, SpanContents,
};

use super::fault::Fault;
use crate::printable::{Spelling, printable};

/// The most text that is drawn around a place.
const MAX_DRAWN_BYTES: usize = 4_096;

/// How much of a line that is too long is drawn before and behind a place.
const MAX_BEFORE: usize = 60;

/// A place in one of the configuration's files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<NamedSource<String>>,
    pub(super) range: Range<usize>,
}

impl Place {
    /// As much of its range as is drawn.
    fn shown(&self) -> Range<usize> {
        let end = self.file.inner().floor_char_boundary(self.range.start + MAX_DRAWN_BYTES / 2);
        self.range.start..self.range.end.min(end)
    }

    /// The part of this place, which holds a quoted text, where `range` of `text` stands; the whole where escapes hide it.
    pub(super) fn within(&self, text: &str, range: Option<Range<usize>>) -> Self {
        let written = self.file.inner().get(self.range.clone()).unwrap_or_default();
        match (range, written.find(text)) {
            (Some(range), Some(offset)) if range.end <= text.len() => {
                let start = self.range.start + offset;
                Self { file: Arc::clone(&self.file), range: start + range.start..start + range.end }
            }
            _ => self.clone(),
        }
    }
}

/// Gives the lines around a place; of lines that are too long to be drawn only what is next to it.
impl SourceCode for Place {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let lines = self.file.read_span(span, lines_before, lines_after)?;
        if lines.data().len() <= MAX_DRAWN_BYTES {
            return Ok(lines);
        }
        let (text, at) = (self.file.inner(), span.offset());
        let bytes = text.as_bytes();
        let from = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1);
        let to = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        let start = text.floor_char_boundary(at.saturating_sub(MAX_BEFORE)).max(from);
        let end = text.ceil_char_boundary(at + span.len() + MAX_BEFORE).min(to).max(at);
        let line = memchr::memchr_iter(b'\n', &bytes[..from]).count();
        let data = &bytes[start..end];
        let (window, name) = ((start, data.len()).into(), self.file.name().to_owned());
        Ok(Box::new(MietteSpanContents::new_named(name, data, window, line, start - from, 1)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.file.inner().as_bytes().get(..self.range.start).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        write!(f, "{}:{line}", self.file.name())
    }
}

/// One problem: what is wrong, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What is wrong.
    pub fault: Fault,
    place: Option<Place>,
}

impl Problem {
    pub(super) fn new(fault: Fault, place: Option<Place>) -> Self {
        Self { fault, place }
    }

    /// The file's name and the line, where the problem has them.
    pub fn location(&self) -> Option<String> {
        self.place.as_ref().map(Place::to_string)
    }

    /// What can be done about it.
    pub fn remedy(&self) -> String {
        printable(&self.fault.remedy())
    }

    fn order(&self) -> (&str, usize) {
        self.place.as_ref().map_or(("", 0), |place| (place.file.name(), place.range.start))
    }
}

/// What the file says comes up in it, as a terminal may have it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Spelling(f), "{}", self.fault)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.remedy()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| place as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(Some("here".into()), place.shown());
        Some(Box::new(std::iter::once(label)))
    }
}

/// All problems of a configuration: never empty.
#[derive(Clone, Debug)]
pub struct Problems(Vec<Problem>);

/// How problems are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// With colours and lines, for a terminal.
    Terminal,
    /// With plain characters, for everything else.
    Plain,
}

/// How many problems are drawn: nobody reads more at once.
const MAX_DRAWN: usize = 100;

/// How wide the drawing is: as the narrowest common terminal, and the same everywhere.
const WIDTH: usize = 100;

impl Problems {
    /// The problems in the order of their files and places; `None` if there are none.
    pub(super) fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        if problems.is_empty() { None } else { Some(Self(problems)) }
    }

    /// Tells each in a log line of its own, with its place and remedy.
    pub fn log(&self) {
        for problem in self.iter().take(MAX_DRAWN) {
            let (place, remedy) = (problem.location().unwrap_or_default(), problem.remedy());
            tracing::error!(place, remedy, "{problem}");
        }
    }

    /// The problems, in the order of their files and places.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The problems as a person reads them: each with its line, and the remedy.
    pub fn draw(&self, drawing: Drawing) -> String {
        let theme = match drawing {
            Drawing::Terminal => GraphicalTheme::unicode(),
            Drawing::Plain => GraphicalTheme::none(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
        let mut text = String::new();
        for problem in self.0.iter().take(MAX_DRAWN) {
            if handler.render_report(&mut text, problem).is_err() {
                text.push_str(&problem.to_string());
            }
            text.push('\n');
        }
        if self.0.len() > MAX_DRAWN {
            text.push_str(&format!("… and {} more\n", self.0.len() - MAX_DRAWN));
        }
        text
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            if let Some(location) = problem.location() {
                write!(f, "{location}: ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::printable::steers;

    fn drawn(text: &str, drawing: Drawing) -> String {
        Config::from_toml("a\u{1b}b.toml", text).expect_err("is refused").draw(drawing)
    }

    #[test]
    fn what_a_file_says_steers_no_terminal() {
        for text in [
            "\"un\\u001b[31m\\u009b2J\\u202eknown\" = 1\n",
            "\"un\u{9b}2J\u{202e}\u{200b}known\" = 1\n",
            "[flows.f\u{1b}[2Jg]\nsteps = \"\u{7f}\u{9b}\"\n",
            "[flows.f]\nsteps = [{ log = { message = \"\u{9b}2J\u{202e} {{ nofield }}\" } }]\n",
            "[flows.f]\nsteps = [{ http = { url = \"ft\\u001b[2Jp://\\u009b\" } }]\n",
        ] {
            let plain = drawn(text, Drawing::Plain);
            assert!(!plain.contains(|c| steers(c) && c != '\n'), "{plain:?}");
            let bare = anstream::adapter::strip_str(&drawn(text, Drawing::Terminal)).to_string();
            assert!(!bare.contains(|c| steers(c) && c != '\n'), "{bare:?}");
            let problems = Config::from_toml("a", text).expect_err("is refused").to_string();
            assert!(!problems.contains(steers), "{problems:?}");
        }
    }

    #[test]
    fn of_a_long_line_is_drawn_what_is_next_to_the_place() {
        for wide in ["x", "é", "\u{1f600}"] {
            for length in [1_000, 70_000, 2_000_000] {
                let text = wide.repeat(length / wide.len());
                let step = format!(
                    "{{ log = {{ message = \"{text}\" }} }}, {{ log = {{ message = \"{{{{ nofield }}}}\" }} }}, "
                );
                let drawn =
                    drawn(&format!("[flows.f]\nsteps = [{}{step}]\nfurther = 1\n", step.repeat(2)), Drawing::Plain);
                assert!(drawn.len() < 40_000, "{length} of {wide}: {} bytes", drawn.len());
                assert!(drawn.contains("there is no field `nofield`") && drawn.contains(":2:"), "{drawn}");
                assert!(drawn.contains("{{ nofield }}"), "{drawn}");
            }
        }
    }
}
