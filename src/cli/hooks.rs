//! `hookswitch hooks`: what can be subscribed to, what is, and [`fire`]: trying a flow.

pub mod fire;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value as Json, json};

use self::fire::FireError;
use super::configuration::ConfigFile;
use super::printable::printable;
use crate::config::Config;
use crate::moment::event::EventSet;
use crate::moment::{EventName, Format, Payload};

/// The arguments of `hooks`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `hooks` can do.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Lists the configured hooks.
    List(ConfigFile),
    /// Runs a flow for a sample moment, or a past one, and shows what each step does.
    Fire(fire::Args),
    /// Prints the JSON schema of the payload, or of what is sent.
    Schema {
        /// Of this event alone; else of each, by its name.
        #[arg(long, value_parser = parse_event)]
        event: Option<EventName>,
        /// Of the body that this format makes of the payload: `standard`, `cloudevents` or `webitel`.
        #[arg(long, value_parser = parse_format)]
        format: Option<Format>,
    },
    /// Prints the events, their fields and a sample of each format as Markdown.
    Reference,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum HooksCommandError {
    /// A flow can't be tried.
    #[error(transparent)]
    Fire(#[from] Box<FireError>),
    /// The output could not be written.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

/// Does what was asked for.
pub async fn run(args: &Args) -> Result<ExitCode, HooksCommandError> {
    let out = || io::stdout().lock();
    match &args.command {
        Command::List(file) => match file.load_without_secrets() {
            Ok(config) => list(&config, &mut out())?,
            Err(code) => return Ok(code),
        },
        Command::Fire(args) => return fire::run(args).await.map_err(|error| Box::new(error).into()),
        Command::Schema { event: Some(event), format } => writeln!(out(), "{:#}", schema(*event, *format))?,
        Command::Schema { event: None, format } => {
            let schemas = EventName::ALL.map(|event| (event.as_str().to_owned(), schema(event, *format)));
            writeln!(out(), "{:#}", Json::Object(schemas.into_iter().collect()))?;
        }
        Command::Reference => out().write_all(reference().as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a line for each hook: its identifier, event, flow, and whether it is enabled.
fn list(config: &Config, out: &mut impl Write) -> io::Result<()> {
    config.hooks().try_for_each(|hook| {
        let state = match (hook.enabled, hook.dry_run) {
            (false, _) => "\tdisabled",
            (true, true) => "\tdry run",
            (true, false) => "",
        };
        let [id, flow] = [&hook.id.to_string(), hook.flow.name.as_str()].map(printable);
        writeln!(out, "{id}\t{}\t{flow}{state}", hook.event)
    })
}

/// The JSON schema of an event's payload, or of the body that a format makes of it.
pub fn schema(event: EventName, format: Option<Format>) -> Json {
    let payload = payload_schema(event);
    match format {
        Some(format) => format.schema(event, payload),
        None => payload,
    }
}

/// Every field is there, and one that the event does not carry is null.
fn payload_schema(event: EventName) -> Json {
    let mut schema = schemars::schema_for!(Payload).to_value();
    schema["title"] = format!("queue.{event}").into();
    schema["description"] = event.meaning().into();
    schema["required"] = Payload::FIELDS.iter().map(|field| field.name).collect();
    let properties = &mut schema["properties"];
    properties["event"] = json!({ "const": event.as_str() });
    for field in Payload::FIELDS {
        if !field.events.contains(event) {
            properties[field.name] = json!({ "type": "null", "description": field.meaning.trim() });
        } else if field.is_given {
            refuse_null(&mut properties[field.name]);
        }
    }
    schema
}

/// Takes null out of what a property may be.
fn refuse_null(property: &mut Json) {
    let object = property.as_object_mut().expect("a schema with a description is an object");
    if let Some(Json::Array(types)) = object.get("type") {
        let only = types[0].clone();
        object.insert("type".into(), only);
    }
    if let Some(Json::Array(choices)) = object.remove("anyOf") {
        object.extend(choices[0].as_object().cloned().unwrap_or_default());
    }
}

/// The reference page of events and fields.
pub fn reference() -> String {
    let mut page = String::from(
        "# Hooks\n\n<!-- Printed by `hookswitch hooks reference`; a test compares. -->\n\n\
         A hook starts a flow when an event happens to a member of a queue. The flow's templates, and the webhook that it \
         sends, have the fields below. A field that an event does not carry, or that is not known, is there and `null`.\n\n\
         ## Events\n\n| event | what happened |\n| --- | --- |\n",
    );
    page.extend(EventName::EIGHT.map(|event| format!("| `{event}` | {} |\n", event.meaning())));
    page.push_str(BEYOND);
    page.extend(EventName::beyond().map(|event| format!("| `{event}` | {} |\n", event.meaning())));
    page.push_str("\n## Fields\n\n| field | type | meaning |");
    page.extend(EventName::EIGHT.map(|event| format!(" {event} |")));
    page.push_str(" beyond the eight |\n| --- | --- | --- |");
    page.push_str(&" :-: |".repeat(EventName::EIGHT.len()));
    page.push_str(" --- |");
    let schema = schemars::schema_for!(Payload).to_value();
    for field in Payload::FIELDS {
        let (name, words) = (field.name, type_words(&schema, &schema["properties"][field.name]));
        page.push_str(&format!("\n| `{name}` | {words} | {} |", field.meaning.trim()));
        page.extend(EventName::EIGHT.map(|event| if field.events.contains(event) { " x |" } else { " |" }));
        page.push_str(&format!(" {} |", carried_beyond(field.events)));
    }
    page.push_str("\n\n## Formats\n\nWhat each format makes of an `offering`.\n");
    for format in Format::ALL {
        let (name, media_type) = (format.as_str(), format.content_type());
        page.push_str(&format!("\n### `{name}`\n\n{}\n\n`Content-Type: {media_type}`\n\n", format.meaning()));
        page.push_str(&format!("```json\n{:#}\n```\n", sample(EventName::Offering, format)));
    }
    page
}

/// What the reference says of the events beyond the eight.
const BEYOND: &str = "\n### Beyond the eight\n\nThese are told only where a hook hears them; `hookswitch replay --all` \
    prints all of them. They have no numbers of their own: `sequence` is that of the last of the eight. `agent_status` and \
    `agent_state` happen to an agent in no queue, so hooks for them stand in `[agents.\"PATTERN\"]`; all others stand in \
    `[queues.\"PATTERN\"]`.\n\n| event | what happened |\n| --- | --- |\n";

/// The events beyond the eight that carry a field.
fn carried_beyond(events: EventSet) -> String {
    let (with, without): (Vec<_>, Vec<_>) = EventName::beyond().partition(|event| events.contains(*event));
    let list = |events: &[EventName]| events.iter().map(|event| format!("`{event}`")).collect::<Vec<_>>().join(", ");
    match (with.len(), without.len()) {
        (_, 0) => "all".into(),
        (with_count, without_count) if without_count < with_count => format!("all but {}", list(&without)),
        _ => list(&with),
    }
}

/// The type of a field as its schema has it, in words.
fn type_words(schema: &Json, property: &Json) -> String {
    if let Some(choices) = property["anyOf"].as_array() {
        return type_words(schema, &choices[0]);
    }
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return if name == "Time" { "time".into() } else { type_words(schema, &schema["$defs"][name]) };
    }
    if let Some(words) = property["enum"].as_array().or(property["oneOf"].as_array()) {
        let word = |word: &Json| word.as_str().or(word["const"].as_str()).map(|word| format!("`{word}`"));
        let words: Vec<_> = words.iter().filter_map(word).collect();
        return if words.len() > EventName::EIGHT.len() + 2 { "string".into() } else { words.join(", ") };
    }
    let name = property["type"].as_str().or(property["type"][0].as_str()).unwrap_or_default();
    if name == "array" { "list".into() } else { name.to_owned() }
}

/// The body that a format makes of a plausible payload.
fn sample(event: EventName, format: Format) -> Json {
    let payload = serde_json::value::to_raw_value(&Payload::sample(event)).expect("a sample payload is JSON");
    let body = format.body(&payload).expect("a sample payload has every format");
    serde_json::from_slice(&body).expect("every format is JSON")
}

fn parse_event(name: &str) -> Result<EventName, String> {
    EventName::parse(name).ok_or_else(|| format!("one of {}", EventName::ALL.map(EventName::as_str).join(", ")))
}

fn parse_format(name: &str) -> Result<Format, String> {
    let found = Format::NAMES.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, format)| format).ok_or_else(|| format!("one of {}", Format::ALL.map(Format::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hookswitch hooks reference > docs/hooks.md`; with `HOOKSWITCH_BLESS=1` this test does the same.
    #[test]
    fn the_reference_page_is_what_the_declaration_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/hooks.md");
        if std::env::var_os("HOOKSWITCH_BLESS").is_some() {
            std::fs::write(path, reference()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("the page"), reference());
    }

    #[test]
    fn a_schema_names_every_field_and_nulls_what_does_not_apply() {
        let schema = schema(EventName::Joined, None);
        assert_eq!(schema["required"].as_array().map(Vec::len), Some(Payload::FIELDS.len()));
        assert_eq!(schema["properties"]["cc_result"]["type"], "null");
        assert_eq!(schema["properties"]["event"]["const"], "joined");
        assert_eq!(schema["properties"]["attempt_id"]["type"], "integer");
        assert_eq!(schema["properties"]["queue_type"]["$ref"], "#/$defs/QueueType");
        assert_eq!(schema["properties"]["destination"]["type"], json!(["string", "null"]));
        assert_eq!(super::schema(EventName::AgentStatus, None)["properties"]["attempt_id"]["type"], "null");
    }

    #[test]
    fn a_sample_of_each_format_has_the_names_that_its_schema_tells() {
        for (event, format) in EventName::ALL.into_iter().flat_map(|event| Format::ALL.map(|format| (event, format))) {
            let (sample, schema) = (sample(event, format), schema(event, Some(format)));
            let sample = sample.as_object().expect("an object");
            let required = schema["required"].as_array().expect("a list");
            let missing = required.iter().find(|name| !sample.contains_key(name.as_str().expect("a name")));
            assert_eq!(missing, None, "{event} as {}", format.as_str());
            let open = schema.get("additionalProperties").is_some();
            assert!(open || sample.len() == required.len(), "{event} as {}", format.as_str());
        }
    }

    #[test]
    fn hooks_are_listed() {
        let config = Config::from_toml(
            "test.toml",
            "[flows.f]\nsteps = [{ log = { message = 'x' } }]\n[queues.q]\nhooks = [{ event = 'joined', flow = 'f' }]\n",
        )
        .expect("good");
        let mut out = Vec::new();
        list(&config, &mut out).expect("writes");
        assert_eq!(out, b"q/0\tjoined\tf\n");
    }
}
