//! Everything that can be wrong with a configuration, and the remedy for each.

use crate::delivery::signature::SecretError;
use crate::flow::layout::LayoutError;
use crate::flow::template::TemplateError;

/// What is wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The files have more tables and values than memory should be taken for.
    #[error("up to and with {path}, the files have more than {most} of the characters `{{`, `[`, `=`, `,` and `.`")]
    TooMuch {
        /// The file.
        path: String,
        /// The most.
        most: usize,
    },
    /// The file is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing here.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// What to write instead.
        remedy: String,
    },
    /// A key that must be there.
    #[error("`{0}` is missing")]
    MissingKey(&'static str),
    /// A value of another type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What belongs here.
        expected: &'static str,
        /// What stands here.
        found: &'static str,
    },
    /// A number or duration beyond its bounds.
    #[error("{what} must be between {least} and {most}")]
    OutOfRange {
        /// What it is.
        what: &'static str,
        /// The least.
        least: String,
        /// The most.
        most: String,
    },
    /// A text that is no duration.
    #[error("`{0}` is not a duration")]
    Duration(String),
    /// A text that is no number of bytes.
    #[error("`{0}` is not a size")]
    Size(String),
    /// A word that is none of those known here.
    #[error("unknown {what} `{word}`")]
    UnknownWord {
        /// What the word should name.
        what: &'static str,
        /// The word.
        word: String,
        /// What to write instead.
        remedy: String,
    },
    /// An event of queues among the hooks of an agent, or the other way round.
    #[error("`{event}` does not happen here, but to {belongs_to}")]
    EventOfOthers {
        /// The event.
        event: String,
        /// Where hooks for it stand.
        belongs_to: &'static str,
    },
    /// A name that cannot be one.
    #[error("this is not a name for a {0}")]
    Name(&'static str),
    /// One key in two files.
    #[error("`{key}` is set here and at {other} as well")]
    SetTwice {
        /// The key.
        key: String,
        /// File and line of the other.
        other: String,
    },
    /// Two things of one name.
    #[error("a second {what} named `{name}`; the first is at {other}")]
    SameName {
        /// What they are.
        what: &'static str,
        /// The name.
        name: String,
        /// File and line of the first.
        other: String,
    },
    /// Two patterns of which neither is more specific.
    #[error("the queue patterns `{pattern}` and `{rival}` are equally specific and set `{key}` differently")]
    Tie {
        /// The pattern here.
        pattern: String,
        /// The other pattern.
        rival: String,
        /// What both set.
        key: String,
        /// File and line of the other's value.
        other: String,
    },
    /// Two patterns of agents of which neither is more specific.
    #[error("the agent patterns {patterns} are equally specific and set `{key}` differently")]
    AgentTie {
        /// Both patterns.
        patterns: String,
        /// What both set.
        key: String,
        /// File and line of the other's value.
        other: String,
    },
    /// A constant that would be said of every agent of a pattern.
    #[error("a pattern can't say the same of every agent")]
    ConstantOfPattern,
    /// What a star stands for, where there is not one.
    #[error("`{0}` has not one `*` whose text could be taken")]
    NoStar(String),
    /// A text that is no name of a variable or parameter.
    #[error("`{0}` is not the name of a variable or parameter")]
    VariableName(String),
    /// A pattern that would turn a source on.
    #[error("a pattern can't set `source`")]
    SourceOfPattern,
    /// A type of queue of which its source knows nothing.
    #[error("`source = \"{source_name}\"` is for {types}")]
    SourceOfType {
        /// The source.
        source_name: &'static str,
        /// The types that it has.
        types: &'static str,
    },
    /// A secret in an environment variable that is not set.
    #[error("the environment variable `{0}` is not set")]
    NoVariable(String),
    /// A secret in a file that cannot be read.
    #[error("cannot read the secret from {path}: {reason}")]
    NoSecretFile {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A record that must have exactly one of some keys.
    #[error("{what} has exactly one of {choices}, this one has {found}")]
    NotOne {
        /// What the record is.
        what: &'static str,
        /// The keys.
        choices: &'static str,
        /// How many it has.
        found: usize,
    },
    /// A signing secret that is none.
    #[error(transparent)]
    SigningSecret(SecretError),
    /// A bug of ours.
    #[error("the program failed while it read the configuration, which is a bug of it")]
    Panicked,
    /// A secret elsewhere with nothing in it.
    #[error("the secret is empty")]
    EmptySecret,
    /// A secret that should be an address and is none.
    #[error("the secret is not {0}")]
    SecretUrl(&'static str),
    /// A name of a secret that templates can't write.
    #[error("`{0}` can't name a secret")]
    SecretName(String),
    /// A named secret that is more than a value.
    #[error("a secret is inserted as `{{{{ secret.NAME }}}}`, and nothing is done with it")]
    SecretTag,
    /// A named secret that reads like a template.
    #[error("the secret `{0}` has `{{{{`, `{{%` or `{{#` in it, which a header's template can't hold")]
    SecretWithTags(String),
    /// A secret that would end the line that it is sent in.
    #[error("this secret has control characters in it")]
    ControlInSecret,
    /// A user whom a receiver would read as user and password.
    #[error("a user has no `:` in its name")]
    ColonInUser,
    /// A token of characters that no header has.
    #[error("a token has visible ASCII characters alone")]
    TokenCharacters,
    /// One receiver with two tables.
    #[error("the receiver `{receiver}` has a table already, at {other}")]
    ReceiverTwice {
        /// Scheme, host and port.
        receiver: String,
        /// File and line of the other.
        other: String,
    },
    /// A header that is given twice.
    #[error("the header `{0}` is given twice")]
    HeaderTwice(String),
    /// A request that would say twice who sends it.
    #[error("{first} and {second} both say who sends this")]
    TwoCredentials {
        /// One.
        first: String,
        /// The other.
        second: &'static str,
    },
    /// A text that is no network address.
    #[error("`{0}` is not an address")]
    Address(String),
    /// A template or expression.
    #[error(transparent)]
    Template(TemplateError),
    /// A text that is no header's name.
    #[error("`{0}` is not a header's name")]
    HeaderName(String),
    /// A header that is not the configuration's to set.
    #[error("the header `{0}` is set by hookswitch itself")]
    ReservedHeader(String),
    /// A secret that is no header's value.
    #[error("the secret is not a header's value")]
    HeaderSecret,
    /// A body on a request that has none.
    #[error("a {0} request carries no body")]
    Bodiless(String),
    /// More bodies than one.
    #[error("`format`, `json`, `form` and `body` exclude each other")]
    TwoBodies,
    /// A media type of a text into which nobody knows how to insert values.
    #[error("a `body` of the media type `{0}` can't be filled in safely")]
    MediaType(String),
    /// A charset that a body can't be written in.
    #[error("a body can't be written in the charset `{0}`")]
    Charset(String),
    /// A charset for a body that is always in UTF-8.
    #[error("this body is always in UTF-8, so it can't be said to be in the charset `{0}`")]
    OtherCharset(String),
    /// What is no status of an answer.
    #[error("`{0}` is not a status of an answer")]
    Status(String),
    /// A status that is said to be two things.
    #[error("{0} is said to be a success, and to be tried again")]
    StatusTwice(u16),
    /// A text that is no SHA-256.
    #[error("`{0}` is not the SHA-256 of a certificate")]
    Fingerprint(String),
    /// A text that is no host.
    #[error("`{0}` is not a host")]
    Host(String),
    /// A text that is no destination's address.
    #[error("`{0}` is not the address of a broker, a database or a mail server")]
    DestinationUrl(String),
    /// A password in a URL, where it would be shown.
    #[error("a destination's password does not stand in its URL")]
    PasswordInUrl,
    /// A text that is no receiver's address.
    #[error("`{0}` is not where requests can go")]
    Receiver(String),
    /// A way to a receiver that can't be gone.
    #[error("this receiver can't be reached so: {0}")]
    Way(String),
    /// One of two that belong together.
    #[error("`certificate` and `key` belong together")]
    CertificateWithoutKey,
    /// Something that can't be used, for the reason that who would have used it gives.
    #[error("{0}")]
    Unusable(String),
    /// A destination of another kind.
    #[error("`{name}` is {kind}, and this step needs {wanted}")]
    OtherDestination {
        /// The destination's name.
        name: String,
        /// What it is.
        kind: &'static str,
        /// What the step needs.
        wanted: &'static str,
    },
    /// A text that is no mail address.
    #[error("`{0}` is not a mail address")]
    MailAddress(String),
    /// A mail for nobody.
    #[error("nobody gets this mail")]
    NoRecipients,
    /// A file of certificates that cannot be read.
    #[error("cannot read the certificates from {path}: {reason}")]
    NoCertificates {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A number that JSON cannot write.
    #[error("JSON has no such number")]
    NotAJsonNumber,
    /// A flow that does nothing.
    #[error("the flow has no steps")]
    NoSteps,
    /// A step without a result whose result is to be saved.
    #[error("this step has no result that could be saved")]
    NothingToSave,
    /// A name that later steps could not use.
    #[error("`{0}` can't name what a step saves")]
    SavedName(String),
    /// A case that can't be a part of a path.
    #[error("a case has 1 to {0} characters, and no `/` and no control characters")]
    CaseName(usize),
    /// A flow that calls itself, by way of others or not.
    #[error("the flow `{0}` would call itself")]
    Recursion(String),
    /// A flow that can't be laid out.
    #[error(transparent)]
    Layout(LayoutError),
    /// Too few or too many arguments of a command.
    #[error("the command's arguments are {0}")]
    Arguments(&'static str),
    /// An argument that must be one literal word.
    #[error("this must be one word, and hold no call data")]
    NotAWord,
    /// A variable that makes FreeSWITCH run its value.
    #[error("FreeSWITCH can run what the variable `{0}` holds")]
    RunsValue(String),
    /// A stored definition that can't be used.
    #[error("{0}")]
    Definition(String),
    /// A node's name that is taken.
    #[error("the name `{0}` stands for what is told over HTTP")]
    ReservedNode(&'static str),
    /// An address to listen at that is none.
    #[error("`{0}` is not an address to listen at")]
    ListenAddress(String),
    /// A listener that others reach, without tokens.
    #[error("{0} can be reached from other machines, and there are neither tokens nor users")]
    OpenToAll(String),
    /// A list of tokens without any.
    #[error("there are no tokens in this list")]
    NoTokens,
    /// A list of users without any.
    #[error("there are no users in this list")]
    NoUsers,
    /// A password that is no hash.
    #[error("this is not the hash of a password")]
    PasswordHash,
    /// A token that can be guessed, or not be sent.
    #[error("a token has {0} or more characters, all of them visible ASCII")]
    Token(usize),
    /// No FreeSWITCH to follow.
    #[error("no FreeSWITCH is configured")]
    NoFreeswitch,
}

impl Fault {
    /// What a person can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => "check that the file is there and that hookswitch may read it".into(),
            Self::TooMuch { .. } => "let a pattern such as `[queues.\"sales_*\"]` say what is alike".into(),
            Self::Syntax(_) => "https://toml.io shows how TOML is written".into(),
            Self::UnknownKey { remedy, .. } | Self::UnknownWord { remedy, .. } => remedy.clone(),
            Self::MissingKey(key) => format!("add `{key} = …`"),
            Self::WrongType { expected, .. } => format!("write {}", example(expected)),
            Self::OutOfRange { .. } => "choose a value within these bounds".into(),
            Self::Duration(_) => {
                "write number and unit: `5s`, `2h 30m`, `30 days`; months and years have no fixed length".into()
            }
            Self::EventOfOthers { belongs_to, .. } => {
                format!("put the hook into `[{belongs_to}.\"PATTERN\"]`: `[{belongs_to}.\"*\"]` stands for all of them")
            }
            Self::Size(_) => "write number and unit: `500 MB`, `10 GiB`".into(),
            Self::Name(_) => "write at least one character, but no `/` and no control characters".into(),
            Self::SetTwice { .. } => "keep one of the two".into(),
            Self::SameName { what, .. } => format!("give each {what} a name of its own"),
            Self::Tie { other, .. } | Self::AgentTie { other, .. } => {
                format!("the other is at {other}; let only one of them set it, or make one pattern longer")
            }
            Self::ConstantOfPattern => {
                "write it under the agent's exact name, or say where it is found: `\"*\"`, `{ variable = \"NAME\" }`, \
                 `{ directory = \"NAME\" }`"
                    .into()
            }
            Self::NoStar(_) => "write a pattern with exactly one `*`: `[agents.\"*@default\"]`".into(),
            Self::VariableName(_) => "write letters, digits, `_`, `-`, `.` and `:`".into(),
            Self::SourceOfPattern => "write it under the queue's own name: `[queues.\"NAME\"]`".into(),
            Self::SourceOfType { .. } => "set `type` to what the queue is".into(),
            Self::NoVariable(name) => format!("set {name} in hookswitch's environment (systemd: `EnvironmentFile=`)"),
            Self::NoSecretFile { .. } => "check that the file is there and that hookswitch may read it".into(),
            Self::NotOne { choices, .. } => format!("write one of {choices}, and one record for each"),
            Self::SigningSecret(_) => "make one with: echo \"whsec_$(head -c 32 /dev/urandom | base64)\"".into(),
            Self::Panicked => "take out what was changed last, and report it".into(),
            Self::EmptySecret => "write the secret there".into(),
            Self::SecretUrl(_) => {
                "put the whole address there, without `{{ … }}`: `https://host/path`; for a part of it, write \
                 `{{ secret.NAME }}` and name it in `[secrets]`"
                    .into()
            }
            Self::SecretName(_) => "write letters, digits and `_`".into(),
            Self::SecretTag => "write the name alone, and put what comes before and behind it there as text".into(),
            Self::SecretWithTags(_) => "give the whole header as `{ env = … }` or `{ file = … }`".into(),
            Self::ControlInSecret => {
                "keep it on one line, without tabs and other control characters; newlines at its beginning and end are \
                 dropped"
                    .into()
            }
            Self::ColonInUser => "take it out: HTTP reads what is behind it as the password".into(),
            Self::TokenCharacters => "take out blanks and letters beyond ASCII".into(),
            Self::ReceiverTwice { .. } => {
                "put all keys into one table: case, the scheme's own port, a slash or dot at the end make no other receiver"
                    .into()
            }
            Self::HeaderTwice(_) => "keep one of the two: the case of a header's name makes no other header".into(),
            Self::TwoCredentials { .. } => "keep one of the two".into(),
            Self::Address(_) => "write host and port: `127.0.0.1:8021`, `[::1]:8021`".into(),
            Self::Template(error) => template_remedy(error),
            Self::HeaderName(_) => "write letters, digits and dashes: `x-api-key`".into(),
            Self::ReservedHeader(_) => "leave it out".into(),
            Self::HeaderSecret => "keep it on one line, without control characters".into(),
            Self::Bodiless(_) => "put the values into the URL's query, or use POST".into(),
            Self::TwoBodies => "keep one of them: `format` for a known body, the others for one of your own".into(),
            Self::MediaType(_) => {
                "use `json` or `form` for those, or write a text of `text/plain`, `text/html`, or XML's types".into()
            }
            Self::Host(_) => {
                "write the host, and a port where it is not the scheme's: `crm.example`, `10.0.0.7:8080`".into()
            }
            Self::DestinationUrl(_) => "write scheme, user, host and what is there: `postgres://me@db.example/calls`, \
                                        `nats://nats.example:4222`, `amqp://me@mq.example/vhost`, `smtp://mail.example`"
                .into(),
            Self::PasswordInUrl => {
                "take it out, and write `password = { env = \"NAME\" }` or `{ file = \"PATH\" }`".into()
            }
            Self::Charset(_) => {
                "choose another one, such as `utf-8`, `iso-8859-1`, `windows-1252` or `us-ascii`; UTF-16 is only read"
                    .into()
            }
            Self::OtherCharset(_) => {
                "leave the charset out; a `body` can be in another one, by its `content_type`".into()
            }
            Self::Status(_) => {
                "write a status, a class or a range from 200 to 599: `404`, `\"5xx\"`, `\"400-403\"`".into()
            }
            Self::StatusTwice(_) => "take it out of `success` or of `retry_on`".into(),
            Self::Fingerprint(_) => {
                "write 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256 -in FILE` prints them".into()
            }
            Self::Receiver(_) => {
                "write scheme and host, and a port where it is not the scheme's: `https://crm.example`".into()
            }
            Self::Way(_) => "check that certificates and key are PEM and belong together".into(),
            Self::CertificateWithoutKey => "write both: `certificate = \"PATH\"`, `key = { file = \"PATH\" }`".into(),
            Self::Unusable(_) => "check what is given here".into(),
            Self::OtherDestination { wanted, .. } => format!("name {wanted}"),
            Self::MailAddress(_) => "write `name@host.example`; a sender may be `Name <name@host.example>`".into(),
            Self::NoRecipients => "write at least one address: `to = [\"name@host.example\"]`".into(),
            Self::NoCertificates { .. } => "check that the file is there and that hookswitch may read it".into(),
            Self::NotAJsonNumber => "write a finite number, or a text".into(),
            Self::NoSteps => "add a step: `steps = [{ http = { url = \"https://…\" } }]`".into(),
            Self::NothingToSave => {
                "leave `save` out; `http`, `publish`, `sql`, `freeswitch` and `queue_info` have results".into()
            }
            Self::SavedName(_) => {
                "write letters, digits and `_`, but no field of a payload, `error`, `failure` or a word of expressions"
                    .into()
            }
            Self::CaseName(_) => "compare in an `if` instead".into(),
            Self::Recursion(_) => "a flow ends because none calls itself: repeat by `retry`, or in FreeSWITCH".into(),
            Self::Layout(_) => "take some steps out, or start a second flow by a hook of its own".into(),
            Self::Arguments(_) => "write them as a list of texts".into(),
            Self::NotAWord => "write it literally, without blanks and quotes".into(),
            Self::RunsValue(_) => "write its value literally, without call data".into(),
            Self::Definition(_) => "retry the run with `--latest`".into(),
            Self::ReservedNode(_) => "choose another name".into(),
            Self::ListenAddress(_) => {
                "write IP address and port: `127.0.0.1:8060`, `[::1]:8060`, `0.0.0.0:8060`".into()
            }
            Self::OpenToAll(_) => {
                "listen on 127.0.0.1, or add `[[http.tokens]]` with name, role and token, or `[[http.users]]`".into()
            }
            Self::NoTokens => "add a token with name, role and token, or leave `tokens` out".into(),
            Self::NoUsers => "add a user with name, role and password, or leave `users` out".into(),
            Self::PasswordHash => "make one with: hookswitch password".into(),
            Self::Token(_) => "make one with: head -c 32 /dev/urandom | base64".into(),
            Self::NoFreeswitch => "add [[freeswitch]] with name, address and password".into(),
        }
    }
}

/// How a value of the expected type is written.
fn example(expected: &str) -> &str {
    match expected {
        "a text" => "it in quotes: `\"…\"`",
        "a duration" => "a text with number and unit: `\"5s\"`, `\"2h 30m\"`",
        "a size" => "a text with number and unit: `\"10 GB\"`",
        "a truth value" => "`true` or `false`, without quotes",
        "an integer" => "digits without quotes: `17`",
        "a list" => "a list: `[…]`",
        "a table" => "a table: `{ key = … }`",
        "a secret" => "`\"text\"`, `{ env = \"NAME\" }` or `{ file = \"PATH\" }`",
        other => other,
    }
}

fn template_remedy(error: &TemplateError) -> String {
    match error {
        TemplateError::Template { .. } => {
            "values are written `{{ member_number }}`, conditions `{% if exit_key %}…{% endif %}`".into()
        }
        TemplateError::Expression { .. } => {
            "compare with `==`, join with `and`, `or`, `not`; there are no braces: `wait_sec > 20`".into()
        }
        TemplateError::UnknownField { name, .. } => super::suggestion::among(name, field_names()),
        TemplateError::UnknownWord { .. } => {
            "minijinja's built-in filters, tests and functions are there: https://docs.rs/minijinja".into()
        }
        TemplateError::TooLong { .. } | TemplateError::TooComplex { .. } => {
            "make it shorter: put parts of it into steps of their own (`set`, `if`, `switch`)".into()
        }
        TemplateError::TextAndNumber { text, .. } => {
            format!("write `{text}|float`, or `{text}|float(0)` where what is no number counts as 0")
        }
        TemplateError::EngineFailed => "write it another way: an index or a number in it is out of bounds".into(),
        TemplateError::TooMuchWork => "make it shorter: loops and repetitions are bounded".into(),
        TemplateError::CallDataInAuthority { .. } => {
            "write `https://host/` literally and values behind it, or list every host that it may become in \
             `allowed_hosts`"
                .into()
        }
        TemplateError::HostNotAllowed(_) => "add it to `allowed_hosts`, or leave that out".into(),
        TemplateError::NotAUrl(_) | TemplateError::Scheme(_) => "write it as `https://host/path`".into(),
        TemplateError::ControlCharacter { .. } => "take it out".into(),
    }
}

fn field_names() -> impl Iterator<Item = &'static str> {
    crate::moment::Payload::FIELDS.iter().map(|field| field.name)
}
