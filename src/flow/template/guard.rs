//! Comparisons, numbers and bounds that the engine lacks, as filters and tests of its environments.
//!
//! - There is no order between kinds: a text is neither less nor more than a number. Nothing (null, or what is missing) is
//!   neither less nor more than anything.
//! - A text becomes a number by `int` and `float` only if it is one.
//! - What a rendering makes is weighed: the engine's fuel pays for the places of a list, but not for what they hold, so that
//!   lists of the same lists could be as large as one likes.

use minijinja::value::{Kwargs, ObjectRepr, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, tests as engine_tests};

/// The filter that stands for all comparisons: `(a)|__compared('<', b)`.
pub(super) const COMPARED: &str = "__compared";

/// The filter around what makes lists and objects.
pub(super) const WEIGHED: &str = "__weighed";

/// The filter around what can't hold others: keys, and what a namespace keeps.
pub(super) const SCALAR: &str = "__scalar";

/// The most values, and 64 bytes of text each, that one rendering weighs: what a run can save (256 KiB) some times over.
const MAX_WEIGHT: usize = 200_000;

/// The most lists and objects within each other: whatever walks a value is one call deeper for each. JSON that is read has
/// 128.
const MAX_DEPTH: usize = 160;

/// The most blanks by which JSON is indented.
const MAX_INDENT: usize = 8;

/// The operators and the tests of the same meaning.
const OPERATORS: [(&str, &[&str]); 7] = [
    ("==", &["eq", "equalto", "=="]),
    ("!=", &["ne", "!="]),
    ("<", &["lt", "lessthan", "<"]),
    ("<=", &["le", "<="]),
    (">", &["gt", "greaterthan", ">"]),
    (">=", &["ge", ">="]),
    ("in", &["in"]),
];

/// Why a value can't be used. The texts hold none of it: it is a call's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::flow) enum Refusal {
    /// Values of two kinds are compared.
    #[error("a {0} and a {1} have no order")]
    Order(&'static str, &'static str),
    /// A text is asked whether it contains what is none.
    #[error("a text can't contain a {0}")]
    NotContained(&'static str),
    /// A value is converted to a number.
    #[error("the value is not a number")]
    NotANumber,
    /// A list or an object stands where none can.
    #[error("a {0} can't stand here")]
    NotScalar(&'static str),
    /// The engine has panicked.
    #[error("the template engine failed in this")]
    EngineFailed,
}

/// How much a rendering has weighed so far.
#[derive(Default)]
struct Weight(usize);

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::InvalidOperation, refusal.to_string()).with_source(refusal)
    }
}

/// The operator of which a test is another name.
pub(super) fn operator(test: &str) -> Option<&'static str> {
    OPERATORS.iter().find(|(_, names)| names.contains(&test)).map(|(operator, _)| *operator)
}

/// Adds the filters and tests.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter(COMPARED, compared);
    environment.add_filter(WEIGHED, weighed);
    environment.add_filter(SCALAR, scalar);
    for (operator, names) in OPERATORS {
        for name in names {
            environment.add_test(*name, move |state: &mut State<'_, '_>, left: Value, right: Value| {
                holds(state, &left, operator, &right)
            });
        }
    }
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("sort", sort);
    environment.add_filter("min", |state: &mut State<'_, '_>, values: Value, options: Kwargs| {
        check_order(state, &values, &options)?;
        filters::min(state, values, options)
    });
    environment.add_filter("max", |state: &mut State<'_, '_>, values: Value, options: Kwargs| {
        check_order(state, &values, &options)?;
        filters::max(state, values, options)
    });
    environment.add_filter("unique", |state: &mut State<'_, '_>, values: Value, options: Kwargs| {
        weigh(state, &values, rounds(&values))?;
        filters::unique(state, values, options)
    });
    environment.add_filter("groupby", groupby);
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("tojson", tojson);
}

/// Whether a chain of comparisons holds: `a < b <= c` is `(a)|__compared('<', b, '<=', c)`.
fn compared(state: &mut State<'_, '_>, first: Value, links: Rest<Value>) -> Result<bool, Error> {
    let mut left = &first;
    for link in links.chunks_exact(2) {
        let [operator, right] = link else { break };
        if !holds(state, left, operator.as_str().unwrap_or_default(), right)? {
            return Ok(false);
        }
        left = right;
    }
    Ok(true)
}

fn holds(state: &mut State<'_, '_>, left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    match operator {
        "==" => equal(state, left, right),
        "!=" => Ok(!equal(state, left, right)?),
        "in" => contains(state, right, left),
        "not in" => Ok(!contains(state, right, left)?),
        _ if is_nothing(left) || is_nothing(right) => Ok(false),
        _ => {
            weigh(state, left, 1)?;
            weigh(state, right, 1)?;
            check_kinds(left, right)?;
            Ok(match operator {
                "<" => left < right,
                "<=" => left <= right,
                ">" => left > right,
                _ => left >= right,
            })
        }
    }
}

fn equal(state: &mut State<'_, '_>, left: &Value, right: &Value) -> Result<bool, Error> {
    if left.as_object().is_some() && right.as_object().is_some() {
        weigh(state, left, 1)?;
        weigh(state, right, 1)?;
    }
    Ok(left == right)
}

fn contains(state: &mut State<'_, '_>, container: &Value, value: &Value) -> Result<bool, Error> {
    match container.kind() {
        ValueKind::None | ValueKind::Undefined => return Ok(false),
        // The engine takes a number's digits for a text, and nothing for the empty one, which is in every text.
        ValueKind::String if is_nothing(value) => return Ok(false),
        ValueKind::String if value.kind() != ValueKind::String => {
            return Err(Refusal::NotContained(kind(value)).into());
        }
        ValueKind::String | ValueKind::Map => {}
        ValueKind::Seq | ValueKind::Iterable => {
            if value.as_object().is_some() {
                weigh(state, container, 1)?;
            }
        }
        _ => return Err(Error::new(ErrorKind::InvalidOperation, "cannot perform a containment check on this value")),
    }
    engine_tests::is_in(state, value, container)
}

fn is_nothing(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::None | ValueKind::Undefined)
}

/// Refuses to order values of different kinds, within lists as well.
fn check_kinds(left: &Value, right: &Value) -> Result<(), Refusal> {
    match (left.kind(), right.kind()) {
        (ValueKind::Number, ValueKind::Number)
        | (ValueKind::String, ValueKind::String)
        | (ValueKind::Bool, ValueKind::Bool) => Ok(()),
        (ValueKind::Seq | ValueKind::Iterable, ValueKind::Seq | ValueKind::Iterable) => {
            let mut items = left.try_iter().into_iter().flatten().zip(right.try_iter().into_iter().flatten());
            items.try_for_each(|(left, right)| check_kinds(&left, &right))
        }
        _ => Err(Refusal::Order(kind(left), kind(right))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => "null",
        ValueKind::Bool => "truth value",
        ValueKind::Number => "number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "object",
        _ => "value",
    }
}

/// The value, unless the rendering has made too much.
fn weighed(state: &mut State<'_, '_>, value: Value) -> Result<Value, Error> {
    weigh(state, &value, 1)?;
    Ok(value)
}

/// The value, unless it holds others.
fn scalar(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined | ValueKind::Bool | ValueKind::Number | ValueKind::String => Ok(value),
        _ => Err(Refusal::NotScalar(kind(&value)).into()),
    }
}

/// Weighs a list or an object that is walked `rounds` times.
fn weigh(state: &mut State<'_, '_>, value: &Value, rounds: usize) -> Result<(), Error> {
    if value.as_object().is_none() {
        return Ok(());
    }
    let spent = state.get_or_insert_extension(Weight::default());
    let mut left = MAX_WEIGHT.saturating_sub(spent.0) / rounds;
    let fits = count(value, MAX_DEPTH, &mut left);
    spent.0 = MAX_WEIGHT - left * rounds;
    if fits { Ok(()) } else { Err(Error::from(ErrorKind::OutOfFuel)) }
}

/// Takes a value's weight off what is left; whether there was enough.
fn count(value: &Value, depth: usize, left: &mut usize) -> bool {
    let weight = 1 + value.as_str().map_or(0, |text| text.len() / 64);
    if *left < weight {
        *left = 0;
        return false;
    }
    *left -= weight;
    let Some(object) = value.as_object() else { return true };
    if depth == 0 {
        return false;
    }
    match object.repr() {
        ObjectRepr::Plain => true,
        ObjectRepr::Map => {
            let mut pairs = object.try_iter_pairs().into_iter().flatten();
            pairs.all(|(key, value)| count(&key, depth - 1, left) && count(&value, depth - 1, left))
        }
        _ => object.try_iter().into_iter().flatten().all(|item| count(&item, depth - 1, left)),
    }
}

/// How often sorting walks each value, about.
fn rounds(values: &Value) -> usize {
    let bits = usize::BITS - values.len().unwrap_or(0).leading_zeros();
    1 + bits as usize
}

/// Refuses to order what a filter is to order: all of it, or what its attributes name, is of one kind.
fn check_order(state: &mut State<'_, '_>, values: &Value, options: &Kwargs) -> Result<(), Error> {
    weigh(state, values, rounds(values))?;
    let attributes = options.get::<Option<&str>>("attribute")?;
    let items: Vec<Value> = values.try_iter()?.collect();
    let paths: Vec<&str> = attributes.into_iter().flat_map(|list| list.split(',')).map(str::trim).collect();
    if paths.is_empty() {
        return all_of_one_kind(&items);
    }
    for path in paths {
        let keys: Vec<Value> = items.iter().map(|item| attribute(item, path)).collect();
        all_of_one_kind(&keys)?;
    }
    Ok(())
}

fn all_of_one_kind(values: &[Value]) -> Result<(), Error> {
    let Some((first, others)) = values.split_first() else { return Ok(()) };
    others.iter().try_for_each(|value| check_kinds(first, value)).map_err(Error::from)
}

/// What is found in a value by a path such as `customer.name`.
fn attribute(value: &Value, path: &str) -> Value {
    path.split('.').fold(value.clone(), |value, part| {
        let index = part.parse::<usize>().ok().filter(|_| value.kind() == ValueKind::Seq);
        let found = index.map_or_else(|| value.get_attr(part), |index| value.get_item(&Value::from(index)));
        found.unwrap_or_default()
    })
}

fn sort(state: &mut State<'_, '_>, values: Value, options: Kwargs) -> Result<Value, Error> {
    check_order(state, &values, &options)?;
    filters::sort(state, values, options)
}

fn groupby(state: &mut State<'_, '_>, values: Value, by: Option<&str>, options: Kwargs) -> Result<Value, Error> {
    weigh(state, &values, rounds(&values))?;
    filters::groupby(values, by, options)
}

fn dictsort(state: &mut State<'_, '_>, object: Value, options: Kwargs) -> Result<Value, Error> {
    weigh(state, &object, rounds(&object))?;
    if matches!(options.get::<Option<&str>>("by")?, Some("value")) {
        let pairs = object.as_object().and_then(|object| object.try_iter_pairs());
        let values: Vec<Value> = pairs.into_iter().flatten().map(|(_, value)| value).collect();
        all_of_one_kind(&values)?;
    }
    filters::dictsort(&object, options)
}

fn tojson(state: &mut State<'_, '_>, value: Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    weigh(state, &value, 1)?;
    let indent = indent.map_or_else(|| options.get::<Option<Value>>("indent"), |indent| Ok(Some(indent)))?;
    if indent.as_ref().and_then(Value::as_usize).is_some_and(|blanks| blanks > MAX_INDENT) {
        return Err(Error::from(ErrorKind::OutOfFuel));
    }
    filters::tojson(&value, indent, options)
}

/// The value as an integer; the default, or an error, if it is none.
fn int(
    state: &State<'_, '_>,
    value: Value,
    default: Option<Value>,
    base: Option<u32>,
    options: Kwargs,
) -> Result<Value, Error> {
    let default = default.map_or_else(|| options.get::<Option<Value>>("default"), |default| Ok(Some(default)))?;
    let base = base.map_or_else(|| options.get::<Option<u32>>("base"), |base| Ok(Some(base)))?;
    options.assert_all_used()?;
    let whole = |number: f64| number.is_finite() && number.abs() < 2_f64.powi(126);
    let is_readable = match value.kind() {
        ValueKind::Number if value.is_integer() => true,
        ValueKind::Number => f64::try_from(value.clone()).is_ok_and(whole),
        // A number of another base may be none of base 10.
        ValueKind::String => value.as_str().is_some_and(|text| text.parse().ok().is_none_or(whole)),
        ValueKind::Bool => true,
        _ => false,
    };
    let number = is_readable.then(|| filters::int(state, &value, None, base, Kwargs::from_iter(NO_OPTIONS)));
    number.and_then(Result::ok).or(default).ok_or_else(|| Refusal::NotANumber.into())
}

/// The value as a number with a fraction; the default, or an error, if it is none.
fn float(state: &State<'_, '_>, value: Value, default: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let default = default.map_or_else(|| options.get::<Option<Value>>("default"), |default| Ok(Some(default)))?;
    options.assert_all_used()?;
    let is_readable = matches!(value.kind(), ValueKind::Number | ValueKind::String | ValueKind::Bool);
    let number = is_readable.then(|| filters::float(state, &value, None, Kwargs::from_iter(NO_OPTIONS)));
    let finite = |number: &Value| f64::try_from(number.clone()).is_ok_and(f64::is_finite);
    number.and_then(Result::ok).filter(finite).or(default).ok_or_else(|| Refusal::NotANumber.into())
}

/// No options of a filter.
const NO_OPTIONS: [(&str, Value); 0] = [];

#[cfg(test)]
mod tests {
    use minijinja::{Value, context};

    use super::super::engine;
    use super::super::source::guarded_expression;

    /// The expression's value as text; else why there is none.
    fn value(source: &str) -> Result<String, String> {
        let fields = context! { text => "20", word => "abc", empty => "", number => 20, fraction => 150.5, yes => true,
        list => [1], nothing => (), mixed => context! { items => [Value::from(1), Value::from("2"), Value::from(())] } };
        let environment = engine::environment();
        let guarded = guarded_expression(source).map_err(|errors| errors[0].to_string())?;
        let expression = environment.compile_expression(&guarded).map_err(|error| error.to_string())?;
        expression.eval(fields).map(|value| value.to_string()).map_err(|error| engine::reason(&error))
    }

    #[test]
    fn kinds_have_no_order_between_them() {
        for operator in ["<", "<=", ">", ">="] {
            for text in ["text", "word", "empty"] {
                let refused = Err("a text and a number have no order".to_owned());
                assert_eq!(value(&format!("{text} {operator} 100")), refused, "{text} {operator}");
            }
            for (left, right) in [("yes", "1"), ("1", "list"), ("list", "text"), ("yes", "text"), ("list", "[text]")] {
                assert!(value(&format!("{left} {operator} {right}")).is_err(), "{left} {operator} {right}");
                assert!(value(&format!("{right} {operator} {left}")).is_err(), "{right} {operator} {left}");
            }
            for other in ["1", "text", "yes", "list", "nothing", "missing.x"] {
                assert_eq!(value(&format!("nothing {operator} {other}")).as_deref(), Ok("False"), "{operator} {other}");
                assert_eq!(value(&format!("{other} {operator} missing")).as_deref(), Ok("False"), "{other} {operator}");
            }
        }
        for source in [
            "1 < number < word",
            "text is gt(100)",
            "[text]|select('>', 100)|list",
            "mixed.items|sort",
            "mixed.items|min",
            "mixed.items|max",
            "[{'a': 1}, {'a': text}]|sort(attribute='a')",
            "{'a': 1, 'b': text}|dictsort(by='value')",
            "20 in text",
            "'x' if word > 1 else 'y'",
            "range(3) if [text < 1]",
        ] {
            assert!(value(source).is_err(), "{source}");
        }
    }

    #[test]
    fn values_of_one_kind_are_compared_as_ever() {
        for (source, expected) in [
            ("number > 19.5 and fraction >= 150.5 and not number > 20", "True"),
            ("1 < number <= 20 < fraction", "True"),
            ("text < word", "True"),
            ("[1, 2] < [1, 3] and yes > false", "True"),
            ("text == 20 or word == 20 or 20 in [text]", "False"),
            ("'2' in text and nothing not in text and 'x' not in nothing", "True"),
            ("[3, 1.5, 2]|sort|join(' ')", "1.5 2 3"),
            ("['b', 'a']|max ~ [4, 7]|min", "b4"),
            ("{'b': 1, 'a': 2}|dictsort|map('first')|join", "ab"),
        ] {
            assert_eq!(value(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_text_becomes_a_number_only_if_it_is_one() {
        for (source, expected) in [
            ("text|int > 19", "True"),
            ("text|float < 20.5", "True"),
            ("number|int", "20"),
            ("fraction|int", "150"),
            ("fraction|float", "150.5"),
            ("word|int(7)", "7"),
            ("empty|int(default=7)", "7"),
            ("nothing|float(0)", "0"),
            ("missing.x|int(0)", "0"),
            ("'1f'|int(base=16)", "31"),
            ("'inf'|float(1)", "1"),
            ("'1e999'|int(1)", "1"),
        ] {
            assert_eq!(value(source).as_deref(), Ok(expected), "{source}");
        }
        for word in ["word", "empty", "nothing", "missing", "list", "'nan'", "'inf'", "'1e999'", "'1e40'", "' 1 x'"] {
            for filter in ["int", "float"].iter().filter(|filter| word != "'1e40'" || **filter == "int") {
                let refused = Err("the value is not a number".to_owned());
                assert_eq!(value(&format!("{word}|{filter}")), refused, "{word} {filter}");
            }
        }
    }

    #[test]
    fn lists_of_the_same_lists_end() {
        for source in [
            "[[[[1] * 99] * 99] * 99] * 99 == [[[[1] * 99] * 99] * 99] * 99",
            "[[[[[1] * 99] * 99] * 99] * 99] * 99",
            "range(99)|map(attribute='x', default=range(99)|map(attribute='x', default=range(999)|list)|list)|list",
            "[[[[1] * 99] * 99] * 99]|unique|list",
            "'' ~ ([[[[1] * 99] * 99] * 99] * 99)",
            "[1]|tojson(indent=99999999)",
            "'x'|indent(999999999)",
            "'%999999999d'|format(3)",
            "{[[[[1] * 99] * 99] * 99]: 1, [[[[1] * 99] * 99] * 99]: 2}",
        ] {
            assert!(value(source).is_err(), "{source}");
        }
    }
}
