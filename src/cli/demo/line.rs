//! A moment as one line.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anstyle::Style;
use jiff::SignedDuration;

use super::receiver::Arrival;
use super::tally::Tally;
use crate::cli::line::{moment_line, span};
use crate::cli::printable::{column, printable};

const BOLD: Style = Style::new().bold();

/// Writes lines.
#[derive(Debug)]
pub(super) struct LineWriter<W> {
    out: W,
}

impl<W: Write> LineWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    /// Says what is what.
    pub(super) fn greet(
        &mut self,
        page: SocketAddr,
        freeswitch: SocketAddr,
        password: &str,
        receiver: SocketAddr,
        config: &Path,
    ) -> io::Result<()> {
        let port = freeswitch.port();
        let out = &mut self.out;
        writeln!(out, "{BOLD}hookswitch demo{BOLD:#}: a plausible day in a call center, faster than real time.")?;
        writeln!(out, "  {BOLD}the page              http://{page}{BOLD:#}")?;
        writeln!(out, "  simulated FreeSWITCH  {freeswitch}   (look in: fs_cli -H 127.0.0.1 -P {port} -p {password})")?;
        writeln!(out, "  receiver of webhooks  http://{receiver}")?;
        writeln!(out, "  configuration         {}", config.display())?;
        writeln!(out, "Each line is one webhook with a good signature. Ctrl-C ends.")?;
        writeln!(out)
    }

    /// Says what takes some seconds.
    pub(super) fn announce_history(&mut self, history: Duration) -> io::Result<()> {
        writeln!(
            self.out,
            "Making up what happened today, at most {history:#}, for the page …",
            history = SignedDuration::try_from(history).unwrap_or_default()
        )?;
        writeln!(self.out)
    }

    /// One arrival.
    pub(super) fn show(&mut self, arrival: &Arrival) -> io::Result<()> {
        match arrival {
            Arrival::Moment(_, moment) => writeln!(self.out, "{}", moment_line(moment)),
            Arrival::Forged(error) => {
                writeln!(self.out, "a webhook that cannot be trusted: {}", printable(&error.to_string()))
            }
            Arrival::Garbled(error) => {
                writeln!(self.out, "a webhook that cannot be read: {}", printable(&error.to_string()))
            }
        }
    }

    /// What it all added up to.
    pub(super) fn summarize(&mut self, tally: &Tally) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(out)?;
        writeln!(
            out,
            "{BOLD}{}{BOLD:#}: {} answered, {} abandoned, {} cancelled",
            counted(tally.calls(), "call"),
            tally.answered,
            tally.abandoned,
            tally.cancelled
        )?;
        let (average, longest) = (span(tally.average_wait_sec()), span(tally.longest_sec));
        writeln!(out, "waiting: {average} on average, {longest} at the longest")?;
        let missed: Vec<_> = tally.missed.iter().map(|(agent, n)| format!("{} {n}", column(agent, 0))).collect();
        if !missed.is_empty() {
            writeln!(out, "missed: {}", missed.join(", "))?;
        }
        let (repeats, failures) = (counted(tally.repeats, "repeat"), counted(tally.forged, "signature failure"));
        writeln!(out, "webhooks: {} delivered, {repeats}, {failures}", tally.delivered)?;
        if tally.garbled > 0 {
            writeln!(out, "not understood: {}", tally.garbled)?;
        }
        Ok(())
    }
}

fn counted(n: u32, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
