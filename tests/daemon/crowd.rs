//! Ten thousand calls at once.

use crate::place::{Nodes, Tale};
use crate::switch::Switch;

/// Every fiftieth goes while nobody listens.
const GONE: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_are_taken_over_and_compared_after_a_cut() {
    let (switch, place) = (Switch::start("core-1").await, Nodes::new());
    place.write(&[&switch.as_node("fs1", "")]);
    let numbers: Vec<_> = (10_000..20_000).map(|number| number.to_string()).collect();
    numbers.iter().for_each(|number| switch.join(number));
    let mut daemon = place.run();
    let mut tale = Tale::until(&mut daemon, |tale| tale.open("fs1") == numbers.len());
    switch.cut();
    numbers.iter().step_by(numbers.len() / GONE).for_each(|number| switch.vanish(number));
    tale.read_until(&mut daemon, |tale| tale.open("fs1") == numbers.len() - GONE);
    let gone: Vec<_> =
        numbers.iter().step_by(numbers.len() / GONE).map(|number| format!("{number} cancel lost")).collect();
    assert_eq!(tale.ends(), gone);
    // Nothing was taken for new that was known.
    assert_eq!(tale.of("fs1").count(), numbers.len() + GONE);
}
