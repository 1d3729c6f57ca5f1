//! How large templates and expressions may be.
//!
//! The engine's parser bounds the nesting of brackets and blocks, but not chains of operators, filters, attributes and
//! branches, each of which is one call deeper in the parser and in whatever walks the tree afterwards. The engine's lexer
//! doesn't recurse, so what it finds is counted before anything else reads the text.

use std::ops::Range;

use minijinja::Error;
use minijinja::machinery::{Span, Token, tokenize};

use super::check::TemplateError;
use super::engine;

/// The longest expression: a condition that a person can still read is a tenth of it.
pub(super) const MAX_EXPRESSION_BYTES: usize = 8 * 1024;

/// The longest text with tags: a mail with its markup. The engine counts columns in 16 bits.
pub(super) const MAX_TEMPLATE_BYTES: usize = 60 * 1024;

/// The most tokens (names, literals, operators, brackets) of an expression or a tag. One can be one call deeper in the
/// parser, which needs 8,000 to use up a worker's stack of 2 MiB.
pub(super) const MAX_TOKENS: usize = 512;

/// The most tokens of a template's tags together.
pub(super) const MAX_ALL_TOKENS: usize = 8 * 1024;

/// The most brackets within each other.
pub(super) const MAX_BRACKETS: usize = 16;

/// The most blocks within each other.
const MAX_BLOCKS: usize = 24;

/// The most `elif` of the blocks within each other: each is one deeper in the tree.
const MAX_BRANCHES: usize = 64;

/// Whether the text is an expression or a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// The text is one expression.
    Expression,
    /// The text has tags.
    Template,
}

/// What has been counted.
#[derive(Default)]
struct Counter<'a> {
    in_tag: usize,
    in_all: usize,
    brackets: usize,
    /// The open blocks, each with its branches.
    blocks: Vec<usize>,
    /// The word that a block's tag begins with, and whether it assigns.
    statement: Option<&'a str>,
    assigns: bool,
}

impl Language {
    /// What the engine found while it parsed the text.
    pub(super) fn fault(self, source: &str, error: &Error) -> Vec<TemplateError> {
        match self {
            Self::Expression => TemplateError::of_expression(source, error),
            Self::Template => TemplateError::of_template(source, error),
        }
    }
}

/// Refuses a text that is too large to be parsed, or of which the lexer can't make tokens.
pub(super) fn check(source: &str, language: Language) -> Result<(), Vec<TemplateError>> {
    let (what, limit) = match language {
        Language::Expression => ("expression", MAX_EXPRESSION_BYTES),
        Language::Template => ("template", MAX_TEMPLATE_BYTES),
    };
    if source.len() > limit {
        return Err(vec![TemplateError::TooLong { what, limit }]);
    }
    let mut counter = Counter::default();
    for token in tokenize(source, language == Language::Expression, engine::syntax()) {
        let (token, span) = token.map_err(|error| language.fault(source, &error))?;
        counter
            .count(&token)
            .map_err(|(what, limit)| vec![TemplateError::TooComplex { what, limit, range: Some(range(span)) }])?;
    }
    Ok(())
}

/// A span in bytes of the text.
pub(super) fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

impl<'a> Counter<'a> {
    /// Counts one token; what there is too much of comes back with its limit.
    fn count(&mut self, token: &Token<'a>) -> Result<(), (&'static str, usize)> {
        match token {
            Token::TemplateData(_) => return Ok(()),
            Token::VariableStart | Token::BlockStart => {
                (self.in_tag, self.brackets, self.assigns, self.statement) = (0, 0, false, None);
            }
            Token::BlockEnd => self.end_statement(),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.brackets += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.brackets = self.brackets.saturating_sub(1);
            }
            Token::Assign if self.brackets == 0 => self.assigns = true,
            Token::Ident(word) if self.in_tag == 1 && self.statement.is_none() => self.statement = Some(word),
            _ => {}
        }
        self.in_tag += 1;
        self.in_all += 1;
        let counts = [
            ("names, values and operators in one expression or tag", self.in_tag, MAX_TOKENS),
            ("names, values and operators", self.in_all, MAX_ALL_TOKENS),
            ("brackets within each other", self.brackets, MAX_BRACKETS),
            ("blocks within each other", self.blocks.len(), MAX_BLOCKS),
            ("`elif` in blocks within each other", self.blocks.iter().sum(), MAX_BRANCHES),
        ];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, _, limit)) => Err((what, limit)),
            None => Ok(()),
        }
    }

    fn end_statement(&mut self) {
        match self.statement.take() {
            Some("set") if self.assigns => {}
            Some("for" | "if" | "with" | "filter" | "autoescape" | "set") => self.blocks.push(0),
            Some("elif") => self.blocks.last_mut().into_iter().for_each(|branches| *branches += 1),
            Some(word) if word.starts_with("end") => drop(self.blocks.pop()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::template::{
        AllowedHost, BodyTemplate, CommandTemplate, FileTemplate, FormField, HeaderTemplate, JsonTemplate,
        MailAddressTemplate, MediaType, SubjectTemplate, TextTemplate, UrlTemplate,
    };
    use crate::flow::{Expression, SavedNames};

    /// The stack of a worker. A test that needs more of it ends the whole test program.
    const STACK_BYTES: usize = 2 * 1024 * 1024;

    /// Before, what is repeated, and after.
    const CHAINS: [[&str; 3]; 44] = [
        ["", "not ", "1"],
        ["", "-", "1"],
        ["", "- ", "1"],
        ["", "not -", "1"],
        ["1", "|abs", ""],
        ["1", "|abs()|int", ""],
        ["1", " is odd", ""],
        ["1", " is not odd", ""],
        ["1", " is eq -1", ""],
        ["event", ".a", ""],
        ["event", "[0]", ""],
        ["event", "[0:1]", ""],
        ["event", ".0", ""],
        ["event", "()", ""],
        ["event", ".a()[0]|abs", ""],
        ["1", "+1", ""],
        ["1", "-1", ""],
        ["1", "*1", ""],
        ["1", "/1", ""],
        ["1", "//1", ""],
        ["1", "%1", ""],
        ["1", "**1", ""],
        ["1", "~1", ""],
        ["1", " and 1", ""],
        ["1", " or 1", ""],
        ["1", "<1", ""],
        ["1", "==1", ""],
        ["1", " in [1]", ""],
        ["1", " not in [1]", ""],
        ["1", " if 1 else 1", ""],
        ["1", " if 1", ""],
        ["", "1 if 1 else ", "1"],
        ["", "1 + ", "1"],
        ["", "(", "1"],
        ["", "[", "1"],
        ["", "{1:", "1"],
        ["", "dict(a=", "1"],
        ["", "1 + (", "1"],
        ["", "not (", "1"],
        ["", "event[", "1"],
        ["", "1|default(", "1"],
        ["", "1 < (", "1"],
        ["[", "1,", "]"],
        ["", "'a' ", ""],
    ];

    /// The same of whole templates.
    const BLOCKS: [[&str; 3]; 16] = [
        ["", "{% if 1 %}", ""],
        ["", "{% if 1 %}{% else %}", ""],
        ["{% if 1 %}", "{% elif 1 %}", "{% endif %}"],
        ["", "{% for x in [1] %}", ""],
        ["", "{% with x = 1 %}", ""],
        ["", "{% set x %}", ""],
        ["", "{% filter upper %}", ""],
        ["", "{% autoescape true %}", ""],
        ["", "{% set x = [event] %}", "{{ x }}"],
        ["{% set x = [1] %}", "{% set x = [x] %}", "{{ x }}"],
        ["{% set x = [1] %}", "{% set x = [x, x] %}", "{{ x }}{{ x == [x] }}"],
        ["{% set x = [1] %}", "{% set x = {'a': x} %}", "{{ x == {'a': x} }}"],
        ["{% filter upper", "|upper", " %}x{% endfilter %}"],
        ["{% set x ", "|upper", " %}x{% endset %}"],
        ["", "{{ 1 }}{# x #}", ""],
        ["", "{% raw %}{{ x }}{% endraw %}", "{{ 1 }}"],
    ];

    fn on_a_workers_stack(work: impl FnOnce() + Send + 'static) {
        let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).expect("a thread");
        worker.join().expect("no panic");
    }

    fn compile_everywhere(text: &str) {
        let names = SavedNames::none();
        let hosts = [AllowedHost::parse("a.example").expect("a host")];
        let plain = MediaType::parse("text/plain").expect("a media type");
        drop(Expression::compile(text, &names));
        drop(TextTemplate::compile(text, &names));
        drop(JsonTemplate::text(text, &names));
        drop(BodyTemplate::compile(plain, text, &names));
        drop(CommandTemplate::compile(text, &names));
        drop(FileTemplate::compile(text, &names));
        drop(FormField::compile(text, &names));
        drop(HeaderTemplate::compile(text, &names));
        drop(MailAddressTemplate::compile(text, &names));
        drop(SubjectTemplate::compile(text, &names));
        drop(UrlTemplate::compile_among(&format!("https://a.example/{text}"), &hosts, &names));
    }

    #[test]
    fn no_chain_overflows_a_workers_stack() {
        on_a_workers_stack(|| {
            for [before, repeated, after] in CHAINS {
                for times in [10, 16, 60, 100, 150, 250, 500, 1_000, 9_000, 20_000] {
                    let expression = format!("{before}{}{after}", repeated.repeat(times));
                    let closed: String = expression.chars().rev().filter_map(closing).collect();
                    for expression in [format!("{expression}{closed}"), expression] {
                        if Expression::compile(&expression, &SavedNames::none()).is_ok() {
                            assert!(times < MAX_TOKENS, "{times} of {repeated}");
                        }
                        if times <= 500 || times == 9_000 {
                            drop(TextTemplate::compile(&format!("{{{{ {expression} }}}}"), &SavedNames::none()));
                            drop(TextTemplate::compile(
                                &format!("{{% if {expression} %}}{{% endif %}}"),
                                &SavedNames::none(),
                            ));
                            drop(TextTemplate::compile(&format!("{{% set x = {expression} %}}"), &SavedNames::none()));
                        }
                    }
                }
            }
        });
    }

    fn closing(c: char) -> Option<char> {
        match c {
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        }
    }

    #[test]
    fn no_chain_overflows_in_any_position() {
        on_a_workers_stack(|| {
            for [before, repeated, after] in CHAINS {
                compile_everywhere(&format!("{{{{ {before}{}{after} }}}}", repeated.repeat(9_000)));
                compile_everywhere(&format!("{{{{ {before}{}{after} }}}}", repeated.repeat(120)));
            }
        });
    }

    #[test]
    fn no_blocks_overflow_a_workers_stack() {
        on_a_workers_stack(|| {
            for [before, repeated, after] in BLOCKS {
                for times in [20, 24, 64, 100, 200, 600, 3_000, 9_000] {
                    let template = format!("{before}{}{after}", repeated.repeat(times));
                    drop(TextTemplate::compile(&template, &SavedNames::none()));
                }
            }
        });
    }

    #[test]
    fn what_holds_itself_is_refused() {
        on_a_workers_stack(|| {
            for template in [
                "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
                "{% set n = namespace(x=1) %}{% for i in range(3000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
                "{% set n = namespace(x=1) %}{% set n.x = {'n': n} %}{{ n == n.x }}",
            ] {
                if let Ok(template) = TextTemplate::compile(template, &SavedNames::none()) {
                    assert!(template.render(&minijinja::context! {}).is_err());
                }
            }
        });
    }

    #[test]
    fn a_refusal_says_the_limit_and_the_place() {
        let refused = |source: &str| Expression::compile(source, &SavedNames::none()).expect_err("refused").remove(0);
        let error = refused(&format!("{}1", "-".repeat(9_000 - 1_000)));
        assert_eq!(error.to_string(), "there are more than 512 names, values and operators in one expression or tag");
        assert_eq!(error.range(), Some(512..513));
        let error = refused(&"1+".repeat(5_000));
        assert_eq!(error.to_string(), "this expression is longer than 8192 bytes");
        let error = refused(&"(".repeat(17));
        assert_eq!(error.to_string(), "there are more than 16 brackets within each other");
    }

    #[test]
    fn a_fault_far_to_the_right_has_a_place() {
        for wide in ["x", "é", "\u{1f600}"] {
            for length in [1_000, 20_000, 65_530, 65_534, 65_535, 65_536, 70_000, 140_000] {
                let before = wide.repeat(length / wide.len());
                for fault in ["{{ $ }}", "{{ nofield }}", "{{ 'x", "{{ 1|nofilter }}", "{% é", "{{ é", "{#", "{{ 1 }"]
                {
                    let source = format!("{before}{fault}");
                    for error in TextTemplate::compile(&source, &SavedNames::none()).expect_err("refused") {
                        let range = error.range().unwrap_or_default();
                        assert!(source.get(range).is_some(), "{length} {fault} {error}");
                    }
                }
            }
        }
    }

    /// Expressions of every operator.
    fn expression() -> impl Strategy<Value = String> {
        let leaf =
            prop::sample::select(vec!["1", "'a'", "event", "variables.x", "none", "[]", "{}", "()", "1.5", "9**9"]);
        leaf.prop_map(str::to_owned).prop_recursive(8, 400, 4, |inner| {
            (prop::sample::select(CHAINS.to_vec()), 1_usize..60, inner.clone(), inner).prop_map(
                |([before, repeated, after], times, left, right)| {
                    let open = repeated.repeat(times);
                    let close: String = open.chars().rev().filter_map(closing).collect();
                    format!("({left}) + {before}{open}({right}){after}{close}")
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_mixture_of_operators_compiles_or_is_refused(expression in expression()) {
            on_a_workers_stack(move || {
                drop(Expression::compile(&expression, &SavedNames::none()));
                drop(TextTemplate::compile(&format!("{{{{ {expression} }}}}"), &SavedNames::none()));
            });
        }
    }
}
