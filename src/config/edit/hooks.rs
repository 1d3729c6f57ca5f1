//! The hooks of one pattern in a file's text.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, RawString, Table, TableLike, Value};

use super::draft::{HookChange, HookDraft, set};

/// How deep the hooks of a list stand that has none yet, or all of them in one line.
const INDENT: &str = "\n  ";

/// The hook that was to be changed is not there.
#[derive(Debug)]
pub(super) struct NoHook;

/// Where a pattern's table stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Not at all.
    Nowhere,
    /// Without hooks.
    Table,
    /// With hooks.
    Hooks,
}

/// How a file stands to a pattern.
pub(super) fn standing(document: &DocumentMut, pattern: &str) -> Standing {
    let table = document.get("queues").and_then(|queues| queues.as_table_like()?.get(pattern));
    match table.and_then(Item::as_table_like) {
        None => Standing::Nowhere,
        Some(table) if table.contains_key("hooks") => Standing::Hooks,
        Some(_) => Standing::Table,
    }
}

/// Changes the pattern's hooks.
pub(super) fn change(document: &mut DocumentMut, pattern: &str, change: &HookChange) -> Result<(), NoHook> {
    let table = table_of(document, pattern).ok_or(NoHook)?;
    match table.entry("hooks").or_insert_with(|| Array::new().into()) {
        Item::Value(Value::Array(list)) => change_array(list, change),
        Item::ArrayOfTables(list) => change_tables(list, change),
        _ => Err(NoHook),
    }
}

/// The pattern's table, made at the end of the queues where there is none.
fn table_of<'a>(document: &'a mut DocumentMut, pattern: &str) -> Option<&'a mut dyn TableLike> {
    let queues = document.entry("queues").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        table.into()
    });
    let made = || {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        Item::from(table)
    };
    let queues = queues.as_table_like_mut()?;
    if !queues.contains_key(pattern) {
        queues.insert(pattern, made());
    }
    queues.get_mut(pattern)?.as_table_like_mut()
}

fn change_array(list: &mut Array, change: &HookChange) -> Result<(), NoHook> {
    match change {
        HookChange::Add(draft) => push(list, draft),
        HookChange::Replace(name, draft) => {
            let hook = find(list.iter().map(Value::as_inline_table), name)?;
            let table = list.get_mut(hook).and_then(Value::as_inline_table_mut).ok_or(NoHook)?;
            let keys = table.len();
            draft.write_into(table);
            // Blanks stand beside values, and are wrong once there are others.
            if table.len() != keys {
                table.fmt();
            }
        }
        HookChange::Enable(name, enabled) => {
            let hook = find(list.iter().map(Value::as_inline_table), name)?;
            let table = list.get_mut(hook).and_then(Value::as_inline_table_mut).ok_or(NoHook)?;
            set(table, "enabled", (!enabled).then(|| false.into()));
            table.fmt();
        }
        HookChange::Delete(name) => {
            let hook = find(list.iter().map(Value::as_inline_table), name)?;
            for i in hook + 1..list.len() {
                let table = list.get_mut(i).and_then(Value::as_inline_table_mut).ok_or(NoHook)?;
                if keep_name(table, i) {
                    table.fmt();
                }
            }
            remove(list, hook);
        }
    }
    Ok(())
}

fn change_tables(list: &mut ArrayOfTables, change: &HookChange) -> Result<(), NoHook> {
    match change {
        HookChange::Add(draft) => {
            let mut table = Table::new();
            draft.write_into(&mut table);
            list.push(table);
        }
        HookChange::Replace(name, draft) => {
            let hook = find(list.iter().map(Some), name)?;
            draft.write_into(list.get_mut(hook).ok_or(NoHook)?);
        }
        HookChange::Enable(name, enabled) => {
            let hook = find(list.iter().map(Some), name)?;
            set(list.get_mut(hook).ok_or(NoHook)?, "enabled", (!enabled).then(|| false.into()));
        }
        HookChange::Delete(name) => {
            let hook = find(list.iter().map(Some), name)?;
            for i in hook + 1..list.len() {
                keep_name(list.get_mut(i).ok_or(NoHook)?, i);
            }
            list.remove(hook);
        }
    }
    Ok(())
}

/// The place of the hook that has this name, or this place and no name.
fn find<'a, T: TableLike + 'a>(hooks: impl Iterator<Item = Option<&'a T>>, name: &str) -> Result<usize, NoHook> {
    let called = |(i, hook): (usize, Option<&T>)| {
        let own = hook?.get("name").and_then(Item::as_str);
        own.map_or_else(|| i.to_string() == name, |own| own == name).then_some(i)
    };
    hooks.enumerate().find_map(called).ok_or(NoHook)
}

/// Names a hook by its place, where it was called by that: it goes on as the same when one before it is gone.
fn keep_name(table: &mut dyn TableLike, place: usize) -> bool {
    let unnamed = !table.contains_key("name");
    if unnamed {
        set(table, "name", Some(place.to_string().into()));
    }
    unnamed
}

fn text(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or_default().to_owned()
}

/// Adds a hook on a line of its own. A comment behind the last one stays there.
fn push(list: &mut Array, draft: &HookDraft) {
    let prefixes: Vec<String> = list.iter().map(|hook| text(hook.decor().prefix())).collect();
    let behind = text(Some(list.trailing()));
    let is_in_lines = prefixes.iter().any(|prefix| prefix.contains('\n'));
    if !is_in_lines {
        for hook in list.iter_mut() {
            hook.decor_mut().set_prefix(INDENT);
            hook.decor_mut().set_suffix("");
        }
    }
    let indent = prefixes.iter().rev().find_map(|prefix| Some(&prefix[prefix.rfind('\n')?..])).unwrap_or(INDENT);
    let mut comments = match behind.rfind('\n') {
        Some(end) if behind.contains('#') => behind[..end].to_owned(),
        _ => String::new(),
    };
    // Without a comma behind it, what follows the last hook is its own.
    if let Some(last) = list.iter_mut().last() {
        let own = text(last.decor().suffix());
        if own.contains('#') {
            comments.insert_str(0, own.trim_end());
        }
        last.decor_mut().set_suffix("");
    }
    let mut hook = Value::from(draft.to_inline());
    *hook.decor_mut() = toml_edit::Decor::new(format!("{comments}{indent}"), "");
    list.push_formatted(hook);
    list.set_trailing_comma(true);
    list.set_trailing("\n");
}

/// Takes a hook out, with the comments above it and behind it. What stands behind the one before it, which is written at the
/// beginning of this one's, stays.
fn remove(list: &mut Array, hook: usize) {
    let removed = text(list.remove(hook).decor().prefix());
    let line = |text: &str| text.find('\n').unwrap_or(0);
    let of_former = &removed[..line(&removed)];
    match list.get_mut(hook) {
        Some(next) => {
            let prefix = text(next.decor().prefix());
            next.decor_mut().set_prefix(format!("{of_former}{}", &prefix[line(&prefix)..]));
        }
        None => {
            let trailing = text(Some(list.trailing()));
            list.set_trailing(format!("{of_former}{}", &trailing[line(&trailing)..]));
        }
    }
}
