//! The disk of the outbox is full for a while, or breaks.

use std::time::Duration;

use jiff::Timestamp;

use crate::oracle::Gap;
use crate::own_mounts::{self, FrailDisk, SmallDisk};
use crate::process::Process;
use crate::stage::Stage;

/// Room for all that a test stores, several times.
const DISK_MIB: u64 = 128;

/// How long the daemon's doings are measured while it can't write.
const MEASURED: Duration = Duration::from_secs(4);

/// The greatest share of a processor that a daemon may take that can't write. It reads events meanwhile, and what spins
/// takes a whole one.
const CPU_SHARE: f64 = 0.5;

/// The most memory that it may ever have: what waits in its channels, 8,192 events among it, takes some 60 MB.
const MEMORY_MB: u64 = 400;

const STALLED: &str = "the outbox can't write";
const WRITES_AGAIN: &str = "the outbox writes again";
const DROPPING: &str = "events are dropped";
const COMPARED: &str = "compared with what FreeSWITCH has";

/// As long as there is a place for what happens, it is as if the disk had been slow.
#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_disk_is_full_is_told_when_there_is_room_again() {
    if !own_mounts::are_ours("disks::what_happens_while_the_disk_is_full_is_told_when_there_is_room_again") {
        return;
    }
    let mut stage = Stage::open(2).await;
    let disk = SmallDisk::mount(&stage.state(), DISK_MIB);
    stage.start_daemon("");
    stage.daemon_is_settled_in().await;
    stage.wait(Duration::from_secs(1)).await;
    disk.fill();
    stage.daemon().says(STALLED).await;
    stays_calm(&mut stage).await;
    disk.make_room();
    stage.daemon().says(WRITES_AGAIN).await;
    stage.wait(Duration::from_secs(2)).await;
    assert!(!stage.daemon().said().contains(DROPPING), "the machine is too slow for this test");
    let findings = stage.conclude().await;
    assert_eq!(findings.interrupted, 0, "nothing has passed it by");
}

/// Then events are dropped, and the calls that they told of are compared with FreeSWITCH's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: `cargo test --test crash disks -- --ignored`"]
async fn when_the_disk_is_full_for_long_the_calls_are_compared_with_freeswitch() {
    if !own_mounts::are_ours("disks::when_the_disk_is_full_for_long_the_calls_are_compared_with_freeswitch") {
        return;
    }
    let mut stage = Stage::open(3).await;
    let disk = SmallDisk::mount(&stage.state(), DISK_MIB);
    stage.start_daemon("");
    stage.daemon_is_settled_in().await;
    stage.wait(Duration::from_secs(2)).await;
    let from = Timestamp::now();
    disk.fill();
    stage.daemon().says(DROPPING).await;
    stays_calm(&mut stage).await;
    disk.make_room();
    stage.daemon().says(WRITES_AGAIN).await;
    while stage.daemon().said().matches(COMPARED).count() < 2 {
        stage.wait(Duration::from_millis(100)).await;
    }
    stage.note(Gap { from, to: Timestamp::now() });
    stage.wait(Duration::from_secs(4)).await;
    assert_eq!(
        stage.daemon().said().matches("FreeSWITCH is connected").count(),
        1,
        "the connection was read all the time"
    );
    stage.conclude().await;
}

/// The kernel makes a disk read-only that has failed. A daemon that can't write asks for help, and another one can't begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_breaks_is_told_and_all_goes_on_when_it_is_mended() {
    const TEST: &str = "disks::a_disk_that_breaks_is_told_and_all_goes_on_when_it_is_mended";
    if !own_mounts::are_ours(TEST) {
        return;
    }
    let mut stage = Stage::open(4).await;
    let Some(disk) = FrailDisk::mount(TEST, stage.path("image"), DISK_MIB, &stage.state()) else { return };
    stage.start_daemon("");
    stage.daemon_is_settled_in().await;
    stage.wait(Duration::from_secs(2)).await;
    disk.fail();
    stage.daemon().says(STALLED).await;
    assert!(stage.daemon().said().contains("check the disk, and what the system's log says of it"));
    stays_calm(&mut stage).await;
    stage.stop_daemon().await;
    stage.start_daemon("");
    let (status, said) = (stage.daemon().ends().await, stage.daemon().said());
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("check that its file system is mounted for writing"), "{said}");
    disk.mend();
    stage.start_daemon("");
    stage.daemon_is_settled_in().await;
    stage.wait(Duration::from_secs(3)).await;
    assert!(stage.conclude().await.interrupted > 0, "no call was interrupted");
}

/// Holds a daemon that can't write to it that it takes neither processor nor memory nor the log.
async fn stays_calm(stage: &mut Stage) {
    let said = stage.daemon().said().matches(STALLED).count();
    let before = cpu_time(stage.daemon());
    stage.wait(MEASURED).await;
    let share = (cpu_time(stage.daemon()) - before).as_secs_f64() / MEASURED.as_secs_f64();
    let memory_mb = memory_mb(stage.daemon());
    println!("while it can't write: {share:.2} of a processor, {memory_mb} MB at most");
    assert!(share < CPU_SHARE, "{share} of a processor");
    assert!(memory_mb < MEMORY_MB, "{memory_mb} MB");
    assert_eq!(stage.daemon().said().matches(STALLED).count(), said, "it says so once");
}

/// The processor time that a process has taken.
fn cpu_time(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it lives");
    // Behind the program's name: the state is the third field, user and system time are the fourteenth and fifteenth.
    let fields = stat.rsplit_once(") ").expect("a name").1.split(' ');
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    // Linux tells programs of a hundred ticks a second, whatever its own clock does.
    Duration::from_millis(ticks * 10)
}

/// The most memory that a process ever had.
fn memory_mb(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}
