//! What is told when the link was cut for ten seconds, and by a daemon that came later than another.

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
    name: "in a transfer",
    number: "40714000004",
    expected: &["support: joined, success to 1010 (synthetic) | 2003: offering answered bridged"],
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
