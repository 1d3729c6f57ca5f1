//! Rows that a statement gives back, as later steps see them.

use std::error::Error;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value as Json};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::refusal::Refusal;

/// A row by its columns' names.
pub(super) fn to_json(row: &Row) -> Result<Json, Refusal> {
    let columns = row.columns().iter().enumerate().map(|(index, column)| {
        let Cell(value) = row.try_get(index).map_err(|_| {
            let (name, kind) = (column.name(), column.type_().name());
            Refusal::Lasting(format!("the column `{name}` is of the type `{kind}`: return it as text, `{name}::text`"))
        })?;
        Ok((column.name().to_owned(), value))
    });
    columns.collect::<Result<Map<_, _>, _>>().map(Json::Object)
}

/// A cell's value.
struct Cell(Json);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::BOOL => bool::from_sql(ty, raw)?.into(),
            Type::INT2 => i16::from_sql(ty, raw)?.into(),
            Type::INT4 => i32::from_sql(ty, raw)?.into(),
            Type::INT8 => i64::from_sql(ty, raw)?.into(),
            Type::FLOAT4 => f32::from_sql(ty, raw)?.into(),
            Type::FLOAT8 => f64::from_sql(ty, raw)?.into(),
            Type::JSON | Type::JSONB => Json::from_sql(ty, raw)?,
            Type::TIMESTAMPTZ => Timestamp::from_sql(ty, raw)?.to_string().into(),
            Type::TIMESTAMP => DateTime::from_sql(ty, raw)?.to_string().into(),
            Type::DATE => Date::from_sql(ty, raw)?.to_string().into(),
            _ => String::from_sql(ty, raw)?.into(),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Json::Null))
    }

    fn accepts(ty: &Type) -> bool {
        const KNOWN: [Type; 10] = [
            Type::BOOL,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::JSON,
            Type::JSONB,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMP,
        ];
        KNOWN.contains(ty) || *ty == Type::DATE || <String as FromSql>::accepts(ty)
    }
}
