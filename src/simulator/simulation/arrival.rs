//! A call comes in, or the dialer makes one, and joins its queue.

use std::borrow::Cow;
use std::time::Duration;

use super::agenda::Step;
use super::announcement::ChannelEvent;
use super::call::{Call, CallId, Phase, Stay, StayRef};
use super::world::Simulation;
use crate::moment::value::AmdResult;
use crate::simulator::chance::Spread;
use crate::simulator::channel::{Caller, Disposition, HangupCause, Leg};
use crate::simulator::truth::Truth;

/// From the call's creation to the dialplan's answer: one tick.
const DIALPLAN: Duration = Duration::from_millis(20);
/// mod_callcenter looks for agents a little after a member has joined.
const DISPATCH_MS: (u64, u64) = (20, 100);
/// How long a dialled party lets it ring.
const CALLEE_ANSWERS: Spread = Spread::seconds(1, 8);
/// How long the dialer rings.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a machine is listened to before the dialer hangs up.
const MACHINE: Duration = Duration::from_secs(2);

/// Of the calls that a dialer makes, so many are not answered, so many refused, and so many are answered by a machine.
const UNANSWERED: f64 = 0.2;
const REFUSED: f64 = 0.1;
const MACHINES: f64 = 0.15;

/// What the dialer shows.
const CAMPAIGN: (&str, &str) = ("Campaign", "40219990000");

impl Simulation {
    /// Enters the next call into the agenda.
    pub(super) fn schedule_arrival(&mut self, queue: usize) {
        let per_second = self.queue(queue).calls_per_hour / 3_600.0;
        let gap = self.chance.gap(per_second);
        self.after(gap, Step::Arrive(queue));
    }

    pub(super) fn arrive(&mut self, queue: usize) {
        self.schedule_arrival(queue);
        let (caller, variables) = self.next_caller();
        if self.queue(queue).dialer {
            self.dial(queue, caller.number, variables);
            return;
        }
        let (session, extension) = (self.next_session(), self.queue(queue).extension.clone());
        let leg = Leg::inbound(session, caller, &extension, self.now, &mut self.chance);
        self.announce(ChannelEvent::Create, &leg);
        self.keep(Call { id: session, leg, variables, bound_for: queue, stay: None });
        self.after(DIALPLAN, Step::Answer(session));
    }

    fn next_caller(&mut self) -> (Caller, Vec<(String, String)>) {
        let number = format!("40{:09}", self.chance.number(712_000_000, 799_999_999));
        let Some(profile) = self.chance.pick(&self.scenario.callers) else {
            return (Caller { name: "Anonymous".into(), number }, Vec::new());
        };
        let mut variables: Vec<(String, String)> =
            profile.variables.iter().map(|(name, value)| (name.clone(), value.as_str().to_owned())).collect();
        if !variables.is_empty() {
            let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
            variables.push(("cc_export_vars".into(), names.join(",")));
        }
        (Caller { name: profile.name.clone(), number: profile.number.clone().unwrap_or(number) }, variables)
    }

    fn dial(&mut self, queue: usize, number: String, variables: Vec<(String, String)>) {
        let session = self.next_session();
        let campaign = Caller { name: CAMPAIGN.0.into(), number: CAMPAIGN.1.into() };
        let own = [
            ("campaign_id", "77".to_owned()),
            ("contact_id", format!("C-{session}")),
            ("cc_member_id", session.to_string()),
            ("origination_caller_id_number", campaign.number.clone()),
            ("origination_caller_id_name", campaign.name.clone()),
            ("ignore_early_media", "true".to_owned()),
            ("originate_timeout", DIAL_TIMEOUT.as_secs().to_string()),
        ];
        let own = own.map(|(name, value)| (Cow::Borrowed(name), value));
        let mut leg = Leg::outbound(session, campaign, &number, own, self.now, &mut self.chance);
        self.announce(ChannelEvent::Create, &leg);
        leg.ring(self.now);
        self.announce(ChannelEvent::Progress, &leg);
        self.keep(Call { id: session, leg, variables, bound_for: queue, stay: None });
        if self.chance.happens(UNANSWERED) {
            self.after(DIAL_TIMEOUT, Step::DialFails(session));
        } else if self.chance.happens(REFUSED) {
            let rings = self.chance.millis(300, 2_000);
            self.after(rings, Step::DialFails(session));
        } else {
            let rings = self.chance.span(CALLEE_ANSWERS);
            self.after(rings, Step::Answer(session));
        }
    }

    pub(super) fn dial_fails(&mut self, id: CallId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let rang_out = self.now.duration_since(call.leg.times.created).unsigned_abs() >= DIAL_TIMEOUT;
        let (cause, disposition) = if rang_out {
            (HangupCause::AllottedTimeout, Disposition::SendCancel)
        } else {
            (HangupCause::UserBusy, Disposition::RecvRefuse)
        };
        call.leg.hang_up(cause, disposition, self.now);
        self.announce_hangup(&mut call.leg);
    }

    pub(super) fn answer(&mut self, id: CallId) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        let queue = call.bound_for;
        let variables = call.variables.iter().map(|(name, value)| (Cow::Owned(name.clone()), value.clone()));
        call.leg.answer(self.now, variables);
        self.announce(ChannelEvent::Answer, &call.leg);
        if self.queue(queue).dialer {
            let extension = self.queue(queue).extension.clone();
            call.leg.transfer(&extension, self.now, &mut self.chance);
            if self.chance.happens(MACHINES) {
                call.leg.variables.set("amd_result", "MACHINE");
                self.keep(call);
                self.after(MACHINE, Step::HangUp(id));
                return;
            }
            call.leg.variables.set("amd_result", "HUMAN");
            call.leg.variables.set("amd_cause", "HUMAN-1000-800");
        }
        self.join(call, queue);
    }

    /// The member enters the queue.
    pub(super) fn join(&mut self, mut call: Call, queue: usize) {
        self.stays += 1;
        let at = StayRef { call: call.id, number: self.stays };
        let name = self.queue(queue).name.clone();
        let mut stay = Stay {
            at,
            queue,
            member_uuid: self.chance.uuid(),
            joined: self.now,
            phase: Phase::Waiting,
            offers: Vec::new(),
            truth: Truth::begin(&name, &call.leg.caller.number, &call.leg.uuid),
        };
        if call.leg.variables.get("amd_result").is_some() {
            stay.truth.amd_result = Some(AmdResult::Human);
        }
        call.leg.activate();
        let variables = &mut call.leg.variables;
        variables.set("current_application_data", name.clone());
        variables.set("current_application", "callcenter");
        variables.set("cc_side", "member");
        variables.set("cc_member_uuid", stay.member_uuid.clone());
        variables.set("cc_queue_joined_epoch", self.now.as_second().to_string());
        variables.set("cc_queue", name);
        variables.unset("cc_agent_bridged");
        self.announce_queue_start(&call.leg, &stay);
        self.keep_in_queue(call, stay);
        self.announce_count(queue, self.waiting_in(queue));
        self.schedule_waiting(at, queue);
    }

    /// What ends the waiting, whichever comes first.
    fn schedule_waiting(&mut self, at: StayRef, queue: usize) {
        let settings = self.queue(queue);
        let (patience, max_wait, exit_share) = (settings.patience, settings.max_wait, settings.exit_share);
        let has_exit_key = settings.exit_key.is_some();
        let patience = self.chance.span(patience);
        self.after(patience, Step::GiveUp(at));
        if has_exit_key && self.chance.happens(exit_share) {
            self.after(patience / 2, Step::PressExit(at));
        }
        if let Some(longest) = max_wait {
            self.after(longest.unsigned_abs(), Step::TimeOut(at));
        }
        let dispatch = self.chance.millis(DISPATCH_MS.0, DISPATCH_MS.1);
        self.after(dispatch, Step::Distribute(queue));
    }

    /// How many members mod_callcenter counts in the queue: all who have not left.
    pub(super) fn waiting_in(&self, queue: usize) -> usize {
        self.calls.values().filter(|call| call.stay.as_ref().is_some_and(|stay| stay.queue == queue)).count()
    }
}
