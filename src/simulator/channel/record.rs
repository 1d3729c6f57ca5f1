//! What a leg's last event sums up: the call detail record, as variables.

use std::borrow::Cow;

use jiff::Timestamp;

use super::leg::Leg;

const MEDIA_STATISTICS: &str = include_str!("media_statistics.txt");

/// Sets the variables that `CHANNEL_HANGUP_COMPLETE` has beside those of the leg's life.
pub(super) fn complete(leg: &mut Leg) {
    let Some(cause) = leg.hangup_cause() else { return };
    leg.variables.set("hangup_cause", cause.as_str());
    leg.variables.set("hangup_cause_q850", cause.q850().to_string());
    leg.variables.set("digits_dialed", "none");
    for (name, value) in stamps(leg).into_iter().chain(epochs(leg)).chain(last_words(leg)).chain(spans(leg)) {
        leg.variables.set(name, value);
    }
    if leg.times.answered.is_some() {
        leg.variables.fill(MEDIA_STATISTICS, &[]);
    }
}

type Variable = (Cow<'static, str>, String);

fn moments(leg: &Leg) -> [(&'static str, Option<Timestamp>); 6] {
    let times = &leg.times;
    [
        ("start", Some(times.created)),
        ("profile_start", Some(times.profile)),
        ("answer", times.answered),
        ("bridge", times.bridged),
        ("progress", times.progress),
        ("end", times.hangup),
    ]
}

/// Times for people; those that never came are left out.
fn stamps(leg: &Leg) -> Vec<Variable> {
    let stamp = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let moments = moments(leg).into_iter();
    moments.filter_map(|(name, time)| Some((format!("{name}_stamp").into(), stamp(time?)))).collect()
}

/// Times for programs; those that never came are 0.
fn epochs(leg: &Leg) -> Vec<Variable> {
    let mut variables = Vec::with_capacity(24);
    let mut push = |name: &str, time: Option<Timestamp>| {
        variables.push((format!("{name}_epoch").into(), time.map_or(0, Timestamp::as_second).to_string()));
        variables.push((format!("{name}_uepoch").into(), time.map_or(0, Timestamp::as_microsecond).to_string()));
    };
    let [start, profile, answer, bridge, progress, end] = moments(leg);
    for (name, time) in [start, profile, answer, bridge] {
        push(name, time);
    }
    push("last_hold", leg.times.held);
    push("resurrect", None);
    push(progress.0, progress.1);
    push("progress_media", None);
    push(end.0, end.1);
    let held = leg.times.hold_accum_us;
    for (name, value) in [("seconds", held / 1_000_000), ("usec", held), ("ms", held / 1_000)] {
        variables.push((format!("hold_accum_{name}").into(), value.to_string()));
    }
    variables
}

fn last_words(leg: &Leg) -> Vec<Variable> {
    let mut variables = Vec::new();
    if let Some(argument) = leg.variables.get("current_application_data") {
        variables.push(("last_app".into(), "callcenter".into()));
        variables.push(("last_arg".into(), argument.to_owned()));
    }
    variables.push(("caller_id".into(), format!("\"{}\" <{}>", leg.caller.name, leg.caller.number)));
    variables
}

/// How long everything took, in each unit.
fn spans(leg: &Leg) -> Vec<Variable> {
    let times = &leg.times;
    let end = times.hangup.unwrap_or(times.created);
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| match (from, to) {
        (Some(from), Some(to)) => to.as_microsecond() - from.as_microsecond(),
        _ => 0,
    };
    let created = Some(times.created);
    let spans = [
        ("duration", "duration", between(created, Some(end))),
        ("billsec", "bill", between(times.answered, Some(end))),
        ("progresssec", "progress", between(created, times.progress)),
        ("answersec", "answer", between(created, times.answered)),
        ("waitsec", "wait", between(created, times.bridged)),
        ("progress_mediasec", "progress_media", 0),
        ("flow_billsec", "flow_bill", between(created, Some(end))),
    ];
    let mut variables = Vec::with_capacity(3 * spans.len());
    for (in_seconds, _, micros) in spans {
        variables.push((in_seconds.into(), (micros / 1_000_000).to_string()));
    }
    for (prefix, suffix, divisor) in [("m", "msec", 1_000), ("u", "usec", 1)] {
        for (_, name, micros) in spans {
            let name = if name == "duration" { format!("{prefix}{name}") } else { format!("{name}{suffix}") };
            variables.push((name.into(), (micros / divisor).to_string()));
        }
    }
    variables
}
