//! The positions in which a name can stand, each a flow of its own, and what its receiver should read.

use serde_json::{Value as Json, json};

use crate::name::Name;

/// A position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Url,
    Get,
    Host,
    Header,
    Json,
    Form,
    Plain,
    Markup,
    Standard,
    CloudEvents,
    Webitel,
    Set,
    If,
    Switch,
    Log,
}

impl Position {
    pub(crate) const ALL: [Self; 15] = [
        Self::Url,
        Self::Get,
        Self::Host,
        Self::Header,
        Self::Json,
        Self::Form,
        Self::Plain,
        Self::Markup,
        Self::Standard,
        Self::CloudEvents,
        Self::Webitel,
        Self::Set,
        Self::If,
        Self::Switch,
        Self::Log,
    ];

    /// The flow's name, which is also the first segment of its URL's path.
    pub(crate) fn flow(self) -> String {
        format!("{self:?}")
    }

    /// The position whose flow has that name.
    pub(crate) fn of_flow(name: &str) -> Self {
        Self::ALL.into_iter().find(|position| position.flow() == name).expect("a position")
    }

    /// The flow's steps, for a receiver at `address`.
    pub(crate) fn steps(self, address: &str) -> String {
        let port = address.rsplit(':').next().expect("a port");
        let http = |keys: &str| format!("{{ http = {{ url = 'http://{address}/{self:?}', retry = [], {keys} }} }}");
        match self {
            Self::Url => format!(
                "{{ http = {{ url = 'http://{address}/{self:?}/{{{{ member_name }}}}/end?q={{{{ member_name|safe }}}}&last=1', \
                 retry = [], json = {{}} }} }}"
            ),
            Self::Get => format!(
                "{{ http = {{ method = 'GET', url = 'http://{address}/{self:?}/{{{{ member_name|safe }}}}/end?q={{{{ member_name }}}}', \
                 retry = [] }}, save = 'answer' }}"
            ),
            Self::Host => format!(
                "{{ http = {{ url = 'http://{{{{ member_name }}}}:{port}/{self:?}', allowed_hosts = ['{address}'], retry = [], \
                 json = {{}} }} }}"
            ),
            Self::Header => http("headers = { x-name = 'name={{ member_name|safe }}' }, json = {}"),
            Self::Json => http(
                "json = { name = '{{ member_name }}', text = '<{{ member_name|safe }}>', list = ['{{ variables.note }}'] }",
            ),
            Self::Form => http("form = { a = '{{ member_name|safe }}', b = '<{{ variables.note }}>', c = '1' }"),
            Self::Plain => http("body = 'name: {{ member_name|safe }}', content_type = 'text/plain; charset=utf-8'"),
            Self::Markup => {
                http("body = '<a b=\"{{ member_name|safe }}\">{{ variables.note }}<c/></a>', content_type = 'text/xml'")
            }
            Self::Standard => http("format = 'standard'"),
            Self::CloudEvents => http("format = 'cloudevents'"),
            Self::Webitel => http("format = 'webitel'"),
            Self::Set => format!(
                "{{ set = {{ a = '{{{{ member_name }}}}', b = {{ c = ['<{{{{ member_name|safe }}}}>'] }} }} }}, {}",
                http("json = { name = '{{ a }}', text = '{{ b.c[0] }}', length = '{{ a|length }}' }")
            ),
            Self::If => format!(
                "{{ if = \"member_name == variables.note or member_name ~ 'x' != member_name\", then = [{}], else = [] }}",
                http("json = { held = true }")
            ),
            Self::Switch => format!(
                "{{ switch = 'member_name', cases = {{ '127.0.0.1' = [{}] }}, default = [{}] }}",
                http("json = { case = 'listed' }"),
                http("json = { case = 'default' }")
            ),
            Self::Log => "{ log = { message = 'caller {{ member_name|safe }}' } }".to_owned(),
        }
    }

    /// Whether the position can say the name; else its run fails, visibly, and nothing is sent.
    pub(crate) fn takes(self, name: &Name) -> bool {
        let text = name.text();
        match self {
            Self::Url | Self::Get => 2 * encoded(&text) < 8 * 1024 - 100 && text != "." && text != "..",
            Self::Host => text == "127.0.0.1",
            Self::Header
            | Self::Log
            | Self::Set
            | Self::If
            | Self::Switch
            | Self::Json
            | Self::Form
            | Self::Plain
            | Self::Markup
            | Self::Standard
            | Self::CloudEvents
            | Self::Webitel => true,
        }
    }

    /// What the receiver reads: path, query, the header `x-name`, and of the body what bears the name.
    pub(crate) fn reading(self, name: &Name) -> Json {
        let text = name.text();
        let path = match self {
            Self::Url | Self::Get => json!([self.flow(), text, "end"]),
            _ => json!([self.flow()]),
        };
        let query = match self {
            Self::Url => json!([["q", text], ["last", "1"]]),
            Self::Get => json!([["q", text]]),
            _ => json!([]),
        };
        let header = match self {
            Self::Header => json!([format!("name={text}")]),
            _ => json!([]),
        };
        json!({ "path": path, "query": query, "x-name": header, "body": self.body(&text, &name.whole()) })
    }

    fn body(self, text: &str, whole: &str) -> Json {
        match self {
            Self::Url | Self::Host | Self::Header => json!({}),
            Self::Get => Json::Null,
            Self::Set => json!({ "name": text, "text": format!("<{text}>"), "length": text.chars().count() }),
            Self::If => json!({ "held": true }),
            Self::Switch => json!({ "case": if text == "127.0.0.1" { "listed" } else { "default" } }),
            Self::Json => json!({ "name": text, "text": format!("<{text}>"), "list": [note(whole)] }),
            Self::Form => json!([["a", text], ["b", format!("<{}>", note_text(whole))], ["c", "1"]]),
            Self::Plain => json!([format!("name: {}", on_one_line(text))]),
            Self::Markup => {
                json!({ "tag": "a", "attributes": { "b": in_xml(text) }, "text": in_xml(&note_text(whole)), "children": ["c"] })
            }
            Self::Standard => json!({ "type": "queue.offering", "name": text, "note": note(whole) }),
            Self::CloudEvents => {
                json!({ "type": "queue.offering", "source": ["", "nodes", "fs1", "queues", "support@default"],
                        "name": text, "note": note(whole) })
            }
            Self::Webitel => json!({ "name": text, "note": note_text(whole) }),
            Self::Log => unreachable!("a log line is sent to nobody"),
        }
    }
}

/// How many bytes a text has in a URL, where whatever is neither letter nor digit is percent-encoded.
fn encoded(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum()
}

/// The variable that bears the name as well. FreeSWITCH's own way of writing a list makes it one, and payloads carry no
/// variables beyond 64 KiB.
fn note(text: &str) -> Json {
    if text.len() >= 64 * 1024 {
        return Json::Null;
    }
    match text.strip_prefix("ARRAY::") {
        Some(items) => items.split("|:").collect(),
        None => text.into(),
    }
}

/// The variable where it is inserted into a text.
fn note_text(text: &str) -> String {
    match note(text) {
        Json::String(text) => text,
        Json::Null => String::new(),
        list => list.to_string(),
    }
}

fn on_one_line(text: &str) -> String {
    let escaped = |c: char| {
        c.is_control()
            || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
    };
    text.chars().map(|c| if escaped(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn in_xml(text: &str) -> String {
    let lacking = |c: &char| (c.is_control() && !"\t\n\r".contains(*c)) || "\u{fffe}\u{ffff}".contains(*c);
    text.chars().map(|c| if lacking(&c) { '\u{fffd}' } else { c }).collect()
}
