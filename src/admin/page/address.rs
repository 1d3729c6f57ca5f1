//! Where things are.

use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;
use url::form_urlencoded::Serializer;

/// A host that is no other's, which addresses are read against as a browser reads them against ours.
static OURS: LazyLock<Url> = LazyLock::new(|| Url::parse("http://hookswitch.invalid/").expect("a URL"));

/// The longest address that is led on to.
const LONGEST: usize = 8 * 1_024;

/// A path of our own with its query, as a browser reads it from an address that comes from anywhere; none if it would lead
/// to another host.
///
/// Browsers take tabs and newlines out, read `\` as `/`, and `.` and `..` as they are meant, all before they look for a
/// host. So what was read is what is given on, and must be read as the same again.
pub fn local(address: &str) -> Option<String> {
    let read = |address: &str| Url::options().base_url(Some(&OURS)).parse(address).ok();
    let url = read(address).filter(|url| address.len() <= LONGEST && url.origin() == OURS.origin())?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let again = read(path)?;
    let is_same = again[..url::Position::AfterQuery] == OURS[..url::Position::BeforePath].to_owned() + path;
    is_same.then(|| path.to_owned())
}

/// A queue's page, or one of its tabs.
pub fn queue(queue: &str, tab: &str) -> String {
    let name = utf8_percent_encode(queue, NON_ALPHANUMERIC);
    if tab.is_empty() { format!("/queues/{name}") } else { format!("/queues/{name}/{tab}") }
}

/// A flow's page.
pub fn flow(flow: &str) -> String {
    format!("/flows/{}", utf8_percent_encode(flow, NON_ALPHANUMERIC))
}

/// A path with what follows its `?`; what is empty is left out.
pub fn with(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = Serializer::new(String::new());
    pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    let query = pairs.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_ours_is_led_on_to_as_it_is() {
        for ours in
            ["/", "/queues/a%40b?x=1", "/deliveries?number=%2B40&done=a//b\\c", "/a//b", "/?next=//evil.example"]
        {
            assert_eq!(local(ours).as_deref(), Some(ours));
        }
        let read = [
            ("/queues/../nodes", "/nodes"),
            ("nodes", "/nodes"),
            ("/a\tb\n", "/ab"),
            ("/ä b", "/%C3%A4%20b"),
            ("/a\\b", "/a/b"),
            ("", "/"),
            ("?x", "/?x"),
            ("/a#part", "/a"),
        ];
        for (address, path) in read {
            assert_eq!(local(address).as_deref(), Some(path), "{address:?}");
        }
    }

    #[test]
    fn no_address_leads_to_another_host() {
        let hosts =
            ["evil.example", "evil.example/%2e%2e", "evil%2eexample", "[::1]", "1", "user@evil.example", ":8060"];
        let starts = [
            "//",
            "///",
            "/\\",
            "\\\\",
            "\\/",
            "/\t/",
            "/\n/",
            "/\r\n/",
            "\t//",
            "\u{1}//",
            "\u{0}/\\",
            " //",
            "/\t\\",
            "/.//",
            "/./\\",
            "/a/..//",
            "/%2e//",
            "/%2E%2e//",
            "/.\t//",
            "/..//",
            "http://",
            "https://",
            "HTTPS:\\\\",
            "https:",
            "ht\ntp://",
            "https:/",
            "ftp://",
            "javascript:",
            "data:,",
            "blob:http://",
            "mailto:",
            "file:///",
            "ws://",
            "//\t/",
        ];
        for start in starts {
            for host in hosts {
                let address = format!("{start}{host}");
                let Some(path) = local(&address) else { continue };
                let url = Url::parse("https://ours.example:8060/sign-in").expect("a URL");
                let url = url.join(&path).unwrap_or_else(|error| panic!("{address:?}: {path}: {error}"));
                assert_eq!(
                    url.origin(),
                    Url::parse("https://ours.example:8060").expect("a URL").origin(),
                    "{address:?}"
                );
                let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
                assert!(path.starts_with('/') && !path.starts_with("//") && is_plain, "{address:?}: {path}");
            }
        }
        for elsewhere in
            ["//evil.example", "/\t/evil.example", "/\\evil.example", "/.//evil.example", "https:evil.example"]
        {
            assert_eq!(local(elsewhere), None, "{elsewhere:?}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(LONGEST))), None);
    }
}
