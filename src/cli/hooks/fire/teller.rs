//! What is printed of a flow that is tried: for a person as it goes, or a JSON line for each step.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde_json::{Value as Json, json};

use crate::cli::printable::printable;
use crate::delivery::TryRecord;
use crate::delivery::mask::{self, SecretValues};
use crate::delivery::record::RequestRecord;
use crate::flow::RenderedRequest;
use crate::flow::definition::{Step, StepKind};
use crate::flow::step::{Intent, Outcome, Parcel, StepEnd};
use crate::flow::trial::{Ending, Told};
use crate::id::{FlowName, NodeName, RunId};
use crate::moment::Payload;
use crate::printable::EscapingJson;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();
const KIND: Style = AnsiColor::Cyan.on_default();

/// How many lines of a body a person is shown; JSON lines have all of it.
const BODY_LINES: usize = 24;

/// Tells what happens.
pub(super) struct Teller {
    out: AutoStream<io::Stdout>,
    json: bool,
    dry_run: bool,
    began: Instant,
    steps: usize,
    secrets: SecretValues,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        let secrets = SecretValues::default();
        Self { out: anstream::stdout(), json, dry_run: false, began: Instant::now(), steps: 0, secrets }
    }

    /// Masks these values in what steps are about to send.
    pub(super) fn mask(&mut self, secrets: &SecretValues) {
        self.secrets = secrets.clone();
    }

    /// Tells which flow is tried with which moment.
    pub(super) fn begin(
        &mut self,
        flow: &FlowName,
        run: RunId,
        occasion: &str,
        payload: &Payload,
        dry_run: bool,
    ) -> io::Result<()> {
        self.dry_run = dry_run;
        if self.json {
            return self.line(&json!({ "flow": flow, "run": run, "dry_run": dry_run, "payload": payload }));
        }
        let queue = payload.queue_name.as_ref().map(|queue| format!(" in {}", printable(queue.as_str())));
        let (event, queue) = (payload.event, queue.unwrap_or_default());
        writeln!(self.out, "{BOLD}{}{BOLD:#} for {occasion}: {event}{queue}", printable(flow.as_str()))?;
        let sent = if dry_run { "nothing is sent" } else { "sent once, with \"test\": true" };
        writeln!(self.out, "{DIM}run {run}, {sent}; no outbox is written{DIM:#}")
    }

    /// Tells to which node commands go; without an address, that it is not configured.
    pub(super) fn tell_of_node(&mut self, node: &NodeName, address: Option<&str>) -> io::Result<()> {
        let node = printable(node.as_str());
        match (self.json, address) {
            (true, _) => Ok(()),
            (false, Some(address)) => {
                writeln!(self.out, "{NOTE}Commands go to the FreeSWITCH {node} ({address}), for real.{NOTE:#}")
            }
            (false, None) => writeln!(self.out, "{NOTE}The FreeSWITCH {node} is not configured.{NOTE:#}"),
        }
    }

    /// Tells of the trial.
    pub(super) fn tell(&mut self, told: Told<'_>) -> io::Result<()> {
        match told {
            Told::Begins { step, intent } => self.begin_step(step, intent),
            Told::Ended { step, intent, end, retries } => self.end_step(step, intent, end, retries),
            Told::WaitSkipped => self.skip_wait(),
            Told::GoesOn { step, next } => self.go_on(step, next),
        }
    }

    /// Tells what a step is about to do.
    fn begin_step(&mut self, step: &Step, intent: Option<&Intent>) -> io::Result<()> {
        self.steps += 1;
        if self.json {
            return Ok(());
        }
        let path = printable(&step.path);
        writeln!(self.out, "\n{BOLD}{path}{BOLD:#}  {KIND}{}{KIND:#}", step.kind.name())?;
        match intent {
            Some(Intent::Request(request)) => self.write_request(request)?,
            Some(Intent::Commands { node, commands }) => {
                for command in commands {
                    writeln!(self.out, "   > {}: {}", printable(node.as_str()), printable(command.line()))?;
                }
            }
            Some(Intent::Parcel(Parcel { destination, line, body })) => {
                writeln!(self.out, "   > {}: {}", printable(destination), printable(&self.secrets.mask(line)))?;
                self.write_body('>', body)?;
            }
            Some(Intent::Line(line)) => writeln!(self.out, "   {}", printable(&self.secrets.mask(line)))?,
            Some(Intent::Nothing) | None => {}
        }
        self.out.flush()
    }

    fn write_request(&mut self, request: &RenderedRequest) -> io::Result<()> {
        let RequestRecord { method, url, headers } = RequestRecord::of(request);
        writeln!(self.out, "   > {} {}", printable(&method), printable(&self.secrets.mask(&url)))?;
        for (name, value) in headers {
            writeln!(self.out, "   {DIM}> {}: {}{DIM:#}", printable(&name), printable(&self.secrets.mask(&value)))?;
        }
        self.write_body('>', &mask::without_secret_members(&request.body))
    }

    /// Writes a body's beginning; JSON as people read it.
    fn write_body(&mut self, mark: char, body: &str) -> io::Result<()> {
        let body = &*self.secrets.mask(body).into_owned();
        let pretty = serde_json::from_str::<Json>(body).ok().map(|json| format!("{json:#}"));
        let text = pretty.as_deref().unwrap_or(body);
        for line in text.lines().take(BODY_LINES) {
            writeln!(self.out, "   {mark} {}", printable(line))?;
        }
        match text.lines().count().saturating_sub(BODY_LINES) {
            0 => Ok(()),
            more => writeln!(self.out, "   {DIM}{mark} … {more} more lines, which --json has{DIM:#}"),
        }
    }

    /// Tells what a step has come to, and how often the daemon would try it again.
    fn end_step(&mut self, step: &Step, intent: Option<&Intent>, end: &StepEnd, retries: usize) -> io::Result<()> {
        if self.json {
            return self.line(&told(step, intent, end, retries, &self.secrets));
        }
        if let Some(attempted) = &end.attempted {
            self.write_answer(attempted)?;
        }
        match &end.outcome {
            Outcome::Done(done) => {
                for (name, value) in &done.saved {
                    writeln!(self.out, "   {DIM}{} ={DIM:#} {}", printable(name), printable(&brief(value)))?;
                }
            }
            Outcome::Wait { until } => writeln!(self.out, "   until {until:.0}")?,
            Outcome::Stop => writeln!(self.out, "   ends the run")?,
            Outcome::Failed { reason }
            | Outcome::Retry { reason, .. }
            | Outcome::PutOff { reason, .. }
            | Outcome::Expired { reason }
            | Outcome::Refused { reason } => {
                writeln!(self.out, "   {BAD}failed{BAD:#}: {}", printable(reason))?;
                if retries > 0 {
                    let tries = if retries == 1 { "try" } else { "tries" };
                    writeln!(self.out, "   {DIM}the daemon would go on, with up to {retries} more {tries}{DIM:#}")?;
                }
            }
            Outcome::Cancelled => writeln!(self.out, "   cancelled")?,
            Outcome::Late => writeln!(self.out, "   expired")?,
        }
        Ok(())
    }

    fn write_answer(&mut self, attempted: &TryRecord) -> io::Result<()> {
        let took = attempted.duration_ms;
        if let Some(response) = &attempted.response {
            let style = if (200..300).contains(&response.status) { GOOD } else { BAD };
            writeln!(self.out, "   < {style}{}{style:#} {DIM}in {took} ms{DIM:#}", response.status)?;
            self.write_body('<', &response.body)?;
            if response.truncated {
                writeln!(self.out, "   {DIM}< … there was more{DIM:#}")?;
            }
        }
        let answers = [
            attempted.command.as_ref().and_then(|command| command.answer.as_ref()),
            attempted.parcel.as_ref().and_then(|parcel| parcel.answer.as_ref()),
        ];
        for answer in answers.into_iter().flatten() {
            for line in answer.lines() {
                writeln!(self.out, "   < {}", printable(line))?;
            }
            writeln!(self.out, "   {DIM}in {took} ms{DIM:#}")?;
        }
        Ok(())
    }

    /// Tells that a `wait` is passed over.
    fn skip_wait(&mut self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "   {NOTE}skipped: --wait really rests{NOTE:#}")
    }

    /// Tells where the run goes on after a step that has a choice.
    fn go_on(&mut self, step: &Step, next: Option<&Step>) -> io::Result<()> {
        let has_choice = matches!(step.kind, StepKind::If { .. } | StepKind::Switch { .. });
        if self.json || !has_choice {
            return Ok(());
        }
        writeln!(self.out, "   → {}", next.map_or_else(|| "the end".into(), |next| printable(&next.path)))
    }

    /// Tells how it ended.
    pub(super) fn end(&mut self, ending: &Ending) -> io::Result<()> {
        let (steps, took) = (self.steps, self.began.elapsed());
        if self.json {
            let (result, error) = match ending {
                Ending::Delivered => ("delivered", None),
                Ending::Failed { reason } => ("failed", Some(reason)),
            };
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            return self.line(&json!({ "result": result, "error": error, "steps": steps, "duration_ms": took_ms }));
        }
        let in_all = format!("{steps} {}, {}", if steps == 1 { "step" } else { "steps" }, span(took));
        match (ending, self.dry_run) {
            (Ending::Delivered, false) => writeln!(self.out, "\n{GOOD}delivered{GOOD:#}: {in_all}"),
            (Ending::Delivered, true) => {
                writeln!(self.out, "\n{GOOD}would be delivered{GOOD:#}: {in_all}, nothing sent")
            }
            (Ending::Failed { reason }, _) => {
                writeln!(self.out, "\n{BAD}failed{BAD:#} after {in_all}: {}", printable(reason))
            }
        }
    }

    fn line(&mut self, value: &Json) -> io::Result<()> {
        serde_json::to_writer(EscapingJson(&mut self.out), value)?;
        writeln!(self.out)
    }
}

/// A step and what it has come to, as a JSON line.
fn told(step: &Step, intent: Option<&Intent>, end: &StepEnd, retries: usize, secrets: &SecretValues) -> Json {
    let request = match intent {
        Some(Intent::Request(request)) => {
            let RequestRecord { method, url, headers } = RequestRecord::of(request);
            let body = mask::without_secret_members(&request.body);
            let url = secrets.mask(&url);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name, secrets.mask(value))).collect();
            Some(json!({ "method": method, "url": url, "headers": headers, "body": secrets.mask(&body) }))
        }
        _ => None,
    };
    let parcel = match intent {
        Some(Intent::Parcel(Parcel { destination, line, body })) => {
            let (line, body) = (secrets.mask(line), secrets.mask(body));
            Some(json!({ "destination": destination, "line": line, "body": body }))
        }
        _ => None,
    };
    let commands = match intent {
        Some(Intent::Commands { commands, .. }) => commands.iter().map(|command| command.line()).collect(),
        _ => Vec::new(),
    };
    let (outcome, error) = match &end.outcome {
        Outcome::Done(_) => ("done", None),
        Outcome::Wait { .. } => ("waits", None),
        Outcome::Stop => ("stops", None),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::Late => ("expired", None),
        Outcome::Expired { reason } => ("expired", Some(reason)),
        Outcome::Failed { reason }
        | Outcome::Retry { reason, .. }
        | Outcome::PutOff { reason, .. }
        | Outcome::Refused { reason } => ("failed", Some(reason)),
    };
    let saved = match &end.outcome {
        Outcome::Done(done) => Some(&done.saved).filter(|saved| !saved.is_empty()),
        _ => None,
    };
    json!({
        "step": step.path,
        "kind": step.kind.name(),
        "outcome": outcome,
        "error": error,
        "retries": retries,
        "request": request,
        "commands": commands,
        "parcel": parcel,
        "try": end.attempted,
        "saved": saved,
    })
}

/// A saved value on one line.
fn brief(value: &Json) -> String {
    const MOST: usize = 160;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn span(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}
