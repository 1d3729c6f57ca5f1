//! A value that is bound to a parameter of a statement.

use std::error::Error;

use bytes::BytesMut;
use serde_json::Value as Json;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// A value as text, which the server reads as the parameter's own type: so there is one way for every type that
/// PostgreSQL has, its users' own included, and a value stays a value.
#[derive(Debug)]
pub(super) struct Parameter<'a>(pub(super) &'a Json);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let text = match self.0 {
            Json::Null => return Ok(IsNull::Yes),
            json if matches!(*ty, Type::JSON | Type::JSONB) => json.to_string(),
            Json::String(text) => text.clone(),
            json => json.to_string(),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}
