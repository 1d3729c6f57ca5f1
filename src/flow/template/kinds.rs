//! Which kinds of values expressions compare, as far as their text says it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::machinery::ast::{BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};
use minijinja::value::ValueKind;

use super::check::TemplateError;
use super::guard;
use super::limits::range;
use crate::flow::context::SAMPLES;
use crate::moment::Payload;

/// The field whose members are a channel's variables.
const VARIABLES: &str = "variables";

/// The filters whose result is a number.
const NUMBERS: [&str; 5] = ["abs", "count", "float", "int", "length"];

/// The filters whose result is a text.
const TEXTS: [&str; 7] = ["capitalize", "join", "lower", "string", "title", "trim", "upper"];

/// What a text never is to a number: by `==`, and by `<` and `>`.
const EQUAL: &str = "never equal to";
const ORDERED: &str = "neither less nor more than";

/// A kind that the text tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
}

/// The kinds of the payload's fields, where they have one: null aside, it is the same in the sample of every event.
static FIELDS: LazyLock<BTreeMap<&'static str, Kind>> = LazyLock::new(|| {
    let kinds = |name: &str| -> Vec<ValueKind> {
        let values = SAMPLES.iter().filter_map(|sample| sample.fields().get_attr(name).ok());
        values
            .map(|value| value.kind())
            .filter(|kind| !matches!(kind, ValueKind::None | ValueKind::Undefined))
            .collect()
    };
    let kind = |name: &str| match kinds(name).as_slice() {
        [ValueKind::String, rest @ ..] if rest.iter().all(|kind| *kind == ValueKind::String) => Some(Kind::Text),
        [ValueKind::Number, rest @ ..] if rest.iter().all(|kind| *kind == ValueKind::Number) => Some(Kind::Number),
        _ => None,
    };
    Payload::FIELDS.iter().filter_map(|field| Some((field.name, kind(field.name)?))).collect()
});

/// A walk through one text.
struct Walk<'s> {
    source: &'s str,
    /// Names that the text assigns itself.
    assigned: Vec<&'s str>,
    faults: Vec<TemplateError>,
}

/// Refuses comparisons of a text with a number.
pub(super) fn check_expression<'s>(source: &'s str, tree: &Expr<'s>) -> Result<(), Vec<TemplateError>> {
    let mut walk = Walk { source, assigned: Vec::new(), faults: Vec::new() };
    walk.expression(tree);
    walk.finish()
}

/// The same for a template.
pub(super) fn check_template<'s>(source: &'s str, tree: &Stmt<'s>) -> Result<(), Vec<TemplateError>> {
    let mut walk = Walk { source, assigned: Vec::new(), faults: Vec::new() };
    walk.assignments(tree);
    walk.statement(tree);
    walk.finish()
}

impl<'s> Walk<'s> {
    fn finish(self) -> Result<(), Vec<TemplateError>> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    /// Notes the names that statements assign, anywhere: what they hold is not known.
    fn assignments(&mut self, statement: &Stmt<'s>) {
        match statement {
            Stmt::ForLoop(each) => self.target(&each.target),
            Stmt::WithBlock(with) => with.assignments.iter().for_each(|(target, _)| self.target(target)),
            Stmt::Set(set) => self.target(&set.target),
            Stmt::SetBlock(set) => self.target(&set.target),
            _ => {}
        }
        for statement in inner(statement) {
            self.assignments(statement);
        }
    }

    fn target(&mut self, target: &Expr<'s>) {
        match target {
            Expr::Var(variable) => self.assigned.push(variable.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            _ => {}
        }
    }

    fn statement(&mut self, statement: &Stmt<'s>) {
        match statement {
            Stmt::EmitExpr(emitted) => self.expression(&emitted.expr),
            Stmt::ForLoop(each) => {
                self.expression(&each.iter);
                each.filter_expr.iter().for_each(|filter| self.expression(filter));
            }
            Stmt::IfCond(choice) => self.expression(&choice.expr),
            Stmt::WithBlock(with) => with.assignments.iter().for_each(|(_, value)| self.expression(value)),
            Stmt::Set(set) => self.expression(&set.expr),
            Stmt::SetBlock(set) => set.filter.iter().for_each(|filter| self.expression(filter)),
            Stmt::AutoEscape(escape) => self.expression(&escape.enabled),
            Stmt::FilterBlock(filter) => self.expression(&filter.filter),
            Stmt::Do(done) => self.arguments(&done.call.args),
            Stmt::Template(_) | Stmt::EmitRaw(_) => {}
        }
        for statement in inner(statement) {
            self.statement(statement);
        }
    }

    fn expression(&mut self, expression: &Expr<'s>) {
        match expression {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::UnaryOp(unary) => self.expression(&unary.expr),
            Expr::BinOp(binary) => {
                use BinOpKind::{Eq, Gt, Gte, In, Lt, Lte, Ne};
                match binary.op {
                    Eq | Ne => self.compared(&binary.left, EQUAL, &binary.right),
                    Lt | Lte | Gt | Gte => self.compared(&binary.left, ORDERED, &binary.right),
                    In => self.contained(&binary.left, &binary.right),
                    _ => {}
                }
                self.expression(&binary.left);
                self.expression(&binary.right);
            }
            Expr::Compare(chain) => {
                let mut left = &chain.expr;
                self.expression(left);
                for link in &chain.ops {
                    use CompareOpKind::{Eq, Gt, Gte, In, Lt, Lte, Ne, NotIn};
                    match link.op {
                        Eq | Ne => self.compared(left, EQUAL, &link.expr),
                        Lt | Lte | Gt | Gte => self.compared(left, ORDERED, &link.expr),
                        In | NotIn => self.contained(left, &link.expr),
                    }
                    left = &link.expr;
                    self.expression(left);
                }
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr);
                self.expression(&choice.true_expr);
                choice.false_expr.iter().for_each(|otherwise| self.expression(otherwise));
            }
            Expr::Filter(filter) => {
                filter.expr.iter().for_each(|inner| self.expression(inner));
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.tested(&test.expr, test.name, &test.args);
                self.expression(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.expression(&attribute.expr),
            Expr::GetItem(item) => {
                self.expression(&item.expr);
                self.expression(&item.subscript_expr);
            }
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                [&slice.start, &slice.stop, &slice.step].into_iter().flatten().for_each(|part| self.expression(part));
            }
            Expr::Call(call) => {
                self.expression(&call.expr);
                self.arguments(&call.args);
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).for_each(|part| self.expression(part)),
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'s>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => {
                    self.expression(value);
                }
            }
        }
    }

    /// A test that compares: `x is gt(1)`.
    fn tested(&mut self, tested: &Expr<'s>, name: &str, arguments: &[CallArg<'s>]) {
        let [CallArg::Pos(other)] = arguments else { return };
        match guard::operator(name) {
            Some("in") => self.contained(tested, other),
            Some("==" | "!=") => self.compared(tested, EQUAL, other),
            Some(_) => self.compared(tested, ORDERED, other),
            None => {}
        }
    }

    /// What is looked for in a list: each item of one that is written out.
    fn contained(&mut self, value: &Expr<'s>, container: &Expr<'s>) {
        let items = match container {
            Expr::List(list) => &list.items,
            Expr::Tuple(tuple) => &tuple.items,
            _ => return,
        };
        let known = self.faults.len();
        items.iter().for_each(|item| self.compared(value, EQUAL, item));
        // One for all items says enough.
        self.faults.truncate(known + 1);
    }

    fn compared(&mut self, left: &Expr<'s>, relation: &'static str, right: &Expr<'s>) {
        let text = match (self.kind(left), self.kind(right)) {
            (Some(Kind::Text), Some(Kind::Number)) => left,
            (Some(Kind::Number), Some(Kind::Text)) => right,
            _ => return,
        };
        let range = range(text.span());
        let written = self.source.get(range.clone()).unwrap_or_default().to_owned();
        self.faults.push(TemplateError::TextAndNumber { text: written, relation, range: Some(range) });
    }

    fn kind(&self, expression: &Expr<'s>) -> Option<Kind> {
        match expression {
            Expr::Const(constant) if constant.value.is_number() => Some(Kind::Number),
            Expr::Const(constant) if constant.value.as_str().is_some() => Some(Kind::Text),
            Expr::Var(name) if !self.assigned.contains(&name.id) => FIELDS.get(name.id).copied(),
            Expr::GetAttr(attribute) => self.is_variables(&attribute.expr).then_some(Kind::Text),
            Expr::GetItem(item) => self.is_variables(&item.expr).then_some(Kind::Text),
            Expr::UnaryOp(unary) if matches!(unary.op, UnaryOpKind::Neg) => self.kind(&unary.expr),
            Expr::BinOp(binary) if matches!(binary.op, BinOpKind::Concat) => Some(Kind::Text),
            Expr::Filter(filter) if TEXTS.contains(&filter.name) => Some(Kind::Text),
            Expr::Filter(filter) => NUMBERS.contains(&filter.name).then_some(Kind::Number),
            _ => None,
        }
    }

    /// Whether this holds a channel's variables, all of which are texts.
    fn is_variables(&self, expression: &Expr<'s>) -> bool {
        matches!(expression, Expr::Var(name) if name.id == VARIABLES && !self.assigned.contains(&VARIABLES))
    }
}

/// The statements within a statement.
fn inner<'a, 's>(statement: &'a Stmt<'s>) -> impl Iterator<Item = &'a Stmt<'s>> + use<'a, 's> {
    let (first, second): (&[Stmt<'s>], &[Stmt<'s>]) = match statement {
        Stmt::Template(template) => (&template.children, &[]),
        Stmt::ForLoop(each) => (&each.body, &each.else_body),
        Stmt::IfCond(choice) => (&choice.true_body, &choice.false_body),
        Stmt::WithBlock(with) => (&with.body, &[]),
        Stmt::SetBlock(set) => (&set.body, &[]),
        Stmt::AutoEscape(escape) => (&escape.body, &[]),
        Stmt::FilterBlock(filter) => (&filter.body, &[]),
        Stmt::EmitExpr(_) | Stmt::EmitRaw(_) | Stmt::Set(_) | Stmt::Do(_) => (&[], &[]),
    };
    first.iter().chain(second)
}
