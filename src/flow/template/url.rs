//! URLs.

use std::fmt;
use std::sync::LazyLock;

use minijinja::{Environment, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::check::TemplateError;
use super::compiled::{Compiled, literal_prefix};
use super::engine;
use super::error::RenderError;
use super::host::AllowedHost;
use crate::delivery::mask::mask_urls;
use crate::delivery::way;
use crate::flow::names::SavedNames;

/// The environment of all URLs.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine::encoding(one_component));

/// What is encoded: everything but the characters that RFC 3986 calls unreserved, so that a value stays one path segment
/// or one query value.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest URL: what common servers take.
const MAX_BYTES: usize = 8 * 1024;

/// An `http` or `https` URL, into whose path and query values can be inserted.
pub struct UrlTemplate {
    template: Compiled,
    destination: Destination,
    /// What of it may be shown.
    privacy: Privacy,
}

/// What may be shown of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Privacy {
    /// What does not look like a secret.
    Shown,
    /// The same, of what is sent; a secret stands in it that is masked by its value.
    Partly,
    /// Where it leads to alone.
    Secret,
}

/// Where requests go, whatever is inserted.
#[derive(Debug)]
enum Destination {
    /// To scheme, user, host and port of the literal text up to the first inserted value.
    Literal(Url),
    /// To one of these hosts, which the inserted values choose among.
    OneOf { scheme: &'static str, hosts: Vec<AllowedHost> },
}

impl UrlTemplate {
    /// Compiles a URL whose host is literal; all that is wrong with it comes back at once.
    pub fn compile(source: &str, names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        Self::compile_among(source, &[], names)
    }

    /// Compiles a URL whose host is one of `hosts`, if there are any; then it need not be literal.
    pub fn compile_among(source: &str, hosts: &[AllowedHost], names: &SavedNames) -> Result<Self, Vec<TemplateError>> {
        let template = Compiled::new(&ENVIRONMENT, source, names)?;
        let destination = Destination::of(source, hosts).map_err(|error| vec![error])?;
        Ok(Self { template, destination, privacy: Privacy::Shown })
    }

    /// A URL that is a secret as a whole and taken as it is.
    pub fn secret(url: &str, hosts: &[AllowedHost]) -> Result<Self, TemplateError> {
        if literal_prefix(url).len() != url.len() {
            return Err(TemplateError::CallDataInAuthority { range: 0..url.len() });
        }
        let (template, destination) = (Compiled::Literal(url.to_owned()), Destination::literal(url, hosts)?);
        Ok(Self { template, destination, privacy: Privacy::Secret })
    }

    /// The same, in which a secret stands.
    pub fn with_secret(self) -> Self {
        Self { privacy: Privacy::Partly, ..self }
    }

    /// Whether it is a secret as a whole.
    pub fn is_secret(&self) -> bool {
        self.privacy == Privacy::Secret
    }

    /// The URL itself, where nothing is filled in.
    pub fn literal(&self) -> Option<&Url> {
        match (&self.template, &self.destination) {
            (Compiled::Literal(_), Destination::Literal(url)) => Some(url),
            _ => None,
        }
    }

    /// Whether it says itself who sends the request.
    pub fn signs_in(&self) -> bool {
        match &self.destination {
            Destination::Literal(url) => !url.username().is_empty() || url.password().is_some(),
            Destination::OneOf { .. } => false,
        }
    }

    /// Whether it may lead to the receiver, which is named by scheme, host and port.
    pub fn may_reach(&self, receiver: &str) -> bool {
        match &self.destination {
            Destination::Literal(url) => way::receiver(&url.origin()) == receiver,
            Destination::OneOf { .. } => receiver.parse().is_ok_and(|url| self.destination.is_of(&url)),
        }
    }

    /// Fills in the URL.
    pub fn render(&self, fields: &Value) -> Result<Url, RenderError> {
        if let Some(url) = self.literal() {
            return Ok(url.clone());
        }
        let text = self.template.render(fields, MAX_BYTES)?;
        if has_dot_segment(&text) {
            return Err(RenderError::DotSegment);
        }
        // Without a host, the parser would take the path's first segment for one.
        if text.split_once("://").is_none_or(|(_, rest)| rest.starts_with(['/', '\\'])) {
            return Err(RenderError::Authority);
        }
        let url: Url = text.parse()?;
        if self.destination.is_of(&url) { Ok(url) } else { Err(RenderError::Authority) }
    }
}

impl fmt::Debug for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.privacy {
            Privacy::Shown => f.write_str(&mask_urls(&format!("{:?}", self.template))),
            Privacy::Partly | Privacy::Secret => f.write_str("UrlTemplate(hidden)"),
        }
    }
}

impl Destination {
    fn of(source: &str, hosts: &[AllowedHost]) -> Result<Self, TemplateError> {
        let prefix = literal_prefix(source);
        let (scheme, rest) = prefix.split_once("://").unzip();
        let is_literal = prefix.len() == source.len() || rest.is_some_and(|rest| rest.contains(['/', '?', '#']));
        if is_literal {
            return Self::literal(prefix, hosts);
        }
        let scheme = ["http", "https"].into_iter().find(|known| scheme == Some(known));
        match scheme {
            Some(scheme) if !hosts.is_empty() => Ok(Self::OneOf { scheme, hosts: hosts.to_vec() }),
            _ => Err(TemplateError::CallDataInAuthority { range: prefix.len()..source.len() }),
        }
    }

    /// Reads the literal text up to the first tag, which reaches into the path.
    fn literal(prefix: &str, hosts: &[AllowedHost]) -> Result<Self, TemplateError> {
        let url: Url = prefix.parse().map_err(TemplateError::NotAUrl)?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(TemplateError::Scheme(url.scheme().to_owned()));
        }
        if !hosts.is_empty() && !hosts.iter().any(|host| host.is_of(&url)) {
            return Err(TemplateError::HostNotAllowed(url.host_str().unwrap_or_default().to_owned()));
        }
        Ok(Self::Literal(url))
    }

    fn is_of(&self, url: &Url) -> bool {
        match self {
            Self::Literal(literal) => same_authority(url, literal),
            Self::OneOf { scheme, hosts } => url.scheme() == *scheme && hosts.iter().any(|host| host.is_of(url)),
        }
    }
}

/// Whether two URLs go to the same place. That what is inserted behind the authority cannot change it follows from its
/// encoding; this makes sure.
fn same_authority(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && (a.username(), a.password()) == (b.username(), b.password())
        && (a.host(), a.port()) == (b.host(), b.port())
}

/// Encodes a value so that it is a part of one path segment, or of one query value.
fn one_component(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Whether a segment of the path is `.` or `..`: URL parsers take those as directions, however they are encoded.
fn has_dot_segment(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    path.split(['/', '\\']).skip(3).any(|segment| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(source: &str, member_name: &str) -> Result<String, RenderError> {
        let fields = minijinja::context! { member_name, agent_name => "..", exit_key => "." };
        UrlTemplate::compile(source, &SavedNames::none()).expect("compiles").render(&fields).map(String::from)
    }

    fn refused(source: &str) -> TemplateError {
        UrlTemplate::compile(source, &SavedNames::none()).expect_err("refused").remove(0)
    }

    #[test]
    fn a_value_is_one_segment_or_one_query_value() {
        let url = render("https://crm.example/of/{{ member_name }}/x?q={{ member_name }}&r=1", "a/b?c#d&e=ü +%")
            .expect("renders");
        let value = "a%2Fb%3Fc%23d%26e%3D%C3%BC%20%2B%25";
        assert_eq!(url, format!("https://crm.example/of/{value}/x?q={value}&r=1"));
    }

    #[test]
    fn a_url_has_an_end() {
        let source = "https://crm.example/{{ member_name }}";
        let most = MAX_BYTES - "https://crm.example/".len();
        assert!(render(source, &"x".repeat(most)).is_ok());
        assert!(matches!(render(source, &"x".repeat(most + 1)), Err(RenderError::TooLong { .. })));
    }

    #[test]
    fn a_value_cannot_climb() {
        for source in ["{{ agent_name }}", "{{ exit_key }}{{ exit_key }}/x", "{{ exit_key }}?q", "%2e{{ exit_key }}/"] {
            let source = format!("https://crm.example/a/{source}");
            assert!(matches!(render(&source, ""), Err(RenderError::DotSegment)), "{source}");
        }
        assert!(render("https://crm.example/a?q={{ agent_name }}", "").is_ok());
        assert!(render("https://crm.example/v{{ agent_name }}x/", "").is_ok());
    }

    #[test]
    fn a_value_cannot_choose_where_a_request_goes() {
        for source in [
            "{{ member_name }}",
            "{{ member_name }}://crm.example/",
            "https://{{ member_name }}/",
            "https://crm.example{{ member_name }}/",
            "https://crm.example:{{ member_name }}/",
            "https://{{ member_name }}@crm.example/",
            "https://user:{{ member_name }}@crm.example/",
            "https:{{ member_name }}",
            "{% if member_name %}https://a.example/{% endif %}",
            "https://{# nothing #}crm.example/",
        ] {
            assert!(matches!(refused(source), TemplateError::CallDataInAuthority { .. }), "{source}");
        }
        assert!(matches!(refused("https:///{{ member_name }}"), TemplateError::NotAUrl(_)));
        assert!(matches!(refused("ftp://crm.example/{{ member_name }}"), TemplateError::Scheme(_)));
        assert!(matches!(refused("crm.example/x"), TemplateError::NotAUrl(_)));
    }

    #[test]
    fn a_value_can_choose_among_hosts_that_are_listed() {
        let hosts = ["crm.example", "b.example:8443"].map(|host| AllowedHost::parse(host).expect("a host"));
        let template = |source| UrlTemplate::compile_among(source, &hosts, &SavedNames::none());
        let url = template("https://{{ member_name }}/x?q={{ member_name }}").expect("compiles");
        let render = |name: &str| url.render(&minijinja::context! { member_name => name }).map(String::from);
        assert_eq!(render("crm.example").expect("renders"), "https://crm.example/x?q=crm.example");
        let elsewhere = [
            "evil.example",
            "b.example",
            "b.example:8443",
            "crm.example:8443",
            "crm.example.evil.example",
            "",
            "/crm.example",
            "crm.example/..",
            "crm.example\\@evil.example",
            "evil.example#@crm.example",
            "u@crm.example",
            "127.0.0.1",
        ];
        for name in elsewhere {
            assert!(matches!(render(name), Err(RenderError::Authority | RenderError::Url(_))), "{name}");
        }
        let port = template("https://{{ agent_name }}.example:8443").expect("compiles");
        assert!(port.render(&minijinja::context! { agent_name => "b" }).is_ok());
        assert!(port.render(&minijinja::context! { agent_name => "crm" }).is_err());

        let refused = |source| template(source).expect_err("refused").remove(0);
        assert!(matches!(refused("{{ member_name }}"), TemplateError::CallDataInAuthority { .. }));
        assert!(matches!(refused("ftp://{{ member_name }}/"), TemplateError::CallDataInAuthority { .. }));
        assert_eq!(refused("https://evil.example/"), TemplateError::HostNotAllowed("evil.example".into()));
    }

    #[test]
    fn safe_is_no_way_around() {
        let url = render("https://crm.example/{{ member_name|safe }}", "a/../b").expect("renders");
        assert_eq!(url, "https://crm.example/a%2F..%2Fb");
    }

    proptest! {
        #[test]
        fn whatever_a_caller_is_called_the_host_is_a_listed_one(name in "crm|\\PC*|[a-z@:/?#\\\\%.0-9\\[\\]]{0,20}") {
            let hosts = [AllowedHost::parse("crm.example").expect("a host")];
            let url = UrlTemplate::compile_among("https://{{ member_name }}.example/a", &hosts, &SavedNames::none()).expect("compiles");
            if let Ok(url) = url.render(&minijinja::context! { member_name => &name }) {
                prop_assert_eq!(url.as_str(), "https://crm.example/a");
            }
        }

        #[test]
        fn whatever_a_caller_is_called_is_one_segment_of_one_host(name in any::<String>()) {
            match render("https://u@crm.example:8443/a/{{ member_name }}/b?c={{ member_name }}&d=1", &name) {
                Err(RenderError::DotSegment) => prop_assert!(name == "." || name == ".."),
                Err(error) => prop_assert!(false, "{error}"),
                Ok(text) => {
                    let url: Url = text.parse().expect("a URL");
                    prop_assert_eq!(url.host_str(), Some("crm.example"));
                    prop_assert_eq!(url.port(), Some(8443));
                    prop_assert_eq!(url.path_segments().expect("a path").count(), 3);
                    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                    prop_assert_eq!(pairs, [("c".to_owned(), name), ("d".to_owned(), "1".to_owned())]);
                    prop_assert_eq!(url.fragment(), None);
                }
            }
        }
    }
}
