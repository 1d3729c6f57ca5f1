//! A channel's variables.

use std::borrow::Cow;

/// Variables in the order in which they were first set.
#[derive(Clone, Debug, Default)]
pub struct Variables(Vec<(Cow<'static, str>, String)>);

impl Variables {
    /// Sets one; a second value replaces the first in its place.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let name = name.into();
        match self.0.iter_mut().find(|(candidate, _)| *candidate == name) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((name, value.into())),
        }
    }

    /// Removes one.
    pub fn unset(&mut self, name: &str) {
        self.0.retain(|(candidate, _)| candidate != name);
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// Sets what a template lists, with its `{…}` taken from `places`.
    pub fn fill(&mut self, template: &'static str, places: &[(&str, &str)]) {
        for (name, value) in template.lines().filter_map(|line| line.split_once(": ")) {
            self.set(name, filled(value, places));
        }
    }

    /// The headers that carry them.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'static, str>, String)> {
        self.0.iter().map(|(name, value)| (format!("variable_{name}").into(), value.clone()))
    }
}

/// One value of a template. What is filled in is not looked at again, so a caller's braces stay braces.
fn filled(value: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['{', '\\']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\r") {
            text.push('\r');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\n") {
            text.push('\n');
            rest = after;
        } else if let Some((place, after)) = rest[1..].split_once('}') {
            let found = places.iter().find(|(name, _)| *name == place);
            debug_assert!(found.is_some(), "a template asks for {place}");
            text.push_str(found.map_or("", |(_, value)| value));
            rest = after;
        } else {
            break;
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_in_once() {
        let mut variables = Variables::default();
        variables
            .fill("from: \"{name}\" <sip:{number}>\nsdp: v=0\\r\\nt=0\n", &[("name", "{number}"), ("number", "1")]);
        assert_eq!(variables.get("from"), Some("\"{number}\" <sip:1>"));
        assert_eq!(variables.get("sdp"), Some("v=0\r\nt=0"));
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut variables = Variables::default();
        variables.set("a", "1");
        variables.set("b", "2");
        variables.set("a", "3");
        assert_eq!(variables.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    }
}
