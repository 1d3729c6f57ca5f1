//! A user of FreeSWITCH's directory, as an agent's contact or name gives it.

use std::fmt;

/// The longest name of a user or domain.
const MAX_NAME: usize = 128;

/// A user and a domain. Both come from call data, so they hold nothing that a command, or what FreeSWITCH makes of it, could
/// take for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    user: String,
    domain: String,
}

impl fmt::Display for DirectoryUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.domain)
    }
}

impl DirectoryUser {
    /// The user whom a contact dials, or whom the agent's name names, where either is a user with a domain.
    pub fn of_agent(contact: &str, name: &str) -> Option<Self> {
        Self::of_contact(contact).or_else(|| Self::read(name))
    }

    /// The user whom a contact dials: of `user/1000@domain`, `sofia/internal/1000@domain:5060`, `${sofia_contact(1000@domain)}`,
    /// with or without variables before it. One that dials several is nobody's.
    fn of_contact(contact: &str) -> Option<Self> {
        let contact = contact.trim();
        let inner = contact.strip_prefix("${").and_then(|rest| rest.strip_suffix(")}"));
        let dialled = match inner.and_then(|inner| inner.split_once("_contact(")) {
            Some((_, dialled)) => dialled,
            None => behind_variables(contact)?,
        };
        if dialled.contains([',', '|']) || dialled.contains(":_:") {
            return None;
        }
        let target = dialled.rsplit('/').next()?.split(';').next()?;
        let target = target.strip_prefix("sips:").or_else(|| target.strip_prefix("sip:")).unwrap_or(target);
        let (user, host) = target.split_once(['@', '%'])?;
        Self::new(user, host.split(':').next()?)
    }

    fn read(text: &str) -> Option<Self> {
        let (user, domain) = text.split_once('@')?;
        Self::new(user, domain)
    }

    fn new(user: &str, domain: &str) -> Option<Self> {
        let is_plain = |text: &str, also: &str| {
            let is_plain = text.chars().all(|c| c.is_alphanumeric() || also.contains(c));
            (1..=MAX_NAME).contains(&text.len()) && !text.starts_with('-') && is_plain
        };
        let is_good = is_plain(user, "._-+") && is_plain(domain, ".-_");
        is_good.then(|| Self { user: user.to_owned(), domain: domain.to_owned() })
    }
}

/// What stands behind the variables of a dial string; none where a bracket is not closed.
fn behind_variables(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '[' => ']',
            '{' => '}',
            '<' => '>',
            _ => return Some(rest),
        };
        rest = rest.split_once(closing)?.1.trim_start();
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(contact: &str, name: &str) -> Option<String> {
        DirectoryUser::of_agent(contact, name).map(|user| user.to_string())
    }

    #[test]
    fn a_contact_gives_user_and_domain() {
        for (contact, expected) in [
            ("user/1000@default", Some("1000@default")),
            ("[leg_timeout=7,a=b]user/1000@pbx.example", Some("1000@pbx.example")),
            ("{a=b}[c=d]sofia/internal/1000@10.0.0.7:5080", Some("1000@10.0.0.7")),
            ("sofia/internal/sip:1000@pbx.example;transport=udp", Some("1000@pbx.example")),
            ("sofia/internal/1000%pbx.example", Some("1000@pbx.example")),
            ("${sofia_contact(internal/1000@pbx.example)}", Some("1000@pbx.example")),
            ("${verto_contact(zoë@pbx.example)}", Some("zoë@pbx.example")),
            ("user/1000@a,user/1001@a", None),
            ("user/1000", None),
            ("loopback/1000/default", None),
            ("[a=b", None),
            ("", None),
        ] {
            assert_eq!(user(contact, "agent1").as_deref(), expected, "{contact}");
        }
        assert_eq!(user("loopback/1000/default", "1000@default").as_deref(), Some("1000@default"));
        assert_eq!(user("user/1000@a", "1001@b").as_deref(), Some("1000@a"));
    }

    #[test]
    fn a_hostile_name_is_nobodys() {
        for name in [
            "a b@default",
            "a\nb@default",
            "a@default\n\napi shutdown",
            "a;b@default",
            "a|b@default",
            "a@b;c",
            "a@b c",
            "-a@b",
            "^^;a@b",
            "'a'@b",
            "a\\@b",
            "${a}@b",
            "a@b@c",
            "@b",
            "a@",
            "a/../b@c",
            "a%0a@b",
            "a\u{7f}@b",
            "a=b@c",
        ] {
            assert_eq!(user("", name), None, "{name:?}");
            let dialled = user(&format!("user/{name}"), "");
            assert!(
                dialled.is_none_or(|user| user.chars().all(|c| c.is_alphanumeric() || "@._-+".contains(c))),
                "{name:?}"
            );
        }
    }
}
