//! Where things are.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded::Serializer;

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
