//! What a person is shown of a bad configuration: each file in `tests/config/` has its drawing beside it.
//!
//! `HOOKSWITCH_BLESS=1 cargo test --test config` writes the drawings anew; read them before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use hookswitch::config::problem::Drawing;
use hookswitch::config::{Config, Problems};
use hookswitch::esl::command::Subscription;
use hookswitch::id::QueueName;
use hookswitch::moment::value::QueueType;
use proptest::prelude::*;

const DIRECTORY: &str = "tests/config";

fn problems(path: &Path) -> Problems {
    Config::load(path).expect_err(&path.display().to_string())
}

/// Compares the drawing of `path`'s problems with the one beside it.
fn check_drawing(path: &Path) -> Result<(), String> {
    let drawn = problems(path).draw(Drawing::Plain);
    let expected = path.with_extension("txt");
    if std::env::var_os("HOOKSWITCH_BLESS").is_some() {
        fs::write(&expected, &drawn).expect("the drawing is written");
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    if drawn == expected { Ok(()) } else { Err(format!("{}:\n{drawn}", path.display())) }
}

#[test]
fn every_bad_file_is_drawn_as_it_is_written_down() {
    let mut paths: Vec<PathBuf> = fs::read_dir(DIRECTORY)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| if path.is_dir() { path.join("hookswitch.toml") } else { path })
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    let different: Vec<String> = paths.iter().filter_map(|path| check_drawing(path).err()).collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn ten_problems_are_told_at_once() {
    assert!(problems(&Path::new(DIRECTORY).join("ten_at_once.toml")).count() >= 10);
}

#[test]
fn a_secret_is_never_drawn() {
    let problems = problems(&Path::new(DIRECTORY).join("nodes.toml"));
    for shown in [problems.draw(Drawing::Terminal), problems.to_string(), format!("{problems:?}")] {
        assert!(!shown.contains("show me"), "{shown}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let problems = problems(Path::new("tests/config/no/such/file.toml"));
    assert!(problems.to_string().starts_with("cannot read tests/config/no/such/file.toml: "), "{problems}");
}

#[test]
fn the_example_is_good() {
    let config = Config::load_without_secrets(Path::new("conf/hookswitch.toml")).unwrap_or_else(|e| panic!("{e}"));
    assert!(config.require_freeswitch().is_ok());
}

#[test]
fn files_beside_are_merged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hookswitch.toml");
    let further = directory.path().join("conf.d");
    fs::create_dir(&further).expect("a directory");
    let node = |name| format!("[[freeswitch]]\nname = '{name}'\naddress = 'localhost'\npassword = {{ file = 'pw' }}\n");
    fs::write(directory.path().join("pw"), "ClueCon\n").expect("written");
    fs::write(&path, node("a") + "[queues.q]\nvariables = { x = 1 }\n").expect("written");
    fs::write(further.join("b.toml"), node("b") + "[queues.q]\ntype = 'task'\nvariables = { y = 2 }\n")
        .expect("written");
    fs::write(further.join("ignored.txt"), "= = =").expect("written");

    let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let names: Vec<&str> = config.freeswitch.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.freeswitch[0].address, "localhost:8021");
    assert_eq!(config.freeswitch[0].password.expose(), "ClueCon");
    let queue = config.queue(&"q".into());
    assert_eq!(queue.settings.queue_type, QueueType::Task);
    assert_eq!(serde_json::Value::Object(queue.settings.variables.clone()), serde_json::json!({ "x": 1, "y": 2 }));
}

#[test]
fn a_node_is_asked_for_what_the_sources_of_the_queues_need() {
    let node = "[[freeswitch]]\nname = \"fs1\"\naddress = \"127.0.0.1\"\npassword = \"x\"\n";
    let subscription = |queues: &str| {
        let config = Config::from_toml("test", &format!("{node}{queues}")).expect("is good");
        config.freeswitch[0].subscription
    };
    let fifo = "[queues.desk]\nsource = \"fifo\"\n";
    let dialer = "[queues.sales]\ntype = \"progressive\"\nsource = \"channel\"\n";
    assert_eq!(subscription("[queues.\"*\"]\n"), Subscription::default());
    assert_eq!(subscription(fifo), Subscription { fifo: true, ..Subscription::default() });
    assert_eq!(subscription(&format!("{fifo}{dialer}")), Subscription { fifo: true, dialer: true, signals: false });
}

#[test]
fn the_most_specific_pattern_wins_key_by_key_and_hooks_add_up() {
    let config = Config::from_toml(
        "test.toml",
        r#"
        [flows.f]
        steps = [{ log = { message = "x" } }]
        [queues."*"]
        type = "offline"
        processing = false
        include = ["sip_*"]
        sla = "1m"
        variables = { a = 1, b = 1, c = 1 }
        hooks = [{ name = "general", event = "missed", flow = "f" }]
        [queues."support@*"]
        type = "preview"
        variables = { b = 2, c = 2 }
        [queues."support@default"]
        type = "task"
        exclude = ["secret_*"]
        variables = { c = 3 }
        hooks = [{ name = "own", event = "missed", flow = "f" }]
        "#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let queue = config.queue(&QueueName::new("support@default"));
    assert_eq!(queue.settings.queue_type, QueueType::Task);
    assert_eq!(queue.settings.processing, Some(false));
    assert_eq!(queue.settings.variable_filter.include, ["sip_*"]);
    assert_eq!(queue.settings.variable_filter.exclude, ["secret_*"]);
    assert_eq!(queue.settings.sla, Some(std::time::Duration::from_secs(60)));
    assert_eq!(
        serde_json::Value::Object(queue.settings.variables.clone()),
        serde_json::json!({ "a": 1, "b": 2, "c": 3 })
    );
    let ids: Vec<&str> = queue.hooks.iter().map(|hook| hook.id.as_str()).collect();
    assert_eq!(ids, ["*/general", "support@default/own"]);
    assert_eq!(config.queue(&"sales@x".into()).settings.queue_type, QueueType::Offline);
    assert_eq!(config.queue(&"support@x".into()).settings.queue_type, QueueType::Preview);
}

#[test]
fn thousands_of_clashing_patterns_are_refused_in_time() {
    let queue = |i: usize| {
        format!(
            "[queues.'*{i:04}']\ntype = '{}'\n[queues.'{i:04}*']\nsla = '{}s'\n",
            if i < 250 { "task" } else { "chat" },
            i + 1
        )
    };
    let text: String = (0..500).map(queue).collect();
    let problems = Config::from_toml("test.toml", &(text + "[queues.'*0x']\n")).err();
    assert!(problems.is_none(), "patterns that set different keys do not clash");
    let text: String =
        (0..500).map(|i| format!("[queues.'{i:04}*']\nsla = '1s'\n[queues.'*{i:04}']\nsla = '2s'\n")).collect();
    let problems = Config::from_toml("test.toml", &text).expect_err("refused");
    assert!(problems.count() <= 1_000);
    assert!(problems.draw(Drawing::Plain).contains("… and 900 more"));
}

#[test]
fn without_a_configuration_there_are_no_hooks() {
    let config = Config::default();
    assert!(config.queue(&"support@default".into()).hooks.is_empty());
    assert!(config.require_freeswitch().is_err());
    assert_eq!(config.delivery.retry.waits.len(), 7);
}

/// Reads it on a stack as a worker's has it; one that overflows ends the whole test program. Whatever is wrong is drawn.
fn read_by_a_worker(text: String) -> Result<(), String> {
    let read = move || {
        let problems = Config::from_toml("hookswitch.toml", &text).err()?;
        drop(problems.draw(Drawing::Terminal));
        problems.log();
        Some(problems.draw(Drawing::Plain))
    };
    let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(read).expect("a thread");
    worker.join().expect("no panic").map_or(Ok(()), Err)
}

#[test]
fn no_chain_of_operators_in_a_file_overflows_a_workers_stack() {
    for [before, repeated, after] in [
        ["", "-", "1"],
        ["", "not ", "1"],
        ["1", " + 1", ""],
        ["1", " ~ 1", ""],
        ["1", " and 1", ""],
        ["1", " < 1", ""],
        ["1", "|int", ""],
        ["event", ".a", ""],
        ["event", "[0]", ""],
        ["event", "()", ""],
        ["1", " is odd", ""],
        ["1", " if 1 else 1", ""],
        ["", "(", "1"],
        ["", "[", "1"],
    ] {
        let expression = format!("{before}{}{after}", repeated.repeat(9_000));
        let step = |step: &str| format!("[flows.f]\nsteps = [{{ {step} }}]\n");
        for text in [
            format!("[queues.q]\nhooks = [{{ event = 'joined', flow = 'f', when = '{expression}' }}]\n"),
            step(&format!("if = '{expression}', then = []")),
            step(&format!("switch = '{expression}', cases = {{}}")),
            step(&format!("set = {{ x = '{{{{ {expression} }}}}' }}")),
            step(&format!("log = {{ message = '<{{{{ {expression} }}}}>' }}")),
            step(&format!("http = {{ url = 'https://a.example/{{{{ {expression} }}}}' }}")),
            step(&format!("http = {{ url = 'https://a.example/', headers = {{ a = '{{{{ {expression} }}}}' }} }}")),
            step(&format!("wait = '{{{{ {expression} }}}}'")),
            step(&format!("log = {{ message = '{}{}' }}", "{% if 1 %}{% elif 1 %}".repeat(5_000), expression)),
        ] {
            let drawn = read_by_a_worker(text).expect_err("refused");
            let is_limit = ["longer than", "more than", "does not parse"].iter().any(|limit| drawn.contains(limit));
            assert!(is_limit, "{repeated}: {}", drawn.chars().rev().take(500).collect::<String>());
        }
    }
}

#[test]
fn no_nesting_of_values_overflows_a_workers_stack() {
    for [open, close] in [["[", "]"], ["{a=", "}"], ["[{a=", "}]"]] {
        for depth in [40, 100, 1_000, 100_000] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for text in [format!("x = {nested}"), format!("[flows.f]\nsteps = [{{ set = {{ x = {nested} }} }}]\n")] {
                drop(read_by_a_worker(text));
            }
        }
    }
    drop(read_by_a_worker(format!("{} = 1", vec!["a"; 100_000].join("."))));
    drop(read_by_a_worker(format!("[{}]", vec!["a"; 100_000].join("."))));
}

#[test]
fn a_fault_far_to_the_right_is_drawn() {
    for wide in ["x", "é", "日"] {
        for width in [65_530, 65_536, 140_000] {
            let wide = wide.repeat(width / wide.len());
            for fault in ["{{ nofield }}", "{{ 1|nofilter }}", "{{ é", "{% if", "{{ variables.x > 1 }}"] {
                let text = format!("flows.f.steps = [{{ log = {{ message = '{wide}{fault}' }} }}]\n");
                drop(read_by_a_worker(text).expect_err("refused"));
            }
        }
    }
}

/// A value of any shape, written as TOML has it.
fn toml_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z{}% .:/*?|\\\\]{0,20}".prop_map(|text| format!("'{text}'")),
        any::<i64>().prop_map(|integer| integer.to_string()),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
        Just("nan".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("'https://crm.example/{{ event }}'".to_owned()),
        Just("'joined'".to_owned()),
        Just("'f'".to_owned()),
        Just("'5s'".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(", "))),
            prop::collection::btree_map(toml_key(), inner, 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", members.join(", "))
            }),
        ]
    })
}

fn toml_key() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 27] = [
        "freeswitch",
        "outbox",
        "delivery",
        "queues",
        "agents",
        "flows",
        "name",
        "address",
        "password",
        "env",
        "file",
        "secrets",
        "timeout",
        "retry",
        "steps",
        "http",
        "log",
        "url",
        "json",
        "headers",
        "hooks",
        "event",
        "flow",
        "when",
        "type",
        "variables",
        "f",
    ];
    prop_oneof![4 => prop::sample::select(&KNOWN[..]).prop_map(ToOwned::to_owned), 1 => "'[a-z*?@]{0,6}'"]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(problems) = Config::from_toml("fuzz.toml", &text) {
            prop_assert!(!problems.draw(Drawing::Plain).is_empty());
        }
    }

    #[test]
    fn any_toml_is_read_or_refused(members in prop::collection::btree_map(toml_key(), toml_value(), 0..6)) {
        let text: String = members.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        if let Err(problems) = Config::from_toml("fuzz.toml", &text) {
            prop_assert!(!problems.draw(Drawing::Plain).is_empty());
        }
    }

    #[test]
    fn any_change_to_a_good_file_is_read_or_refused(
        from in any::<prop::sample::Index>(),
        length in 0_usize..60,
        value in prop_oneof![toml_value(), toml_key(), Just(String::new())],
    ) {
        let mut text: Vec<char> = fs::read_to_string("conf/hookswitch.toml").expect("the example").chars().collect();
        let from = from.index(text.len());
        let to = (from + length).min(text.len());
        text.splice(from..to, value.chars());
        if let Err(problems) = Config::from_toml("fuzz.toml", &String::from_iter(text)) {
            prop_assert!(!problems.draw(Drawing::Plain).is_empty());
        }
    }
}
