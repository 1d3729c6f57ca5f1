//! What can go wrong when a template is filled in.

use super::engine;

/// A template that could not be filled in.
///
/// The message holds none of the filled-in text, which is a call's data; what the engine says may quote some.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template's evaluation failed.
    #[error("the template failed: {}", engine::reason(.0))]
    Evaluation(#[from] minijinja::Error),
    /// The text is longer than its position allows.
    #[error("the filled-in text is longer than {limit} bytes")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// A character is not in the charset that the text is sent in.
    #[error("a character is not in the charset that `content_type` says")]
    Charset,
    /// The media type says another charset than the body is in.
    #[error("the header `content-type` says another charset than the body is in, which is UTF-8")]
    OtherCharset,
    /// The filled-in text is no URL.
    #[error("the filled-in text is not a URL")]
    Url(#[from] url::ParseError),
    /// The filled-in URL goes elsewhere than the literal one, or to none of the allowed hosts.
    #[error("the filled-in URL goes to another host")]
    Authority,
    /// A filled-in segment of the path is `.` or `..`, which would lead to another resource.
    #[error("a value made `.` or `..` of a segment of the URL's path")]
    DotSegment,
    /// The filled-in text is no header value.
    #[error("the filled-in text is not a header's value")]
    Header(#[from] reqwest::header::InvalidHeaderValue),
    /// A value would choose another file.
    #[error("what is inserted into a file's name can hold letters, digits, `_` and `-` only")]
    FileName,
    /// A value would become a variable or a command of the dialplan's.
    #[error("what is inserted into a command can hold no `${{…}}`, which FreeSWITCH would expand")]
    Expands,
    /// The filled-in text is no subject.
    #[error(
        "the filled-in text is not a subject: tokens with dots between them, none empty, without blanks and wildcards"
    )]
    Subject,
    /// The filled-in text is no address of mail.
    #[error("the filled-in text is not one mail address")]
    MailAddress,
    /// A value cannot be written as JSON.
    #[error("the value is not JSON")]
    Json(#[from] serde_json::Error),
}
