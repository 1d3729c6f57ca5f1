//! What callers call themselves.

/// A name, as its bytes come from FreeSWITCH.
#[derive(Clone)]
pub(crate) struct Name(Vec<u8>);

const TEXTS: &[&str] = &[
    "Zoë Müller",
    // Quotes, and what would end a text.
    "\"",
    "'",
    "\\",
    "\\\"",
    "\",\"admin\":true,\"x\":\"",
    "'; DROP TABLE run; --",
    "' OR '1'='1",
    // Lines, headers, requests.
    "a\nb",
    "a\r\nX-Admin: 1",
    "a\r\n\r\nGET /admin HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "\n\nERROR forged line",
    "{\"level\":\"ERROR\"}\n{\"level\":\"ERROR\"}",
    // The Event Socket.
    "x\n\napi shutdown\n\n",
    "${system(reboot)}",
    "sendmsg\ncall-command: hangup",
    // Templates.
    "{{ variables }}",
    "{% for x in range(99999) %}{{ x }}{% endfor %}",
    "{# no end",
    "}}",
    "{{ 7 * 7 }}",
    "${7*7}",
    "%s%n",
    // URLs and forms.
    ".",
    "..",
    "../../etc/passwd",
    "/",
    "//evil.example/",
    "a/b?c=d&e=f#g",
    "&admin=1",
    "a=b;c=d",
    "%2e%2e%2f",
    "%",
    "%00",
    "+ +",
    "https://evil.example/",
    "@evil.example",
    ":80",
    "evil.example#",
    "evil.example\\@127.0.0.1",
    "127.0.0.1",
    // Markup.
    "<script>alert(1)</script>",
    "]]>",
    "<!DOCTYPE x [<!ENTITY y SYSTEM \"file:///etc/passwd\">]>",
    "&lt;&#60;&amp;",
    "-->",
    // Characters that end lines elsewhere, turn the writing, speak to terminals, or are none.
    "a\u{2028}b\u{2029}c\u{85}d",
    "a\u{202e}txt.exe\u{2066}",
    "\u{1b}]0;title\u{7}\u{1b}[2J",
    "\u{0}\u{1}\u{8}\u{7f}\u{9b}31m",
    "\u{feff}\u{fffe}\u{ffff}\u{e000}",
    "e\u{301}\u{1f469}\u{200d}\u{1f469}",
    "ARRAY::a|:b",
];

/// What is more than it seems where FreeSWITCH reads it.
const OF_COMMANDS: &[&str] = &[
    "^^;x;api_hangup_hook;system reboot",
    "^^:a:b",
    "-both",
    "x XML default",
    "x inline",
    "system::reboot",
    "shell_stream:///tmp/x",
    "a\\nb",
    "x\\r\\nX-Admin: 1",
    "O'Brien",
    "'q' 'r",
    "\\'",
    "\\",
    "$\\{uuid}",
    "${${x}}",
    "a_word-1",
    "{a=b}x",
    "[a=b]x",
    " two  spaces ",
    "On Break",
];

/// Names for commands beside the others.
pub(crate) fn of_commands() -> impl Iterator<Item = Name> {
    OF_COMMANDS.iter().map(|text| Name(text.as_bytes().to_vec()))
}

/// Every name.
pub(crate) fn all() -> impl Iterator<Item = Name> {
    let texts = TEXTS.iter().map(|text| Name(text.as_bytes().to_vec()));
    let bytes =
        [b"\xff\xfe\x80abc".to_vec(), b"\xc3".to_vec(), b"\xed\xa0\x80".to_vec(), b"\xc0\xaf..\xc0\xaf".to_vec()];
    let long = ["x".repeat(64 * 1024), "\"\n".repeat(32 * 1024), "ü{{".repeat(16 * 1024)];
    texts.chain(bytes.into_iter().map(Name)).chain(long.into_iter().map(|text| Name(text.into_bytes())))
}

impl Name {
    /// As an event's header has it.
    pub(crate) fn encoded(&self) -> String {
        self.0.iter().map(|byte| format!("%{byte:02X}")).collect()
    }

    /// As a payload has it: what is no UTF-8 is replaced, and a name has 1,024 characters at most.
    pub(crate) fn text(&self) -> String {
        self.whole().chars().take(1024).collect()
    }

    /// The whole of it, as a variable has it.
    pub(crate) fn whole(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text().chars().take(80).collect::<String>())
    }
}
