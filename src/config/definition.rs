//! Definitions of flows as the outbox keeps them, for the runs that began with them.
//!
//! A definition is the flow's part of the configuration as JSON, with what it calls. Secrets that are written in it stay out
//! of the outbox, and of its backups: a fingerprint stands in their place, and the secret itself must still be configured when
//! the definition is read. What a flow leaves to `[delivery]`, and signing secrets that are looked up, are as they are then.

use std::collections::BTreeMap;
use std::sync::Arc;

use miette::NamedSource;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::delivery::DeliverySettings;
use super::destinations::Destinations;
use super::document::{Kind, Member, Node};
use super::fault::Fault;
use super::flow;
use super::problem::{Place, Problem, Problems};
use super::redaction;
use super::report::Report;
use super::secret::Lookup;
use super::value::Value;
use crate::delivery::mask;
use crate::flow::{Definition, Flow};

/// The only key of what stands for a secret.
const SEALED: &str = "hookswitch:sealed";

/// The keys under which secrets can be written as texts.
const KEYS: [&str; 2] = ["secrets", "headers"];

/// The keys of bodies, whose members may be secrets.
const BODIES: [&str; 2] = ["json", "form"];

/// The key of an address, parts of which may be secrets.
const URL: &str = "url";

/// Secrets that are written in flows, by their fingerprints.
pub(super) type Literals = BTreeMap<String, String>;

/// Reads stored definitions with what the configuration now says beside flows.
#[derive(Debug, Default)]
pub struct StoredFlows {
    delivery: DeliverySettings,
    destinations: Destinations,
    lookup: Lookup,
    literals: Hidden,
}

/// Literals that are not shown.
#[derive(Default)]
struct Hidden(Literals);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

impl StoredFlows {
    pub(super) fn new(
        delivery: DeliverySettings,
        destinations: Destinations,
        lookup: Lookup,
        literals: Literals,
    ) -> Self {
        Self { delivery, destinations, lookup, literals: Hidden(literals) }
    }

    /// The brokers, databases and mail servers that steps can name.
    pub(super) fn destinations(&self) -> &Destinations {
        &self.destinations
    }

    /// Makes the flow that the definition describes.
    pub fn read(&self, definition: &Definition) -> Result<Flow, Problems> {
        let unreadable = |reason: String| Problem::new(Fault::Definition(reason), None);
        let mut whole: Json = serde_json::from_str(&definition.json).map_err(|error| unreadable(error.to_string()))?;
        let name = whole["flow"].as_str().unwrap_or_default().to_owned();
        let flows = unseal(whole["flows"].take(), &self.literals.0)
            .ok_or_else(|| unreadable("a secret that is written in it is not configured any more".into()))?;
        let source = Arc::new(NamedSource::new(format!("the stored definition of `{name}`"), String::new()));
        let (tree, report) = (node(flows, &source), Report::default());
        let Self { delivery, destinations, lookup, .. } = self;
        let tree = Value::new(&tree, &report);
        let mut flows = flow::read_all(tree, true, None, delivery, destinations, lookup, &mut Literals::new());
        let flow = flows.as_mut().and_then(|flows| flows.remove(name.as_str())).flatten();
        if flow.is_none() && report.is_empty() {
            report.refuse_whole(Fault::Definition("it is not there".into()));
        }
        let flow = report.finish(flow)?;
        let flow = Arc::try_unwrap(flow).map_err(|_| unreadable("it is in use".into()))?;
        Ok(Flow { definition: Some(definition.clone()), ..flow })
    }
}

/// Puts fingerprints in the place of secrets that are written as texts, and notes which is whose.
pub(super) fn seal(mut json: Json, literals: &mut Literals) -> Json {
    match &mut json {
        Json::Object(object) => {
            for (key, value) in object {
                let is_header = |name: &str| key == KEYS[1] && redaction::is_secret(name);
                match value {
                    Json::Array(secrets) if key == KEYS[0] => {
                        secrets.iter_mut().for_each(|secret| seal_text(secret, literals));
                    }
                    Json::Object(headers) if key == KEYS[1] => {
                        let secrets = headers.iter_mut().filter(|(name, _)| is_header(name));
                        secrets.for_each(|(_, secret)| seal_text(secret, literals));
                    }
                    Json::Object(_) if BODIES.contains(&&**key) => {
                        *value = seal_members(value.take(), false, literals);
                    }
                    Json::String(url) if key == URL => *value = seal_url(url, literals),
                    _ => *value = seal(value.take(), literals),
                }
            }
        }
        Json::Array(elements) => elements.iter_mut().for_each(|element| *element = seal(element.take(), literals)),
        _ => {}
    }
    json
}

/// Puts fingerprints in the place of what a body names as secrets. What a template fills in is none.
fn seal_members(json: Json, is_secret: bool, literals: &mut Literals) -> Json {
    match json {
        Json::Object(members) => {
            let sealed = members.into_iter().map(|(name, value)| {
                let is_secret = is_secret || mask::is_secret_member(&name);
                (name, seal_members(value, is_secret, literals))
            });
            Json::Object(sealed.collect())
        }
        Json::Array(elements) => {
            elements.into_iter().map(|element| seal_members(element, is_secret, literals)).collect()
        }
        Json::String(text) if is_secret && !text.contains("{{") => {
            let mut sealed = Json::String(text);
            seal_text(&mut sealed, literals);
            sealed
        }
        other => other,
    }
}

/// Puts fingerprints in the place of a URL's secrets: the rest may be changed while the secrets stay configured.
fn seal_url(url: &str, literals: &mut Literals) -> Json {
    let ranges = mask::secret_ranges(url);
    if ranges.is_empty() {
        return url.into();
    }
    let (mut parts, mut at) = (Vec::new(), 0);
    for range in ranges {
        let mut secret = Json::from(&url[range.clone()]);
        seal_text(&mut secret, literals);
        parts.extend([url[at..range.start].into(), secret]);
        at = range.end;
    }
    parts.push(url[at..].into());
    Json::Object(Map::from_iter([(SEALED.to_owned(), parts.into())]))
}

fn seal_text(secret: &mut Json, literals: &mut Literals) {
    if let Json::String(text) = secret {
        let fingerprint = fingerprint(text);
        literals.insert(fingerprint.clone(), text.clone());
        *secret = Json::Object(Map::from_iter([(SEALED.to_owned(), fingerprint.into())]));
    }
}

/// Puts the secrets back; none if one of them is not known.
fn unseal(json: Json, literals: &Literals) -> Option<Json> {
    Some(match json {
        Json::Object(object) => match object.get(SEALED) {
            Some(Json::Array(parts)) => {
                let parts = parts.iter().map(|part| unseal(part.clone(), literals));
                let texts = parts.map(|part| Some(part?.as_str()?.to_owned())).collect::<Option<String>>();
                texts?.into()
            }
            Some(fingerprint) => literals.get(fingerprint.as_str()?)?.as_str().into(),
            None => {
                let members = object.into_iter().map(|(key, value)| Some((key, unseal(value, literals)?)));
                members.collect::<Option<Map<_, _>>>()?.into()
            }
        },
        Json::Array(elements) => {
            elements.into_iter().map(|element| unseal(element, literals)).collect::<Option<Vec<_>>>()?.into()
        }
        other => other,
    })
}

/// 32 bits of a secret's hash: enough to tell the secrets of one configuration apart, too few to try guesses on.
fn fingerprint(secret: &str) -> String {
    let digest = Sha256::digest(secret.as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The JSON as a configuration's tree; its places say nothing, because nobody has it before his eyes.
fn node(json: Json, source: &Arc<NamedSource<String>>) -> Node {
    let place = || Place { file: Arc::clone(source), range: 0..0 };
    let member = |(key, value)| (key, Member { key: place(), value: node(value, source) });
    let kind = match json {
        // TOML has no null, so no definition has one.
        Json::Null => Kind::Text(String::new()),
        Json::Bool(boolean) => Kind::Boolean(boolean),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Kind::Float(number.as_f64().unwrap_or(f64::NAN)), Kind::Integer)
        }
        Json::String(text) => Kind::Text(text),
        Json::Array(elements) => Kind::List(elements.into_iter().map(|element| node(element, source)).collect()),
        Json::Object(object) => Kind::Table(object.into_iter().map(member).collect()),
    };
    Node { place: place(), kind }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_stay_out_of_a_definition_and_are_found_again() {
        let step = json!({ "http": {
            "secrets": ["whsec_geheim", { "env": "NAME" }],
            "url": "https://me:geheim@crm.example/a/?sig=geheim&x={{ agent_name }}",
            "headers": { "authorization": "Bearer geheim", "x-agent": "{{ agent_name }}" },
            "json": { "login": { "password": "geheim" }, "tokens": ["geheim"], "code": "{{ agent_name }}", "key": "Enter" },
        }});
        let flows = json!({ "crm": { "steps": [{ "if": "true", "then": [step] }] } });
        let mut literals = Literals::new();
        let sealed = seal(flows.clone(), &mut literals);
        assert!(!sealed.to_string().contains("geheim"), "{sealed}");
        assert!(sealed.to_string().contains("agent_name") && sealed.to_string().contains("Enter"));
        assert_eq!(unseal(sealed.clone(), &literals), Some(flows));
        assert_eq!(unseal(sealed, &Literals::new()), None);
    }

    #[test]
    fn a_definition_whose_named_secret_is_gone_is_refused() {
        let flow = "[flows.f]\nsteps = [{ http = { url = 'https://crm.example/{{ secret.crm }}' } }]\n";
        let secrets = "[secrets]\ncrm = 'geheim-17'\n";
        let config = crate::config::Config::from_toml("test", &format!("{secrets}{flow}")).expect("is good");
        let definition = config.flow("f").and_then(|flow| flow.definition.clone()).expect("is described");
        assert!(!definition.json.contains("geheim"), "{}", definition.json);
        let stored = |text: &str| crate::config::Config::from_toml("test", text).expect("is good").flows_of_runs();
        let began = |flows: &crate::flow::Flows| {
            let began_with = crate::outbox::BeganWith::Stored { definition: definition.clone(), latest: false };
            flows.choose(&"f".into(), &began_with, 0).is_ok()
        };
        assert!(began(&stored(secrets)));
        assert!(!began(&stored("")));
    }
}
