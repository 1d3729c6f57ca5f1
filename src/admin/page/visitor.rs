//! Who looks at a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;

use crate::admin::app::App;
use crate::admin::problem::Problem;
use crate::admin::role::Role;

/// How many of a number's last digits are shown to whoever may not see it: enough to tell two callers apart.
const SHOWN_DIGITS: usize = 2;

/// Somebody whom the guard has let in.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The name; none where nobody has to sign in.
    pub name: Option<String>,
    /// What is permitted.
    pub role: Role,
    /// What time it is where calls are: by the latest moment where that is ahead of our own clock, as a simulated day is.
    pub now: Timestamp,
    /// What every form carries, so that no page of another origin can send one.
    pub csrf: String,
}

impl Visitor {
    /// Whether this is permitted.
    pub fn may(&self, role: Role) -> bool {
        self.role.permits(role)
    }

    /// Whether numbers, and what may hold them, are shown. Who may only look sees no more than that callers differ.
    pub fn sees_numbers(&self) -> bool {
        self.may(Role::Operate)
    }

    /// A number, or a name, which FreeSWITCH fills with the number where a caller has none.
    pub fn number(&self, number: &str) -> String {
        if self.sees_numbers() {
            return number.to_owned();
        }
        let digits = number.chars().filter(char::is_ascii_digit).count();
        if digits < 4 {
            return number.to_owned();
        }
        let mut left = digits - SHOWN_DIGITS;
        let mask = |c: char| {
            let hidden = c.is_ascii_digit() && left > 0;
            left -= usize::from(hidden);
            if hidden { '•' } else { c }
        };
        number.chars().map(mask).collect()
    }

    /// What changes are noted under.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("this machine")
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Problem::unavailable("nobody has looked who this is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_only_look_sees_the_last_digits() {
        let visitor = |role| Visitor { name: None, role, now: Timestamp::UNIX_EPOCH, csrf: String::new() };
        let masked = |text| visitor(Role::Read).number(text);
        assert_eq!(masked("+40 712 345 001"), "+•• ••• ••• •01");
        assert_eq!((masked("1000"), masked("Zoë Müller")), ("••00".into(), "Zoë Müller".into()));
        assert_eq!(visitor(Role::Operate).number("+40 712"), "+40 712");
    }
}
