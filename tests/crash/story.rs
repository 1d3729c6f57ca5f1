//! What must hold of each attempt by itself, whatever truly happened.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch::moment::value::Outcome;
use hookswitch::moment::{EventName, Payload};

/// Checks the moments of one attempt, given in the order of their numbers: every number once, `answered` and its twin
/// `active` together; a legal order of events. Gives them without the twins, and what is wrong.
pub(crate) fn check(moments: Vec<&Payload>) -> (Vec<&Payload>, Vec<String>) {
    let (twins, moments): (Vec<_>, Vec<_>) = moments.into_iter().partition(|moment| moment.event == EventName::Active);
    let numbers = |moments: &[&Payload]| moments.iter().map(|moment| moment.sequence.unwrap_or(0)).collect::<Vec<_>>();
    let answered: Vec<_> = moments.iter().copied().filter(|moment| moment.event == EventName::Answered).collect();
    let mut wrong = legal_order(&moments);
    if numbers(&answered) != numbers(&twins) {
        wrong.push(format!("answered {:?} has the twins {:?}", numbers(&answered), numbers(&twins)));
    }
    if numbers(&moments).into_iter().ne(1..=moments.len() as u32) {
        wrong.push(format!("its moments are numbered {:?}", numbers(&moments)));
    }
    (moments, wrong)
}

/// How far an offer has come.
#[derive(Clone, Copy, PartialEq)]
enum Offer {
    Made,
    Answered,
    Bridged,
    Over,
}

fn legal_order(moments: &[&Payload]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut offers, mut left) = (BTreeMap::new(), false);
    for (index, moment) in moments.iter().enumerate() {
        let offer = offers.get(&moment.agent_name).copied();
        let (is_legal, next) = match moment.event {
            EventName::Joined => (index == 0, None),
            EventName::Offering => (offer.is_none_or(|offer| may_be_over(offer, moment, moments)), Some(Offer::Made)),
            EventName::Answered => (offer == Some(Offer::Made), Some(Offer::Answered)),
            EventName::Bridged => (offer == Some(Offer::Answered), Some(Offer::Bridged)),
            EventName::Missed => (offer == Some(Offer::Made), Some(Offer::Over)),
            EventName::Processing => (offer == Some(Offer::Bridged), Some(Offer::Over)),
            EventName::Leaving => (!std::mem::replace(&mut left, true), None),
            _ => (false, None),
        };
        let in_time = !left || matches!(moment.event, EventName::Leaving | EventName::Processing);
        if !is_legal || !in_time || (index == 0) != (moment.event == EventName::Joined) {
            wrong.push(format!("{} is not legal as number {} of {}", moment.event, index + 1, words(moments)));
        }
        offers.extend(next.map(|next| (&moment.agent_name, next)));
    }
    if !left {
        wrong.push(format!("it did not leave: {}", words(moments)));
    }
    wrong
}

/// Whether an agent to whom an offer was made can be offered the member again: when the first offer is over, be it unseen.
fn may_be_over(offer: Offer, again: &Payload, moments: &[&Payload]) -> bool {
    let mut outcomes = moments.iter().flat_map(|moment| moment.offers.iter().flatten());
    match offer {
        Offer::Answered | Offer::Over => true,
        Offer::Bridged => false,
        Offer::Made => {
            outcomes.any(|offer| Some(&offer.agent) == again.agent_name.as_ref() && offer.outcome == Outcome::Lost)
        }
    }
}

/// A story in one line.
pub(crate) fn words(moments: &[&Payload]) -> String {
    let word = |moment: &&Payload| {
        let agent = moment.agent_name.as_ref().filter(|_| moment.event.is_of_offer());
        let mark = if moment.synthetic { "*" } else { "" };
        format!("{}{mark}{}", moment.event, agent.map(|agent| format!(" {agent}")).unwrap_or_default())
    };
    moments.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Whether each attempt's moments first arrived in their order, for each flow by itself. Gives the numbers of those that
/// did not. To be given every first arrival, as flow, attempt and number.
pub(crate) fn disordered<'a>(arrivals: impl Iterator<Item = (&'a str, &'a str, u32)>) -> BTreeSet<String> {
    let mut latest: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let late = arrivals.filter_map(|(flow, attempt, number)| {
        let latest = latest.entry((flow, attempt)).or_default();
        let is_late = number < *latest;
        *latest = number.max(*latest);
        is_late.then(|| format!("number {number} of {attempt} came to {flow} after number {latest}"))
    });
    late.collect()
}
