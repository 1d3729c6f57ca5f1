//! Texts as the engine compiles them: as they are written, with guards.
//!
//! The engine orders values of all kinds (`'abc' > 100` holds), compares and copies lists whatever they hold, and has no
//! way to override an operator. So its own parser reads the text, and the tree is written anew with filters of ours
//! ([`super::guard`]) in the places of comparisons and around whatever makes lists and objects.

use std::fmt::Write as _;

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{parse, parse_expr};
use minijinja::value::ValueKind;

use super::check::TemplateError;
use super::kinds;
use super::limits::{self, Language};
use super::{engine, guard};

/// How tightly an expression binds: each may stand where one of its level or a lower one is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Conditional,
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Concatenation,
    Product,
    Power,
    /// Negation, filters and tests.
    Unary,
    /// Literals, names, and what is behind a dot or in brackets.
    Primary,
}

/// The text of an expression with guards.
pub(in crate::flow) fn guarded_expression(source: &str) -> Result<String, Vec<TemplateError>> {
    limits::check(source, Language::Expression)?;
    let tree = parse_expr(source).map_err(|error| Language::Expression.fault(source, &error))?;
    kinds::check_expression(source, &tree)?;
    let mut writer = Writer::default();
    writer.expression(&tree, Level::Conditional);
    Ok(writer.text)
}

/// The text of a template with guards.
pub(super) fn guarded_template(source: &str) -> Result<String, Vec<TemplateError>> {
    limits::check(source, Language::Template)?;
    let tree = parse(source, "text", engine::syntax()).map_err(|error| Language::Template.fault(source, &error))?;
    kinds::check_template(source, &tree)?;
    let mut writer = Writer::default();
    writer.statement(&tree);
    Ok(writer.text)
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emitted) => self.tag("{{ ", &emitted.expr, Level::Conditional, " }}"),
            Stmt::EmitRaw(raw) => self.data(raw.raw),
            Stmt::ForLoop(each) => {
                self.push("{% for ");
                self.target(&each.target);
                self.tag(" in ", &each.iter, Level::Or, "");
                if let Some(filter) = &each.filter_expr {
                    self.tag(" if ", filter, Level::Conditional, "");
                }
                self.push(if each.recursive { " recursive %}" } else { " %}" });
                self.statements(&each.body);
                self.push("{% else %}");
                self.statements(&each.else_body);
                self.push("{% endfor %}");
            }
            Stmt::IfCond(choice) => {
                self.tag("{% if ", &choice.expr, Level::Or, " %}");
                self.statements(&choice.true_body);
                self.otherwise(&choice.false_body);
                self.push("{% endif %}");
            }
            Stmt::WithBlock(with) => {
                self.push("{% with ");
                for (n, (target, expression)) in with.assignments.iter().enumerate() {
                    self.push(if n > 0 { ", " } else { "" });
                    self.target(target);
                    self.tag(" = ", expression, Level::Conditional, "");
                }
                self.block(&with.body, "endwith");
            }
            Stmt::Set(set) => self.assignment(&set.target, &set.expr),
            Stmt::SetBlock(set) => {
                self.push("{% set ");
                self.target(&set.target);
                if let Some(filter) = &set.filter {
                    self.tag(" | ", filter, Level::Conditional, "");
                }
                self.block(&set.body, "endset");
            }
            Stmt::AutoEscape(escape) => {
                self.tag("{% autoescape ", &escape.enabled, Level::Conditional, "");
                self.block(&escape.body, "endautoescape");
            }
            Stmt::FilterBlock(filter) => {
                self.tag("{% filter ", &filter.filter, Level::Conditional, "");
                self.block(&filter.body, "endfilter");
            }
            Stmt::Do(done) => {
                self.tag("{% do ", &done.call.expr, Level::Primary, "");
                self.arguments(&done.call.args);
                self.push(" %}");
            }
        }
    }

    fn tag(&mut self, before: &str, expression: &Expr<'_>, level: Level, after: &str) {
        self.push(before);
        self.expression(expression, level);
        self.push(after);
    }

    fn block(&mut self, body: &[Stmt<'_>], end: &str) {
        self.push(" %}");
        self.statements(body);
        let _ = write!(self.text, "{{% {end} %}}");
    }

    /// What else an `if` does: a chain of `elif` stays one.
    fn otherwise(&mut self, body: &[Stmt<'_>]) {
        match body {
            [] => {}
            [Stmt::IfCond(next)] => {
                self.tag("{% elif ", &next.expr, Level::Or, " %}");
                self.statements(&next.true_body);
                self.otherwise(&next.false_body);
            }
            body => {
                self.push("{% else %}");
                self.statements(body);
            }
        }
    }

    /// The text between tags, in which nothing is to be taken for one.
    fn data(&mut self, data: &str) {
        let has_tag = ["{{", "{%", "{#"].iter().any(|tag| data.contains(tag)) || data.ends_with('{');
        if has_tag {
            let _ = write!(self.text, "{{% raw %}}{data}{{% endraw %}}");
        } else {
            self.push(data);
        }
    }

    /// A namespace that held itself could not be written out, so one holds texts, numbers and truth values.
    fn assignment(&mut self, target: &Expr<'_>, value: &Expr<'_>) {
        self.push("{% set ");
        self.target(target);
        self.push(" = ");
        if matches!(target, Expr::GetAttr(_)) {
            self.filtered(value, guard::SCALAR);
        } else {
            self.expression(value, Level::Conditional);
        }
        self.push(" %}");
    }

    /// Names that are assigned.
    fn target(&mut self, target: &Expr<'_>) {
        match target {
            Expr::List(list) => self.targets(&list.items),
            Expr::Tuple(tuple) => self.targets(&tuple.items),
            other => self.expression(other, Level::Primary),
        }
    }

    fn targets(&mut self, targets: &[Expr<'_>]) {
        self.push("(");
        for target in targets {
            self.target(target);
            self.push(", ");
        }
        self.push(")");
    }

    fn filtered(&mut self, expression: &Expr<'_>, filter: &str) {
        self.push("(");
        self.expression(expression, Level::Conditional);
        let _ = write!(self.text, ")|{filter}");
    }

    /// The expression where one of `level` is expected.
    fn expression(&mut self, expression: &Expr<'_>, level: Level) {
        let is_looser = level_of(expression) < level;
        self.push(if is_looser { "(" } else { "" });
        self.bare(expression);
        self.push(if is_looser { ")" } else { "" });
    }

    fn bare(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(variable) => self.push(variable.id),
            Expr::Const(constant) => self.constant(&constant.value),
            Expr::UnaryOp(unary) => match (&unary.op, &unary.expr) {
                (UnaryOpKind::Not, operand) => self.tag("not ", operand, Level::Not, ""),
                // The operand of a negation is another one, or has no filters.
                (UnaryOpKind::Neg, Expr::UnaryOp(inner)) if matches!(inner.op, UnaryOpKind::Neg) => {
                    self.push("-");
                    self.bare(&unary.expr);
                }
                (UnaryOpKind::Neg, operand) => self.tag("-", operand, Level::Primary, ""),
            },
            Expr::BinOp(binary) => match comparison(binary.op) {
                Some(operator) => self.comparison(&binary.left, &[(operator, &binary.right)]),
                None => self.operation(expression),
            },
            Expr::Compare(chain) => {
                let links: Vec<_> = chain.ops.iter().map(|link| (word(link.op), &link.expr)).collect();
                self.comparison(&chain.expr, &links);
            }
            Expr::IfExpr(choice) => {
                self.tag("", &choice.true_expr, Level::Or, " if ");
                self.expression(&choice.test_expr, Level::Or);
                if let Some(otherwise) = &choice.false_expr {
                    self.tag(" else ", otherwise, Level::Conditional, "");
                }
            }
            Expr::Filter(filter) => {
                if let Some(inner) = &filter.expr {
                    self.tag("", inner, Level::Unary, "|");
                }
                self.push(filter.name);
                self.arguments(&filter.args);
                // The filter of a block has no expression before it at its first filter, and makes a text.
                if filter.expr.is_some() {
                    let _ = write!(self.text, "|{}", guard::WEIGHED);
                }
            }
            Expr::Test(test) => {
                self.tag("", &test.expr, Level::Unary, " is ");
                self.push(test.name);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => {
                self.base(&attribute.expr);
                let _ = write!(self.text, ".{}", attribute.name);
            }
            Expr::GetItem(item) => {
                self.base(&item.expr);
                self.tag("[", &item.subscript_expr, Level::Conditional, "]");
            }
            Expr::Slice(slice) => {
                self.base(&slice.expr);
                self.push("[");
                slice.start.iter().for_each(|start| self.expression(start, Level::Conditional));
                self.push(":");
                slice.stop.iter().for_each(|stop| self.expression(stop, Level::Conditional));
                self.push(":");
                slice.step.iter().for_each(|step| self.expression(step, Level::Conditional));
                self.push("]");
            }
            Expr::Call(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => self.made(expression),
        }
    }

    /// What stands before a dot or a bracket: an intermediate value, which is not weighed itself.
    fn base(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Const(_) => {
                self.push("(");
                self.bare(expression);
                self.push(")");
            }
            Expr::Call(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => self.unweighed(expression),
            _ => self.expression(expression, Level::Primary),
        }
    }

    /// A value that is made here.
    fn made(&mut self, expression: &Expr<'_>) {
        self.unweighed(expression);
        if is_weighed(expression) {
            let _ = write!(self.text, "|{}", guard::WEIGHED);
        }
    }

    fn unweighed(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Call(call) => {
                self.base(&call.expr);
                self.arguments(&call.args);
            }
            Expr::List(list) => self.items("[", &list.items, "]"),
            Expr::Tuple(tuple) => self.items("(", &tuple.items, ")"),
            Expr::Map(map) => {
                self.push("{");
                for (key, value) in map.keys.iter().zip(&map.values) {
                    if matches!(key, Expr::Const(_)) {
                        self.expression(key, Level::Conditional);
                    } else {
                        self.filtered(key, guard::SCALAR);
                    }
                    self.tag(": ", value, Level::Conditional, ", ");
                }
                self.push("}");
            }
            other => self.bare(other),
        }
    }

    fn items(&mut self, open: &str, items: &[Expr<'_>], close: &str) {
        self.push(open);
        items.iter().for_each(|item| self.tag("", item, Level::Conditional, ", "));
        self.push(close);
    }

    /// Arguments in brackets, also where there are none: what follows a test would be taken for one.
    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        self.push("(");
        for argument in arguments {
            match argument {
                CallArg::Pos(value) => self.tag("", value, Level::Conditional, ", "),
                CallArg::Kwarg(name, value) => {
                    self.push(name);
                    self.tag("=", value, Level::Conditional, ", ");
                }
                CallArg::PosSplat(value) => self.tag("*", value, Level::Conditional, ", "),
                CallArg::KwargSplat(value) => self.tag("**", value, Level::Conditional, ", "),
            }
        }
        self.push(")");
    }

    fn comparison(&mut self, first: &Expr<'_>, links: &[(&str, &Expr<'_>)]) {
        self.push("(");
        self.expression(first, Level::Conditional);
        let _ = write!(self.text, ")|{}(", guard::COMPARED);
        for (operator, operand) in links {
            let _ = write!(self.text, "'{operator}', ");
            self.tag("", operand, Level::Conditional, ", ");
        }
        self.push(")");
    }

    /// An operation that is none of comparison. Sums and products can be lists, so the outermost of a chain is weighed.
    fn operation(&mut self, expression: &Expr<'_>) {
        if is_weighed(expression) {
            self.push("(");
            self.chain(expression);
            let _ = write!(self.text, ")|{}", guard::WEIGHED);
        } else {
            self.chain(expression);
        }
    }

    fn chain(&mut self, expression: &Expr<'_>) {
        let Expr::BinOp(binary) = expression else { return self.expression(expression, Level::Primary) };
        let (level, operator) = operator(binary.op);
        // Each operator is left-associative: the left operand may be of the same level, the right one may not.
        match &binary.left {
            Expr::BinOp(left) if operator_level(left.op) == Some(level) => self.chain(&binary.left),
            left => self.operand(left, level, level),
        }
        let _ = write!(self.text, " {operator} ");
        self.operand(&binary.right, level, tighter(level));
    }

    /// An operand of an operation of level `of`: one of arithmetic is weighed as a part of it.
    fn operand(&mut self, expression: &Expr<'_>, of: Level, level: Level) {
        let inner = match expression {
            Expr::BinOp(binary) if of > Level::And => operator_level(binary.op),
            _ => None,
        };
        match inner {
            Some(inner) => {
                self.push(if inner < level { "(" } else { "" });
                self.chain(expression);
                self.push(if inner < level { ")" } else { "" });
            }
            None => self.expression(expression, level),
        }
    }

    fn constant(&mut self, value: &minijinja::Value) {
        match value.kind() {
            ValueKind::String => {
                let text = value.as_str().unwrap_or_default();
                let _ = write!(self.text, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            }
            ValueKind::Bool => self.push(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => {
                let _ = write!(self.text, "{value}");
            }
            ValueKind::Number => {
                let number = f64::try_from(value.clone()).unwrap_or(f64::INFINITY);
                // A literal beyond the numbers' range is infinite.
                let _ = if number.is_finite() { write!(self.text, "{number:?}") } else { write!(self.text, "1e999") };
            }
            _ => self.push("none"),
        }
    }
}

fn level_of(expression: &Expr<'_>) -> Level {
    match expression {
        Expr::IfExpr(_) => Level::Conditional,
        Expr::UnaryOp(unary) if matches!(unary.op, UnaryOpKind::Not) => Level::Not,
        Expr::BinOp(binary) => match operator_level(binary.op) {
            // Which is a filter in the end.
            None => Level::Unary,
            Some(_) if is_weighed(expression) => Level::Unary,
            Some(level) => level,
        },
        Expr::UnaryOp(_) | Expr::Filter(_) | Expr::Test(_) | Expr::Compare(_) => Level::Unary,
        _ if is_weighed(expression) => Level::Unary,
        _ => Level::Primary,
    }
}

/// Whether the value is weighed where it is made: what may hold others, other than literally.
fn is_weighed(expression: &Expr<'_>) -> bool {
    match expression {
        // A call of `loop` goes on within the loop.
        Expr::Call(call) => !matches!(&call.expr, Expr::Var(name) if name.id == "loop"),
        Expr::List(list) => !list.items.iter().all(is_literal),
        Expr::Tuple(tuple) => !tuple.items.iter().all(is_literal),
        Expr::Map(map) => !map.keys.iter().chain(&map.values).all(is_literal),
        Expr::BinOp(binary) => match binary.op {
            BinOpKind::Add => !is_number(&binary.left) && !is_number(&binary.right),
            BinOpKind::Mul => true,
            // A sum of lists may be a part of what is none.
            _ => false,
        },
        _ => false,
    }
}

fn is_literal(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Const(_))
}

fn is_number(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Const(constant) if constant.value.is_number())
}

/// The operator's level, unless it compares.
fn operator_level(operator: BinOpKind) -> Option<Level> {
    Some(match operator {
        BinOpKind::ScOr => Level::Or,
        BinOpKind::ScAnd => Level::And,
        BinOpKind::Add | BinOpKind::Sub => Level::Sum,
        BinOpKind::Concat => Level::Concatenation,
        BinOpKind::Mul | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem => Level::Product,
        BinOpKind::Pow => Level::Power,
        BinOpKind::Eq
        | BinOpKind::Ne
        | BinOpKind::Lt
        | BinOpKind::Lte
        | BinOpKind::Gt
        | BinOpKind::Gte
        | BinOpKind::In => return None,
    })
}

fn operator(operator: BinOpKind) -> (Level, &'static str) {
    let word = match operator {
        BinOpKind::ScOr => "or",
        BinOpKind::ScAnd => "and",
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Concat => "~",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        BinOpKind::Pow => "**",
        other => comparison(other).unwrap_or_default(),
    };
    (operator_level(operator).unwrap_or(Level::Comparison), word)
}

/// The word of an operator that compares.
fn comparison(operator: BinOpKind) -> Option<&'static str> {
    Some(word(match operator {
        BinOpKind::Eq => CompareOpKind::Eq,
        BinOpKind::Ne => CompareOpKind::Ne,
        BinOpKind::Lt => CompareOpKind::Lt,
        BinOpKind::Lte => CompareOpKind::Lte,
        BinOpKind::Gt => CompareOpKind::Gt,
        BinOpKind::Gte => CompareOpKind::Gte,
        BinOpKind::In => CompareOpKind::In,
        _ => return None,
    }))
}

fn word(operator: CompareOpKind) -> &'static str {
    match operator {
        CompareOpKind::Eq => "==",
        CompareOpKind::Ne => "!=",
        CompareOpKind::Lt => "<",
        CompareOpKind::Lte => "<=",
        CompareOpKind::Gt => ">",
        CompareOpKind::Gte => ">=",
        CompareOpKind::In => "in",
        CompareOpKind::NotIn => "not in",
    }
}

/// The next level, of operands that may not be of this one.
fn tighter(level: Level) -> Level {
    match level {
        Level::Conditional => Level::Or,
        Level::Or => Level::And,
        Level::And => Level::Not,
        Level::Not => Level::Comparison,
        Level::Comparison => Level::Sum,
        Level::Sum => Level::Concatenation,
        Level::Concatenation => Level::Product,
        Level::Product => Level::Power,
        Level::Power => Level::Unary,
        Level::Unary | Level::Primary => Level::Primary,
    }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, Value, context};
    use proptest::prelude::*;

    use super::*;

    fn fields() -> Value {
        context! { a => 3, b => 4.5, t => "20", u => "abc", yes => true, nothing => (), list => [1, 2, 3],
        object => context! { a => 7, list => ["x", "y"] } }
    }

    /// What the engine makes of the text itself, and of the text with guards.
    fn both(template: &str) -> (Result<String, String>, Result<String, String>) {
        let guarded = guarded_template(template).expect("is within the limits");
        let environment = engine::environment();
        let mut plain = Environment::new();
        plain.set_undefined_behavior(minijinja::UndefinedBehavior::Chainable);
        plain.set_syntax(engine::syntax());
        plain.set_debug(false);
        let render = |environment: &Environment<'_>, text: &str| {
            environment
                .template_from_str(text)
                .and_then(|template| template.render(fields()))
                .map_err(|error| format!("{error} in {text}"))
        };
        (render(&plain, template), render(&environment, &guarded))
    }

    #[test]
    fn guards_change_nothing_else() {
        for template in [
            "{{ a + b * 2 - 3 }}{{ (a + b) * 2 }}{{ a - (b - 1) }}{{ a - b - 1 }}{{ 2 ** 3 ** 2 }}{{ -a ** 2 }}{{ --a }}",
            "{{ a ~ b + 1 ~ t }}{{ (a ~ b)|length }}{{ -a|abs }}{{ (-a)|abs }}{{ 7 // 2 }}{{ 7 % 4 }}{{ a / (b / 2) }}",
            "{{ not a == 3 }}{{ not not a }}{{ (not a) == false }}{{ a and b or t }}{{ a and (b or t) }}{{ a < b and b < 9 }}",
            "{{ 1 < a < b }}{{ 1 < a == 3 }}{{ a in list }}{{ a not in list }}{{ 'b' in u }}{{ 1 if a > b else 2 if yes else 3 }}",
            "{{ (1 if a else 2) if b else 3 }}{{ 'x' if nothing }}{{ a is defined and nothing is none }}{{ a is not odd }}",
            "{{ a is divisibleby 3 }}{{ list is iterable or 1 }}{{ 3 is in list }}{{ a is gt(2) }}{{ list|select('gt', 1)|list }}",
            "{{ list[0] }}{{ list[1:] }}{{ list[::-1]|list }}{{ list[:2] }}{{ object.list[0] }}{{ object['a'] }}{{ [1, [2, 3]][1][0] }}",
            "{{ {'a': 1, 'b': [a, 2]}.b|join(',') }}{{ (1, 2)|length }}{{ () }}{{ (a,) }}{{ [] }}{{ {} }}{{ [a, b,] }}",
            "{{ dict(x=1, **{'y': 2}) }}{{ range(3)|list }}{{ range(*[1, 4])|list }}{{ u|replace('a', 'b')|upper }}{{ u|default('x', true) }}",
            "{% for x in list if x > 1 %}{{ loop.index }}{{ x }}{% else %}none{% endfor %}{% for k, v in object|items %}{{ k }}{% endfor %}",
            "{% for x in [] %}{{ x }}{% else %}none{% endfor %}{% for x in [[1, [2]]] recursive %}{{ x if x is number else loop(x) }}{% endfor %}",
            "{% if a > 5 %}x{% elif b == 4.5 %}y{% else %}z{% endif %}{% if nothing %}x{% else %}{% if yes %}w{% endif %}{% endif %}",
            "{% set x, y = 1, 2 %}{{ x }}{{ y }}{% set n = namespace(c=0) %}{% for i in list %}{% set n.c = n.c + i %}{% endfor %}{{ n.c }}",
            "{% with p = a + 1, q = t %}{{ p }}{{ q }}{% endwith %}{% set s %}in {{ a }}{% endset %}{{ s }}{% set s|upper %}x{% endset %}{{ s }}",
            "{% filter upper|replace('A', 'B') %}abc{% endfilter %}{% autoescape 'html' %}{{ '<' }}{% endautoescape %}",
            "a {{- a -}} b {%- if a %} c {% endif +%}\n{# no #}{% raw %}{{ x }} {% if {% endraw %}{ {{ a }} }{% raw %}{{% endraw %}\n",
            r#"{{ "a\"b\\n\n'" }}{{ 'it\'s "so"' }}{{ "a" "b" }}{{ 1.0 }}{{ 1e300 }}{{ 1e-7 }}{{ 0x1f }}{{ 1_000 }}{{ 99999999999999999999 }}"#,
            "{{ none }}{{ true }}{{ yes }}{{ nothing is none }}{{ 1.5|round|int }}{{ list|map('string')|join }}{{ t|int + 1 }}",
        ] {
            let (plain, guarded) = both(template);
            assert_eq!(guarded, plain, "{template}");
            assert!(plain.is_ok(), "{plain:?}");
        }
    }

    /// Expressions whose comparisons are of one kind.
    fn number() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("object.a".to_owned()),
            (0_u8..9).prop_map(|n| n.to_string())
        ];
        leaf.prop_recursive(5, 40, 3, |inner| {
            let operator = prop::sample::select(vec!["+", "-", "*", "and", "or"]);
            let comparison = prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
            prop_oneof![
                (inner.clone(), operator, inner.clone())
                    .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
                (inner.clone(), comparison, inner.clone())
                    .prop_map(|(left, operator, right)| format!("(({left}) {operator} ({right}))|int")),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(yes, test, no)| format!("({yes} if {test} else {no})")),
                inner.clone().prop_map(|inner| format!("({inner})")),
                inner.clone().prop_map(|inner| format!("-{inner}")),
                inner.clone().prop_map(|inner| format!("(not {inner})|int")),
                inner.clone().prop_map(|inner| format!("[{inner}, 1][0]")),
                inner.prop_map(|inner| format!("({inner})|abs")),
            ]
        })
    }

    proptest! {
        #[test]
        fn expressions_of_numbers_have_the_value_that_the_engine_gives_them(number in number()) {
            let template = format!("{{{{ {number} }}}}");
            if guarded_template(&template).is_ok() {
                let (plain, guarded) = both(&template);
                if let Ok(plain) = plain {
                    prop_assert_eq!(guarded, Ok(plain));
                }
            }
        }
    }
}
