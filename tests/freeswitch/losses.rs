//! What is told when the link was cut for ten seconds, and by a daemon that came later than another.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::floor::{Case, Floor, until};
use crate::line::Line;
use crate::place::Place;
use crate::receiver::Receiver;
use crate::table::Row;

/// Seconds of the plan: the link is cut, and mended.
const CUT: u64 = 24;
const MENDED: u64 = CUT + 10;

const HELD: Case = Case {
    name: "on hold",
    number: "40714000001",
    expected: &["support: joined, success by member, held 1 times | 2000: offering answered bridged processing"],
};
const TALKING: Case = Case {
    name: "talking",
    number: "40714000002",
    expected: &["support: joined, success by member | 2001: offering answered bridged processing"],
};
const HUNG_UP: Case = Case {
    name: "hung up during the cut",
    number: "40714000003",
    expected: &["support: joined, success/lost (synthetic) | 2002: offering answered bridged"],
};
const TRANSFERRED: Case = Case {
    name: "in a transfer, done during the cut",
    number: "40714000004",
    expected: &["support: joined, success/lost (synthetic) | 2003: offering answered bridged"],
};
const RINGING: Case = Case {
    name: "ringing",
    number: "40714000005",
    expected: &["support: joined, abandoned/hangup by member | 2004: offering missed(abandoned 487)"],
};
const ANSWERED: Case = Case {
    name: "answered during the cut",
    number: "40714000006",
    expected: &["sales: joined, success by member | 2006: offering answered bridged processing"],
};
const WAITING: Case =
    Case { name: "waiting", number: "40714000007", expected: &["sales: joined, abandoned/hangup by member"] };
const ABANDONED: Case = Case {
    name: "abandoned during the cut",
    number: "40714000008",
    expected: &["sales: joined, cancel/lost (synthetic)"],
};
const JUST_ANSWERED: Case = Case {
    name: "just answered",
    number: "40714000009",
    expected: &["support: joined, success by member | 2005: offering answered bridged processing"],
};
const BEGUN: Case = Case {
    name: "begun during the cut",
    number: "40714000010",
    expected: &["sales: joined (synthetic), abandoned/hangup by member"],
};
const BEGUN_AND_ANSWERED: Case = Case {
    name: "begun and answered during the cut",
    number: "40714000011",
    expected: &["support: joined (synthetic), success by member | 2007: offering answered bridged processing"],
};
const UNSEEN: Case = Case { name: "begun and ended during the cut", number: "40714000012", expected: &[] };

/// Cuts the link during calls in every stage.
pub(crate) fn link_cut(place: &Place) -> Vec<Row> {
    let line = Line::to(place.event_socket);
    let receiver = Receiver::start();
    let mut floor = Floor::open(place);
    let mut daemon = Daemon::start_as("hookswitch", place, line.port, &receiver);
    daemon.connected(1);

    before(&mut floor, &receiver);
    floor.until_second(CUT);
    line.cut();
    during(&mut floor);
    floor.until_second(MENDED);
    line.mend();
    daemon.connected(2);
    floor.until_over(&receiver);

    let cases = [
        HELD,
        TALKING,
        HUNG_UP,
        TRANSFERRED,
        RINGING,
        ANSWERED,
        WAITING,
        ABANDONED,
        JUST_ANSWERED,
        BEGUN,
        BEGUN_AND_ANSWERED,
        UNSEEN,
    ];
    cases.iter().map(|case| floor.judge(case, &receiver)).collect()
}

/// Each call reaches its stage. Those of `sales` wait, because nobody works there.
fn before(floor: &mut Floor<'_>, receiver: &Receiver) {
    // From second 20 or so of his talk to 40 of it.
    floor.agent("support", "agent_holds", 120, &["-d", "20000"]);
    floor.caller(&HELD, "4000", MENDED + 14);
    until(receiver, &HELD, "bridged");
    for (case, ends) in [(&TALKING, MENDED + 6), (&HUNG_UP, CUT + 4)] {
        floor.agent("support", "agent", 120, &[]);
        floor.caller(case, "4000", ends);
        until(receiver, case, "bridged");
    }
    floor.agent("support", "agent", CUT + 6, &[]);
    floor.caller(&TRANSFERRED, "4000", MENDED + 10);
    let bridged = until(receiver, &TRANSFERRED, "bridged");
    floor.agent("support", "agent_rings", 120, &[]);
    floor.caller(&RINGING, "4000", MENDED + 8);
    until(receiver, &RINGING, "offering");
    for (case, ends) in [(&ANSWERED, MENDED + 9), (&WAITING, MENDED + 7), (&ABANDONED, CUT + 2)] {
        floor.caller(case, "4001", ends);
        until(receiver, case, "joined");
    }
    floor.colleague();
    floor.until_second(CUT - 4);
    // The agent asks a colleague, and by hanging up connects him with the caller.
    let agent = bridged["agent_channel_id"].as_str().unwrap_or_default();
    floor.api(&format!("uuid_broadcast {agent} att_xfer::user/1010@127.0.0.1 aleg"));
    // The announcement to the agent keeps him from the caller until the link is cut.
    floor.agent("support", "agent", 120, &[]);
    floor.caller(&JUST_ANSWERED, "4007", MENDED + 11);
    until(receiver, &JUST_ANSWERED, "answered");
}

fn during(floor: &mut Floor<'_>) {
    floor.caller(&UNSEEN, "4001", CUT + 3);
    floor.until_second(CUT + 4);
    floor.agent("sales", "agent", 120, &[]);
    floor.until_second(CUT + 6);
    floor.caller(&BEGUN, "4001", MENDED + 12);
    floor.agent("support", "agent", 120, &[]);
    floor.caller(&BEGUN_AND_ANSWERED, "4000", MENDED + 13);
}

const LATER_HELD: Case = Case {
    name: "taken over: on hold",
    number: "40714100001",
    expected: &["support: joined, success by member, held 1 times | 2000: offering answered bridged processing"],
};
const LATER_TALKING: Case = Case {
    name: "taken over: talking",
    number: "40714100002",
    expected: &["support: joined, success by member | 2001: offering answered bridged processing"],
};
const LATER_RINGING: Case = Case {
    name: "taken over: ringing",
    number: "40714100003",
    expected: &["support: joined, abandoned/hangup by member | 2002: offering missed(abandoned 487)"],
};
const LATER_WAITING: Case = Case {
    name: "taken over: waiting, then answered",
    number: "40714100004",
    expected: &["sales: joined, success by member | 2003: offering answered bridged processing"],
};
const BOTH: Case = Case {
    name: "seen by both: answered",
    number: "40714100005",
    expected: &["support: joined, success by member | 2004: offering answered bridged processing"],
};
const BOTH_WAITING: Case = Case {
    name: "seen by both: abandoned",
    number: "40714100006",
    expected: &["sales: joined, abandoned/hangup by member"],
};

/// When the second daemon starts, in seconds of the plan.
const SECOND: u64 = 20;

/// Starts a second daemon while calls wait and talk, and compares what the two tell.
pub(crate) fn two_daemons(place: &Place) -> Vec<Row> {
    let (receiver, later) = (Receiver::start(), Receiver::start());
    let mut floor = Floor::open(place);
    let mut daemon = Daemon::start(place, &receiver);
    daemon.connected(1);
    floor.agent("support", "agent_holds", 120, &["-d", "14000"]);
    floor.caller(&LATER_HELD, "4000", SECOND + 16);
    until(&receiver, &LATER_HELD, "bridged");
    floor.agent("support", "agent", 120, &[]);
    floor.caller(&LATER_TALKING, "4000", SECOND + 12);
    until(&receiver, &LATER_TALKING, "bridged");
    floor.agent("support", "agent_rings", 120, &[]);
    floor.caller(&LATER_RINGING, "4000", SECOND + 10);
    until(&receiver, &LATER_RINGING, "offering");
    floor.caller(&LATER_WAITING, "4001", SECOND + 14);
    until(&receiver, &LATER_WAITING, "joined");

    floor.until_second(SECOND);
    let mut second = Daemon::start_as("second", place, place.event_socket, &later);
    second.connected(1);
    until(&later, &LATER_WAITING, "joined");
    floor.agent("sales", "agent", 120, &[]);
    until(&receiver, &LATER_WAITING, "bridged");
    floor.agent("support", "agent", 120, &[]);
    floor.caller(&BOTH, "4000", SECOND + 17);
    floor.caller(&BOTH_WAITING, "4001", SECOND + 13);
    floor.until_over(&receiver);

    let mut rows = Vec::new();
    for case in [LATER_HELD, LATER_TALKING, LATER_RINGING, LATER_WAITING, BOTH, BOTH_WAITING] {
        let mut row = floor.judge(&case, &receiver);
        row.differences.extend(apart(&receiver.of(case.number), &later.of(case.number)));
        rows.push(row);
    }
    rows
}

/// Every way in which the daemon that came later tells another story than the first one.
fn apart(first: &[Value], later: &[Value]) -> Vec<String> {
    let by_id = |moments: &[Value]| -> BTreeMap<String, Value> {
        moments.iter().map(|moment| (moment["id"].to_string(), moment.clone())).collect()
    };
    let (first, later) = (by_id(first), by_id(later));
    let taken_over = later.values().any(|moment| moment["event"] == "joined" && moment["synthetic"] == true);
    let mut found = Vec::new();
    for (id, moment) in &first {
        let event = &moment["event"];
        match later.get(id) {
            Some(same) if !taken_over && same != moment => found.push(format!("{event}: {moment} and later {same}")),
            Some(same) if same["event"] != *event => found.push(format!("{event} is later {}", same["event"])),
            Some(same) => println!("{event} ({}): {:?}", same["synthetic"], fields_apart(moment, same)),
            None => found.push(format!("{event} is not told by the later one")),
        }
    }
    found.extend(
        later.iter().filter(|(id, _)| !first.contains_key(*id)).map(|(_, moment)| format!("only later: {moment}")),
    );
    found
}

fn fields_apart(one: &Value, other: &Value) -> Vec<String> {
    let fields = one.as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| other[name.as_str()] != **value)
        .map(|(name, value)| format!("{name} {value} {}", other[name.as_str()]))
        .collect()
}
