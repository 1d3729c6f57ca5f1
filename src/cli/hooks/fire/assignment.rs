//! `--set FIELD=VALUE`.

use std::str::FromStr;

use serde_json::{Map, Value as Json};

use crate::config::suggestion;
use crate::moment::Payload;

/// The fields that tell moments apart, which are not to be chosen.
const OWN: [&str; 3] = ["id", "event", "test"];

/// What a field is set to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Assignment {
    field: String,
    /// The variable, where the field is `variables`.
    variable: Option<String>,
    value: String,
}

/// Why a field can't be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// There is no such field.
    #[error("there is no field `{field}`: {remedy}")]
    NoField {
        /// The field.
        field: String,
        /// What there is.
        remedy: String,
    },
    /// The field is the command's own.
    #[error("`{0}` can't be set: it is what makes the moment a test of its own")]
    Own(String),
    /// The event does not carry the field.
    #[error("`{event}` does not carry `{field}`: choose another --event")]
    NotCarried {
        /// The field.
        field: String,
        /// The event.
        event: &'static str,
    },
    /// The value is not of the field's type.
    #[error("`{field}` can't be {value}: {reason}")]
    Type {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// What it must be.
        reason: String,
    },
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("it is written FIELD=VALUE")?;
        let (field, variable) = match name.split_once('.') {
            Some(("variables", variable)) if !variable.is_empty() => ("variables", Some(variable.to_owned())),
            _ => (name, None),
        };
        Ok(Self { field: field.to_owned(), variable, value: value.to_owned() })
    }
}

impl Assignment {
    /// Sets the field: to the JSON that the value is, or else to the text.
    pub(super) fn apply(&self, payload: &mut Payload) -> Result<(), AssignmentError> {
        let field = self.field.clone();
        let known = Payload::field(&field).ok_or_else(|| AssignmentError::NoField {
            remedy: suggestion::among(&field, Payload::FIELDS.iter().map(|field| field.name)),
            field: field.clone(),
        })?;
        if OWN.contains(&field.as_str()) {
            return Err(AssignmentError::Own(field));
        }
        if !known.events.contains(payload.event) {
            return Err(AssignmentError::NotCarried { field, event: payload.event.as_str() });
        }
        let text = Json::from(self.value.as_str());
        let json = serde_json::from_str(&self.value).unwrap_or_else(|_| text.clone());
        // `member_number=4071234` is a number to JSON, and a text to the field.
        let set = self.with(payload, json).or_else(|error| self.with(payload, text).map_err(|_| error));
        *payload = set.map_err(|reason| AssignmentError::Type {
            field,
            value: self.value.clone(),
            reason: reason.to_string(),
        })?;
        Ok(())
    }

    fn with(&self, payload: &Payload, value: Json) -> Result<Payload, serde_json::Error> {
        let mut whole = serde_json::to_value(payload)?;
        let value = match &self.variable {
            None if self.field == "variables" => serde_json::from_value::<Map<String, Json>>(value)?.into(),
            None => value,
            Some(variable) => {
                let mut variables: Map<String, Json> = serde_json::from_str(payload.variables.as_json())?;
                variables.insert(variable.clone(), value);
                variables.into()
            }
        };
        whole[&self.field] = value;
        // By way of the text, because variables are kept as one.
        serde_json::from_str(&whole.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::EventName;

    fn set(event: EventName, text: &str) -> Result<Payload, AssignmentError> {
        let mut payload = Payload::sample(event);
        text.parse::<Assignment>().expect("an assignment").apply(&mut payload)?;
        Ok(payload)
    }

    #[test]
    fn values_take_the_fields_type() {
        let leaving = |text| set(EventName::Leaving, text).expect("is set");
        assert_eq!(leaving("member_number=4071234").member_number.as_deref(), Some("4071234"));
        assert_eq!(leaving("member_number=\"+40 7=1\"").member_number.as_deref(), Some("+40 7=1"));
        assert_eq!(leaving("member_id=7").member_id, Some(7));
        assert_eq!(leaving("member_name=null").member_name, None);
        assert_eq!(serde_json::to_value(leaving("cc_result=abandoned").cc_result).expect("JSON"), "abandoned");
        let variables = leaving("variables.vip=true").variables;
        assert!(variables.as_json().contains(r#""vip":true"#) && variables.as_json().contains("CUST-00042"));
        assert_eq!(leaving(r#"variables={"a":[1]}"#).variables.as_json(), r#"{"a":[1]}"#);
    }

    #[test]
    fn what_cannot_be_set_says_why() {
        let refused = |text| set(EventName::Joined, text).expect_err("is refused").to_string();
        assert_eq!(refused("member_numer=1"), "there is no field `member_numer`: did you mean `member_number`?");
        assert!(refused("id=x").starts_with("`id` can't be set"));
        assert_eq!(refused("cc_result=success"), "`joined` does not carry `cc_result`: choose another --event");
        assert!(refused("wait_sec=long").starts_with("`wait_sec` can't be long: invalid type"));
        assert!(refused("variables=7").starts_with("`variables` can't be 7"));
        assert!("member_number".parse::<Assignment>().is_err());
    }
}
