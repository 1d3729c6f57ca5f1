//! An `http` step filled in with a moment's fields: the request as it will be sent, but for its signature, which depends on
//! the time of each try.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::action::{HttpBody, HttpStep, LogStep};
use super::context::Context;
use super::template::{RenderError, other_charset};

/// The longest body: receivers commonly refuse more.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request, ready to be signed and sent.
#[derive(Clone, Debug)]
pub struct RenderedRequest {
    /// The method.
    pub method: Method,
    /// The address.
    pub url: url::Url,
    /// Whether the whole address is a secret.
    pub is_secret_url: bool,
    /// The headers; those that must not be shown are marked sensitive.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpStep {
    /// Fills in the request.
    pub fn render(&self, context: &Context) -> Result<RenderedRequest, RenderError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        headers.extend(self.body.content_type().map(|value| (CONTENT_TYPE, value)));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.render(context.fields())?);
        }
        self.check_charset(&headers)?;
        Ok(RenderedRequest {
            method: self.method.clone(),
            // A webhook that has nothing to fill in needs no fields, so none are made for it.
            url: self.url.literal().map_or_else(|| self.url.render(context.fields()), |url| Ok(url.clone()))?,
            is_secret_url: self.url.is_secret(),
            headers,
            body: self.body.render(context)?,
        })
    }
}

impl HttpStep {
    /// Refuses a header that says another charset than the body is in. A text has one of its own.
    fn check_charset(&self, headers: &HeaderMap) -> Result<(), RenderError> {
        let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(other_charset);
        match (&self.body, said) {
            (HttpBody::Empty | HttpBody::Text(_), _) | (_, None) => Ok(()),
            (HttpBody::Format(_) | HttpBody::Json(_) | HttpBody::Form(_), Some(_)) => Err(RenderError::OtherCharset),
        }
    }
}

impl HttpBody {
    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        let media_type = match self {
            Self::Empty => return None,
            Self::Format(format) => format.content_type(),
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
            Self::Text(text) => return Some(text.content_type().clone()),
        };
        Some(HeaderValue::from_static(media_type))
    }

    pub(super) fn render(&self, context: &Context) -> Result<Vec<u8>, RenderError> {
        let body = match self {
            Self::Empty => Vec::new(),
            Self::Format(format) => format.body(context.payload())?,
            Self::Json(document) => serde_json::to_vec(&document.render(context.fields())?)?,
            Self::Form(form) => form.render(context.fields())?.into_bytes(),
            Self::Text(text) => text.encode(&text.render(context.fields())?)?,
        };
        if body.len() > MAX_BODY_BYTES { Err(RenderError::TooLong { limit: MAX_BODY_BYTES }) } else { Ok(body) }
    }
}

impl LogStep {
    /// Fills in the line's text.
    pub fn render(&self, context: &Context) -> Result<String, RenderError> {
        self.message.render(context.fields())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::delivery::retry::RetrySchedule;
    use crate::delivery::signature::SigningKeys;
    use crate::delivery::statuses::StatusRules;
    use crate::delivery::way::Ways;
    use crate::flow::SavedNames;
    use crate::flow::template::{HeaderTemplate, JsonTemplate, UrlTemplate};
    use crate::moment::{EventName, Format, Payload};

    fn step(body: HttpBody) -> HttpStep {
        HttpStep {
            method: Method::POST,
            url: UrlTemplate::compile("https://crm.example/{{ member_number }}", &SavedNames::none())
                .expect("compiles"),
            headers: vec![
                (
                    "x-agent".parse().expect("a name"),
                    HeaderTemplate::compile("{{ agent_name }}", &SavedNames::none()).expect("compiles"),
                ),
                ("authorization".parse().expect("a name"), HeaderTemplate::secret("Bearer geheim").expect("a value")),
            ],
            body,
            timeout: Duration::from_secs(5),
            retry: RetrySchedule { waits: Vec::new() },
            rules: StatusRules::default(),
            receivers: Ways::default(),
            keys: SigningKeys::default(),
        }
    }

    fn context() -> Context {
        Context::from_payload(&Payload::sample(EventName::Offering)).expect("reads")
    }

    #[test]
    fn a_format_says_its_media_type() {
        for format in Format::ALL {
            let request = step(HttpBody::Format(format)).render(&context()).expect("renders");
            assert_eq!(request.headers["content-type"], format.content_type());
            assert_eq!(request.body, format.body(context().payload()).expect("formats"));
        }
    }

    #[test]
    fn a_header_that_says_another_charset_than_the_body_is_in_is_refused() {
        let with = |content_type: &str| {
            let mut step = step(HttpBody::Format(Format::Standard));
            let value = HeaderTemplate::compile(content_type, &SavedNames::none()).expect("compiles");
            step.headers.push((CONTENT_TYPE, value));
            step.render(&context())
        };
        assert!(matches!(with("application/json; charset=iso-8859-1"), Err(RenderError::OtherCharset)));
        assert!(with("application/json; charset=UTF-8").is_ok() && with("application/vnd.ours+json").is_ok());
    }

    #[test]
    fn headers_are_filled_in_and_secret_ones_marked() {
        let request = step(HttpBody::Format(Format::Standard)).render(&context()).expect("renders");
        assert_eq!(request.url.as_str(), "https://crm.example/40712345001");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["x-agent"], "agent1");
        assert!(request.headers["authorization"].is_sensitive());
        assert!(!format!("{request:?}").contains("geheim"));
    }

    #[test]
    fn a_request_without_a_body_has_no_content_type() {
        let request = step(HttpBody::Empty).render(&context()).expect("renders");
        assert!(request.body.is_empty());
        assert!(!request.headers.contains_key("content-type"));
    }

    #[test]
    fn a_body_has_an_end() {
        let mut payload = Payload::sample(EventName::Offering);
        payload.member_name = Some("x".repeat(300 * 1024));
        let context = Context::from_payload(&payload).expect("reads");
        let texts =
            (0..4).map(|_| JsonTemplate::text("{{ member_name }}", &SavedNames::none()).expect("compiles")).collect();
        let result = step(HttpBody::Json(JsonTemplate::Array(texts))).render(&context);
        assert!(matches!(result, Err(RenderError::TooLong { limit: MAX_BODY_BYTES })));
    }
}
