//! Expressions over a moment's fields, compiled and checked when they are loaded.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, Value};

use super::names::SavedNames;
use super::template::check::{self, TemplateError};
use super::template::engine;
use super::template::source::guarded_expression;

/// The environment of all expressions.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(engine::environment);

/// An expression such as `cc_result != 'success'`.
pub struct Expression {
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
}

impl Expression {
    /// Compiles the expression; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        let guarded = guarded_expression(source)?;
        let compiled = engine::caught(|| ENVIRONMENT.compile_expression_owned(guarded))
            .map_err(|error| TemplateError::of_expression(source, &error))?;
        check::names(source, &compiled.undeclared_variables(false), names)?;
        check::trial(source, |fields| engine::caught(|| compiled.eval(fields)).map(drop))?;
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// The expression as it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The expression's value.
    pub fn evaluate(&self, fields: &Value) -> Result<Value, minijinja::Error> {
        engine::caught(|| self.compiled.eval(fields))
    }

    /// Why an evaluation failed, without a call's data.
    pub fn reason(error: &minijinja::Error) -> String {
        engine::reason(error)
    }

    /// Whether the expression holds: null, nothing, zero and what is empty do not.
    pub fn holds(&self, fields: &Value) -> Result<bool, minijinja::Error> {
        self.evaluate(fields).map(|value| value.is_true())
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Context;
    use crate::flow::template::TextTemplate;
    use crate::moment::{EventName, Payload};

    fn holds(source: &str) -> bool {
        let context = Context::from_payload(&Payload::sample(EventName::Leaving)).expect("reads");
        Expression::compile(source, &SavedNames::none()).expect("compiles").holds(context.fields()).expect("evaluates")
    }

    #[test]
    fn expressions_see_fields_and_variables() {
        assert!(holds("cc_result == 'success'"));
        assert!(!holds("cc_result != 'success'"));
        assert!(holds("wait_sec < 20 and variables.customer_id is startingwith 'CUST'"));
        assert!(holds("'vip' in variables.tags"));
    }

    #[test]
    fn variables_that_are_not_there_are_false() {
        assert!(!holds("variables.nothing"));
        assert!(!holds("variables.nothing.at.all"));
        assert!(!holds("variables.nothing == 'x'"));
        assert!(!holds("'x' in variables.nothing"));
    }

    #[test]
    fn unknown_names_are_found_all_at_once_and_get_the_nearest_known_one() {
        let errors =
            Expression::compile("cc_resullt == 'success' and memberid > 1", &SavedNames::none()).expect_err("refused");
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["there is no field `cc_resullt`", "there is no field `memberid`"]);
        assert_eq!(errors[0].range(), Some(0..10));
        assert_eq!(errors[1].range(), Some(28..36));
    }

    #[test]
    fn an_unknown_filter_is_found_when_it_is_loaded() {
        let errors = Expression::compile("member_name|shout", &SavedNames::none()).expect_err("refused");
        assert_eq!(errors[0].to_string(), "there is no filter `shout`");
    }

    #[test]
    fn what_the_engine_does_not_guard_is_an_error() {
        for source in ["'abc'[::-9223372036854775808]", "[1, 2, 3][::-9223372036854775808]"] {
            // Without checks of overflows it has a value.
            for fault in Expression::compile(source, &SavedNames::none()).err().unwrap_or_default() {
                assert_eq!(fault, TemplateError::EngineFailed, "{source}");
            }
            drop(TextTemplate::compile(&format!("{{{{ {source} }}}}"), &SavedNames::none()));
        }
        let step = Expression::compile("'abc'[::wait_sec|default(1)|int]", &SavedNames::none()).expect("compiles");
        let evaluated = step.evaluate(&minijinja::context! { wait_sec => i64::MIN });
        assert!(
            evaluated.is_ok() || evaluated.is_err_and(|error| Expression::reason(&error).contains("failed in this"))
        );
    }

    #[test]
    fn a_text_compared_with_a_number_is_a_fault() {
        for source in [
            "variables.amount > 100",
            "100 < variables['amount']",
            "wait_sec > 1 and variables.amount <= wait_sec",
            "1 < variables.amount < 3",
            "member_name >= 1.5",
            "member_name is gt(1)",
            "variables.amount == 20",
            "20 != variables.amount",
            "variables.amount in [10, 20]",
            "variables.amount not in ('10', 20)",
            "variables.amount is eq(20) or member_name is in [1]",
            "variables.amount|trim|upper > 100",
            "variables.amount ~ '0' > 100",
        ] {
            let errors = Expression::compile(source, &SavedNames::none()).expect_err("refused");
            assert!(matches!(errors[0], TemplateError::TextAndNumber { .. }), "{source}: {errors:?}");
        }
        let error =
            Expression::compile("not variables.amount > 100", &SavedNames::none()).expect_err("refused").remove(0);
        assert_eq!(error.to_string(), "`variables.amount` is a text, which is neither less nor more than a number");
        assert_eq!(error.range(), Some(4..20));
        for source in [
            "variables.amount|int == 100",
            "variables.amount == '20'",
            "variables.amount in ['1', '2']",
            "wait_sec == 100",
            "wait_sec > 100",
            "variables.amount > '100'",
            "member_name|length > 3",
        ] {
            Expression::compile(source, &SavedNames::none()).expect("compiles");
        }
    }

    #[test]
    fn a_condition_holds_for_numbers_only() {
        let condition = Expression::compile("variables.amount|float > 100", &SavedNames::none()).expect("compiles");
        let holds = |amount: Value| {
            condition
                .holds(&minijinja::context! { variables => minijinja::context! { amount } })
                .map_err(|error| Expression::reason(&error))
        };
        assert_eq!(holds(Value::from(150)), Ok(true));
        assert_eq!(holds(Value::from(20)), Ok(false));
        assert_eq!(holds(Value::from("20")), Ok(false));
        assert_eq!(holds(Value::from("150")), Ok(true));
        for amount in ["abc", ""] {
            assert_eq!(holds(Value::from(amount)), Err("the value is not a number".to_owned()));
        }
    }

    #[test]
    fn endless_work_ends() {
        assert!(Expression::compile("range(100000)|map('string')|join|length > 0", &SavedNames::none()).is_err());
        assert!(Expression::compile("'x' * 99999999 == member_name", &SavedNames::none()).is_err());
    }
}
