//! Problems of a configuration, as a person is shown them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::fault::Fault;

/// A place in one of the configuration's files.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<NamedSource<String>>,
    pub(super) range: Range<usize>,
}

impl Place {
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.file.inner().as_bytes().get(..self.range.start).unwrap_or_default();
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        write!(f, "{}:{line}", self.file.name())
    }
}

/// One problem: what is wrong, and where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{fault}")]
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

    fn order(&self) -> (&str, usize) {
        self.place.as_ref().map_or(("", 0), |place| (place.file.name(), place.range.start))
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.fault.remedy()))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(Some("here".into()), place.range.clone());
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
            let (place, remedy) = (problem.location().unwrap_or_default(), problem.fault.remedy());
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
