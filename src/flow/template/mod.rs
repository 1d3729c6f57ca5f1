//! Templates: texts of the configuration with places for a moment's fields, compiled and checked when they are loaded.
//!
//! A call's data is never trusted: a caller chooses the name that telephones show. So there is one type for each position
//! that a text can stand in, and what is inserted is encoded for that position; nothing a template says can lift that.
//!
//! - [`UrlTemplate`]: inserted values are percent-encoded, and never reach scheme, user or port; the host only where all
//!   that it may become are listed.
//! - [`HeaderTemplate`]: inserted values are printable ASCII, so none can end the header.
//! - [`TextTemplate`]: inserted values stay on one line.
//! - [`CommandTemplate`]: an argument of a FreeSWITCH command, which the command itself checks; [`FileTemplate`]: a file's
//!   name, in which inserted values are words.
//! - [`JsonTemplate`]: a document whose texts are templates; `{{ x }}` alone keeps its value's type.
//! - [`FormTemplate`]: inserted values stay in their field.
//! - [`SubjectTemplate`]: inserted values stay within their token.
//! - [`MailAddressTemplate`]: inserted values are a part of one address.
//! - [`BodyTemplate`]: inserted values are encoded as the text's media type asks.

pub mod body;
pub mod check;
pub mod command;
mod compiled;
pub(super) mod engine;
pub mod error;
pub mod form;
mod guard;
pub mod header;
pub mod host;
pub mod json;
mod kinds;
mod limits;
pub mod mail_address;
pub(super) mod source;
pub mod subject;
pub mod text;
pub mod url;

pub use body::{BodyTemplate, MediaType, MediaTypeError, other_charset};
pub use check::TemplateError;
pub use command::{CommandTemplate, FileTemplate};
pub use error::RenderError;
pub use form::{FormField, FormTemplate};
pub use header::HeaderTemplate;
pub use host::AllowedHost;
pub use json::JsonTemplate;
pub use mail_address::MailAddressTemplate;
pub use subject::SubjectTemplate;
pub use text::TextTemplate;
pub use url::UrlTemplate;
