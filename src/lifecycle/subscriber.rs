//! Who the subscriber is: the caller of a leg that called in, the person who was called on one that FreeSWITCH made.
//!
//! The destination and the caller ID of an outbound leg change on its way: a dialplan rewrites the destination, FreeSWITCH
//! exchanges caller and callee where the leg enters a dialplan, and the caller ID that a campaign shows is never the
//! subscriber. What was dialled stands in the leg's creation; where that was not heard, in what its endpoint keeps of it.

use std::borrow::Cow;

use super::attempt::Attempt;
use super::channels::Channel;
use super::variables;
use crate::freeswitch::channel::{ChannelData, Direction};
use crate::freeswitch::header as h;

/// The callee's name where nobody has given one.
const DEFAULT_CALLEE_NAME: &str = "Outbound Call";

/// Who the subscriber is, and what was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscriber {
    /// The subscriber's name.
    pub(super) name: Option<String>,
    /// The subscriber's number.
    pub(super) number: Option<String>,
    /// The number called.
    pub(super) destination: Option<String>,
    /// Whether that is to be read anew off the member's channel, of which nothing was heard yet.
    pub(super) is_presumed: bool,
}

/// How somebody beside the channel names the subscriber: mod_callcenter, a survey, the caller ID.
#[derive(Clone, Debug, Default)]
pub(super) struct Named<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) number: Option<Cow<'a, str>>,
}

impl<'a> Named<'a> {
    /// Reads mod_callcenter's word.
    pub(super) fn by_callcenter(data: ChannelData<'a>) -> Self {
        Self { name: data.header(h::CC_MEMBER_CID_NAME), number: data.header(h::CC_MEMBER_CID_NUMBER) }
    }

    /// Reads the caller ID.
    pub(super) fn by_caller_id(data: ChannelData<'a>) -> Self {
        Self { name: data.header(h::CALLER_ID_NAME), number: data.header(h::CALLER_ID_NUMBER) }
    }
}

impl Subscriber {
    /// Decides by the member's channel, as far as it is known from earlier events and by its data now.
    pub(super) fn of(known: Option<&Channel>, data: Option<ChannelData<'_>>, named: &Named<'_>) -> Self {
        let known = known.filter(|channel| channel.direction.is_some());
        let direction = known.and_then(|channel| channel.direction).or_else(|| data?.direction());
        let destination = known.and_then(|channel| channel.destination.as_deref()).map(str::to_owned);
        let destination = destination.or_else(|| called(data?));
        let Some(Direction::Outbound) = direction else {
            return Self {
                name: named.name.clone().map(Cow::into_owned),
                number: named.number.clone().map(Cow::into_owned),
                destination,
                is_presumed: direction.is_none(),
            };
        };
        let at_creation = || known.and_then(|channel| channel.called_name.as_deref()).map(str::to_owned);
        let name = destination.as_deref().and_then(|number| name_of(number, data, named)).or_else(at_creation);
        Self { name, number: destination.clone(), destination, is_presumed: false }
    }

    /// Leaves out the names that somebody beside the channel has given: of a member who is called, they can be our own.
    pub(super) fn without_presumed_names(self) -> Self {
        if self.is_presumed { Self { name: None, number: None, ..self } } else { self }
    }
}

impl Attempt {
    /// Notes who the subscriber is.
    pub(super) fn introduce_subscriber(&mut self, subscriber: Subscriber) {
        self.member.name = variables::cut(subscriber.name);
        self.member.number = variables::cut(subscriber.number);
        self.member.is_presumed = subscriber.is_presumed;
        self.call.destination = variables::cut(subscriber.destination);
        self.dirty = true;
    }

    /// Reads who the subscriber is off the member's channel data, where that was only presumed.
    pub(super) fn recognize_subscriber(&mut self, data: ChannelData<'_>) {
        if !self.member.is_presumed || data.direction().is_none() {
            return;
        }
        let (name, number) = (self.member.name.take(), self.member.number.take());
        let by_callcenter = Named::by_callcenter(data);
        let named = Named {
            name: by_callcenter.name.or(name.map(Cow::Owned)),
            number: by_callcenter.number.or(number.map(Cow::Owned)),
        };
        self.introduce_subscriber(Subscriber::of(None, Some(data), &named));
    }
}

/// Reads the number that was called on a channel, whatever its dialplan has made of that since.
pub(super) fn called(data: ChannelData<'_>) -> Option<String> {
    let text = |name| data.header(name);
    if data.direction() == Some(Direction::Outbound) {
        return dialled(data);
    }
    if data.is_creation() {
        return text(h::CALLER_DESTINATION_NUMBER).map(Cow::into_owned);
    }
    let by_endpoint = [h::SIP_REQ_USER, h::SIP_TO_USER].into_iter().find_map(text).map(Cow::into_owned);
    let by_name = || in_loopback_name(&text(h::CHANNEL_NAME)?).map(str::to_owned);
    by_endpoint.or_else(by_name).or_else(|| by_profile(data))
}

/// Reads the number or user that was dialled to make a leg.
pub(super) fn dialled(data: ChannelData<'_>) -> Option<String> {
    let text = |name| data.header(name);
    // Who is registered under a made-up name was dialled by another.
    let user = text(h::DIALED_USER);
    if data.is_creation() {
        let number = user.or_else(|| text(h::CALLER_DESTINATION_NUMBER));
        return number.as_deref().and_then(user_part).map(str::to_owned);
    }
    let by_endpoint = user.or_else(|| text(h::SIP_TO_USER)).or_else(|| text(h::SIP_REQ_USER));
    let by_endpoint = by_endpoint.as_deref().and_then(user_part).map(str::to_owned);
    let by_name = || text(h::CHANNEL_NAME).as_deref().and_then(in_channel_name).map(str::to_owned);
    by_endpoint.or_else(by_name).or_else(|| by_profile(data))
}

/// Reads the number called as the caller profile has it, or had it before the latest transfer.
fn by_profile(data: ChannelData<'_>) -> Option<String> {
    let names = [h::CALLER_RDNIS, h::CALLER_DESTINATION_NUMBER];
    names.into_iter().find_map(|name| data.header(name)).map(Cow::into_owned)
}

/// Reads the name of the person who was called on that number.
pub(super) fn name_of(number: &str, data: Option<ChannelData<'_>>, named: &Named<'_>) -> Option<String> {
    let text = |name| data?.header(name);
    let pair = |number, name| (text(number), text(name));
    let is_called = |other: &str| digits(other) == digits(number);
    let pairs = [
        pair(h::CALLEE_ID_NUMBER, h::CALLEE_ID_NAME),
        pair(h::CALLER_ID_NUMBER, h::CALLER_ID_NAME),
        (named.number.clone(), named.name.clone()),
    ];
    let paired =
        pairs.into_iter().filter(|(number, _)| number.as_deref().is_some_and(is_called)).find_map(|(_, name)| name);
    let name = text(h::ORIGINATION_CALLEE_ID_NAME).or(paired);
    name.filter(|name| name != DEFAULT_CALLEE_NAME).map(Cow::into_owned)
}

/// A number as it is compared: without the sign of an international one.
fn digits(number: &str) -> &str {
    let user = user_part(number).unwrap_or(number);
    user.strip_prefix('+').unwrap_or(user)
}

/// The user of an address: `1000` of `sip:1000@example.com`, `5000` of `5000/default`.
fn user_part(address: &str) -> Option<&str> {
    let address = ["sip:", "sips:"].into_iter().find_map(|scheme| address.strip_prefix(scheme)).unwrap_or(address);
    let user = address.split(['@', ';', '/']).next()?;
    (!user.is_empty()).then_some(user)
}

/// The number in the name of a channel that was made to call it: `sofia/internal/1000@10.0.0.1`, `loopback/1000-a`,
/// `verto.rtc/1000`. Older endpoints name a channel after its connection.
fn in_channel_name(name: &str) -> Option<&str> {
    if name.starts_with(LOOPBACK) {
        return in_loopback_name(name);
    }
    let (_, rest) = name.split_once('/')?;
    let number = user_part(rest.rsplit('/').next()?)?;
    (!is_uuid(number)).then_some(number)
}

/// What the names of both ends of a loopback begin with.
const LOOPBACK: &str = "loopback/";

/// The number in the name of either end of a loopback.
fn in_loopback_name(name: &str) -> Option<&str> {
    let number = name.strip_prefix(LOOPBACK)?;
    user_part(number.strip_suffix("-a").or_else(|| number.strip_suffix("-b")).unwrap_or(number))
}

fn is_uuid(text: &str) -> bool {
    let is_part = |(part, length): (&str, usize)| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    text.len() == 36 && text.split('-').zip([8, 4, 4, 4, 12]).all(is_part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::esl::Event;

    fn event(headers: &[(&str, &str)]) -> Event {
        let text: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        Event::from_plain(text.into_bytes().into())
    }

    #[test]
    fn a_channel_name_gives_the_number_that_was_dialled() {
        for (name, number) in [
            ("sofia/internal/40733000001@127.0.0.1:7020", Some("40733000001")),
            ("sofia/external/+40733000001", Some("+40733000001")),
            ("sofia/internal/sip:1000@10.0.0.1;transport=udp", Some("1000")),
            ("loopback/5000-a", Some("5000")),
            ("loopback/5000/default-a", Some("5000")),
            ("verto.rtc/1008@example.com", Some("1008")),
            ("FreeTDM/1:1/5551234", Some("5551234")),
            ("verto.rtc/0f0e0d0c-1111-4222-8333-0123456789ab", None),
            ("sofia", None),
            ("", None),
        ] {
            assert_eq!(in_channel_name(name), number, "{name}");
        }
    }

    #[test]
    fn who_called_in_is_named_as_mod_callcenter_has_it() {
        let event = event(&[
            ("Call-Direction", "inbound"),
            ("CC-Member-CID-Number", "anonymous"),
            ("CC-Member-CID-Name", "_undef_"),
            ("Caller-Destination-Number", "5001"),
            ("variable_sip_req_user", "2001"),
        ]);
        let data = ChannelData(&event);
        let subscriber = Subscriber::of(None, Some(data), &Named::by_callcenter(data));
        let (number, destination) = (Some("anonymous".to_owned()), Some("2001".to_owned()));
        assert_eq!(subscriber, Subscriber { name: None, number, destination, is_presumed: false });
    }

    proptest! {
        /// Of a leg that was dialled, whatever the dialplan, the campaign and mod_callcenter say.
        #[test]
        fn who_was_called_is_the_subscriber(
            endpoint in 0_usize..4,
            flipped in any::<bool>(),
            rewritten in any::<bool>(),
            connected in any::<bool>(),
            named in any::<bool>(),
            plus in any::<bool>(),
        ) {
            let number = if plus { "+40733000001" } else { "40733000001" };
            let name = if named { "Zoë Müller" } else { DEFAULT_CALLEE_NAME };
            let ours = ("40219990000", "Campaign");
            let channel_name = [
                format!("sofia/internal/{number}@127.0.0.1"),
                format!("verto.rtc/{number}"),
                format!("loopback/{number}-a"),
                format!("FreeTDM/1:1/{number}"),
            ];
            let (caller, callee) = if flipped { ((number, name), ours) } else { (ours, (number, name)) };
            let callee = if connected { ("agent1", DEFAULT_CALLEE_NAME) } else { callee };
            let mut headers = vec![
                ("Call-Direction", "outbound"),
                ("Caller-Caller-ID-Number", caller.0),
                ("Caller-Caller-ID-Name", caller.1),
                ("Caller-Callee-ID-Number", callee.0),
                ("Caller-Callee-ID-Name", callee.1),
                ("CC-Member-CID-Number", caller.0),
                ("CC-Member-CID-Name", caller.1),
                ("Channel-Name", &channel_name[endpoint]),
                ("Caller-Destination-Number", if rewritten { "6001" } else { number }),
            ];
            if endpoint == 0 {
                headers.push(("variable_sip_to_user", number));
            }
            let event = event(&headers);
            let data = ChannelData(&event);
            let subscriber = Subscriber::of(None, Some(data), &Named::by_callcenter(data));
            prop_assert_eq!(subscriber.number.as_deref(), Some(number));
            prop_assert_eq!(subscriber.destination.as_deref(), Some(number));
            let is_known = named && (flipped || !connected);
            prop_assert_eq!(subscriber.name.as_deref(), is_known.then_some(name));
        }
    }
}
