//! Who the agents are, as FreeSWITCH's directory says.

use crate::place::Nodes;
use crate::process::program;
use crate::switch::Switch;

const NAMES: &str = "[agents.\"*\"]\nid = { directory = \"crm_id\" }\nextension = { directory = \"extension\" }\n";

/// A FreeSWITCH with agents of all kinds, some of them hostile.
async fn staffed() -> Switch {
    let switch = Switch::start("core-1").await;
    for (name, contact) in [
        ("smith", "[leg_timeout=7]user/1000@pbx.example"),
        ("jones", "sofia/internal/1001@pbx.example:5060"),
        ("1002@pbx.example", "loopback/1002/default"),
        ("brown", "user/1003@pbx.example"),
        ("a\n\napi shutdown\n\n@pbx.example", ""),
        ("x y;z|w@pbx.example", "user/x y;z|w@pbx.example"),
        ("10203040-5060-4708-8090-100200300400", "user/1004"),
    ] {
        switch.add_agent(name, contact);
    }
    for (question, answer) in [
        ("1000@pbx.example var crm_id", "17"),
        ("1000@pbx.example var extension", "6000"),
        ("1001@pbx.example var crm_id", ""),
        ("1001@pbx.example param crm_id", "18\n"),
        ("1002@pbx.example var crm_id", "-ERR what?\n"),
        ("1003@pbx.example var crm_id", "not a number"),
    ] {
        switch.say_of_user(question, answer);
    }
    switch
}

fn assert_harmless(switch: &Switch) {
    let asked = switch.asked();
    assert!(asked.len() > 4, "{asked:?}");
    for question in asked {
        let words: Vec<_> = question.split(' ').collect();
        let [user, "var" | "param", "crm_id" | "extension"] = words[..] else { panic!("{question:?}") };
        let (user, domain) = user.split_once('@').expect("a user of a domain");
        assert!(user.starts_with("100") && domain == "pbx.example", "{question:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_an_agent_is_is_read_in_freeswitchs_directory() {
    let (switch, place) = (staffed().await, Nodes::new());
    place.write_with(
        &[&switch.as_node("fs1", "")],
        NAMES,
        "agent {{ agent_name }} {{ agent_id or '-' }} {{ agent_extension or '-' }}.",
    );
    let mut daemon = place.run();
    daemon.says("compared with");
    switch.join("2001");
    for agent in ["smith", "jones", "brown"] {
        switch.offer("2001", agent);
        switch.fail("2001", agent);
    }
    daemon.has_said(&["agent smith 17 6000.", "agent jones 18 1001.", "agent brown - 1003."]);
    assert_harmless(&switch);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_lists_the_agents_without_an_agent_id() {
    let (switch, place) = (staffed().await, Nodes::new());
    place.write_with(&[&switch.as_node("fs1", "")], NAMES, "x");
    let mut command = program();
    command.args(["check", "--connect", "--config"]).arg(place.config());
    let done = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
    let said = String::from_utf8(done.stdout).expect("UTF-8");
    assert_eq!(done.status.code(), Some(0), "{said}");
    let line = said.lines().find(|line| line.contains("No `agent_id` is known")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("of 4 agents: ") && line.contains("brown") && line.contains("10203040-5060"), "{line}");
    assert!(!line.contains("smith") && !line.contains("jones") && !line.contains("1002@"), "{line}");
    assert_harmless(&switch);
}
