//! A hook as somebody wants it.

use toml_edit::{InlineTable, TableLike, Value};

use crate::hook::Hook;

/// A hook's keys. Nothing in it is checked: the whole configuration is, once it is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookDraft {
    /// Its name; none: the one it has, or else its place.
    pub name: Option<String>,
    /// The event's name.
    pub event: String,
    /// The flow's name.
    pub flow: String,
    /// The condition; none: always.
    pub when: Option<String>,
    /// Whether it starts anything.
    pub enabled: bool,
    /// Whether it only logs what it would start.
    pub dry_run: bool,
}

/// What is to be done to the hooks of a pattern. Hooks are named as their identifiers name them: by name, or by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookChange {
    /// One more, behind the others.
    Add(HookDraft),
    /// Another in the place of this one; what a draft does not say stays.
    Replace(String, HookDraft),
    /// One that starts nothing, or does again.
    Enable(String, bool),
    /// One less.
    Delete(String),
}

impl From<&Hook> for HookDraft {
    fn from(hook: &Hook) -> Self {
        let name = hook.name().to_owned();
        Self {
            // A place is no name.
            name: Some(name).filter(|name| name.parse::<usize>().is_err()),
            event: hook.event.as_str().to_owned(),
            flow: hook.flow.name.to_string(),
            when: hook.when.as_ref().map(|when| when.source().to_owned()),
            enabled: hook.enabled,
            dry_run: hook.dry_run,
        }
    }
}

impl HookDraft {
    /// The hook as it is written anew.
    pub(super) fn to_inline(&self) -> InlineTable {
        let mut table = InlineTable::new();
        self.write_into(&mut table);
        table
    }

    /// Sets and takes out keys where they differ; those that are not a draft's stay.
    pub(super) fn write_into(&self, table: &mut dyn TableLike) {
        let text = |text: &String| Value::from(text.as_str());
        // A name is never taken away: the hook would be another one.
        if let Some(name) = &self.name {
            set(table, "name", Some(text(name)));
        }
        set(table, "event", Some(text(&self.event)));
        set(table, "flow", Some(text(&self.flow)));
        set(table, "when", self.when.as_ref().map(text));
        set(table, "enabled", (!self.enabled).then(|| false.into()));
        set(table, "dry_run", self.dry_run.then(|| true.into()));
    }
}

/// Sets a key, or takes it out; where it was there, what is around its value stays.
pub(super) fn set(table: &mut dyn TableLike, key: &str, value: Option<Value>) {
    let Some(mut value) = value else {
        table.remove(key);
        return;
    };
    match table.get_mut(key).and_then(toml_edit::Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => drop(table.insert(key, value.into())),
    }
}
