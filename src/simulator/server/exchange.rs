//! The task that owns the simulation: lets time pass, hands events to clients, answers commands.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::subscription::Subscription;
use crate::simulator::api;
use crate::simulator::event::{SimulatedEvent, WireFormat};
use crate::simulator::simulation::Simulation;
use crate::simulator::truth::Truth;

/// After so many events lost in a row FreeSWITCH gives a client up.
const MAX_LOST_IN_A_ROW: u32 = 500;
/// How long the exchange sleeps when nothing is to come; a command wakes it.
const IDLE: Duration = Duration::from_secs(3_600);

/// What a connection asks of the exchange.
#[derive(Debug)]
pub(super) enum Request {
    /// A client has connected: its events go here.
    Join(Client),
    /// `api`.
    Api(String, oneshot::Sender<String>),
    /// `bgapi`: the job's name, if the client gave one; its name is the answer.
    BgApi(String, Option<String>, oneshot::Sender<String>),
}

/// What the exchange knows of a client.
#[derive(Debug)]
pub(super) struct Client {
    /// What it wants; the connection adds to it.
    pub(super) subscription: Arc<Mutex<Subscription>>,
    /// Where its events go. Dropped when FreeSWITCH goes down, or gives the client up.
    pub(super) frames: mpsc::Sender<Bytes>,
    /// How many events it has lost in a row.
    pub(super) lost: u32,
}

impl Client {
    /// Queues the event if it is wanted. Whether the client stays.
    fn offer(&mut self, frames: &mut Frames<'_>) -> bool {
        let format = {
            let subscription = self.subscription.lock().unwrap_or_else(PoisonError::into_inner);
            subscription.wants(frames.event).then_some(subscription.format)
        };
        match format.map(|format| self.frames.try_send(frames.get(format))) {
            None => !self.frames.is_closed(),
            Some(Err(mpsc::error::TrySendError::Closed(_))) => false,
            Some(Ok(())) => {
                self.lost = 0;
                true
            }
            Some(Err(mpsc::error::TrySendError::Full(_))) => {
                self.lost += 1;
                self.lost <= MAX_LOST_IN_A_ROW
            }
        }
    }
}

/// One event's frames, each made once however many clients want it.
struct Frames<'a> {
    event: &'a SimulatedEvent,
    made: [Option<Bytes>; 2],
}

impl Frames<'_> {
    fn get(&mut self, format: WireFormat) -> Bytes {
        let place = match format {
            WireFormat::Plain => 0,
            WireFormat::Json => 1,
        };
        self.made[place].get_or_insert_with(|| self.event.to_frame(format)).clone()
    }
}

/// The owner of the simulation.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) simulation: Simulation,
    pub(super) journal: Option<BufWriter<File>>,
    /// How many simulated seconds pass in one.
    pub(super) speed: f64,
    started: (Instant, Timestamp),
    clients: Vec<Client>,
}

impl Exchange {
    pub(super) fn new(simulation: Simulation, journal: Option<BufWriter<File>>, speed: f64) -> Self {
        let started = (Instant::now(), simulation.now());
        Self { simulation, journal, speed, started, clients: Vec::new() }
    }

    /// Runs until `shutdown`; then ends every call, and says so.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>, shutdown: CancellationToken) {
        loop {
            let wake = self.wake_at();
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep_until(wake) => {}
                Some(request) = requests.recv() => self.serve(request),
            }
            self.pass_time();
        }
        let events = self.simulation.shut_down(self.simulated_now());
        self.publish(&events);
        self.write_journal();
    }

    fn simulated_now(&self) -> Timestamp {
        let (began, start) = self.started;
        start + began.elapsed().mul_f64(self.speed)
    }

    fn wake_at(&self) -> Instant {
        let (began, start) = self.started;
        match self.simulation.next_deadline() {
            None => Instant::now() + IDLE,
            Some(deadline) => began + deadline.duration_since(start).unsigned_abs().div_f64(self.speed),
        }
    }

    fn pass_time(&mut self) {
        let events = self.simulation.advance(self.simulated_now());
        self.publish(&events);
        self.write_journal();
    }

    fn serve(&mut self, request: Request) {
        self.pass_time();
        // Whoever asked may have gone meanwhile; then nobody misses the answer.
        match request {
            Request::Join(client) => self.clients.push(client),
            Request::Api(line, reply) => {
                let _ = reply.send(api::answer(&mut self.simulation, &line));
            }
            Request::BgApi(line, job, reply) => {
                let job = job.unwrap_or_else(|| self.simulation.begin_job());
                let answer = api::answer(&mut self.simulation, &line);
                let (command, argument) = line.split_once(' ').map_or((line.as_str(), None), |(c, a)| (c, Some(a)));
                self.simulation.finish_job(&job, command, argument, answer);
                let _ = reply.send(job);
            }
        }
    }

    /// Gives each event to whoever wants it. A full queue loses it; too many in a row end the client.
    fn publish(&mut self, events: &[SimulatedEvent]) {
        for event in events {
            let mut frames = Frames { event, made: [None, None] };
            self.clients.retain_mut(|client| client.offer(&mut frames));
        }
    }

    /// A journal that cannot be written is given up, and said so once.
    fn write_journal(&mut self) {
        let truths = self.simulation.take_truths();
        let Some(journal) = self.journal.as_mut().filter(|_| !truths.is_empty()) else { return };
        if let Err(error) = write_truths(journal, &truths) {
            tracing::error!(%error, "the journal cannot be written and ends here");
            self.journal = None;
        }
    }
}

fn write_truths(journal: &mut BufWriter<File>, truths: &[Truth]) -> std::io::Result<()> {
    for truth in truths {
        writeln!(journal, "{}", truth.to_json_line())?;
    }
    journal.flush()
}
