//! A camera that closes after a few frames and is back at once, for days: what its sessions take is
//! given back.

#[path = "support/odd_camera.rs"]
mod odd_camera;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use odd_camera::{Login, OddCamera, Oddity, PASSWORD, USER};
use reelfs::camera::{Camera, Hosts, Received, connect};
use reelfs::clock::{Clock, SystemClock};
use tokio::runtime::Builder;

/// Frames of a session, one each five milliseconds.
const FRAMES: u64 = 3;
const RATE: u64 = 200;
/// Behind so many sessions everything has the size that it keeps.
const WARM: usize = 100;
const SESSIONS: usize = 500;
/// By how much live memory may grow from then on, in bytes: 40 a session.
const GROWTH_MAX: i64 = 16 << 10;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's, with a count of what lives of a thread: the camera is in this process, too.
struct Counting;

fn count(bytes: i64) {
    // A thread that ends has no count any more.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: the system's allocator does all of it; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the same contract as the system's.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the same contract as the system's.
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What this thread and this process have in use.
#[derive(Debug)]
struct Use {
    bytes: i64,
    tasks: usize,
    files: usize,
}

fn in_use() -> Use {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let files = std::fs::read_dir("/proc/self/fd").expect("it is there").count();
    Use { bytes: LIVE.get(), tasks, files }
}

/// Connects again and again, and takes each session to its end; what was in use in between, and
/// at the end.
async fn many_sessions(camera: &OddCamera) -> [Use; 2] {
    let login = (Some(USER.to_owned()), Some(PASSWORD.to_owned()));
    let from = Camera::new("cam", &camera.url(), login.0, login.1).expect("a URL");
    let (hosts, clock) = (Arc::new(Hosts::default()), Arc::new(SystemClock::new()));
    let mut warm = None;
    for session in 1..=SESSIONS {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let mut frames = connect(&from, &hosts, clock).await.expect("it is back at once");
        let mut count = 0;
        while let Ok(received) = frames.next().await {
            count += u64::from(matches!(received, Received::Frame(_)));
        }
        assert!((1..=FRAMES).contains(&count), "session {session}: {count} frames");
        frames.close().await;
        if session == WARM {
            warm = Some(in_use());
        }
    }
    [warm.expect("it came there"), in_use()]
}

/// Its threads end with their connections, and a few may be at it still.
const ENDING_MAX: usize = 8;

fn assert_level(oddity: Oddity) {
    let login = Some(Login::Basic);
    let frames_max = Some(FRAMES);
    let camera = OddCamera::start(Oddity { frames_max, rate: RATE, login, ..oddity });
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let [warm, end] = runtime.block_on(many_sessions(&camera));
    assert!(end.bytes - warm.bytes < GROWTH_MAX, "{warm:?}, then {end:?}");
    assert_eq!(end.tasks, warm.tasks);
    assert!(end.files <= warm.files + ENDING_MAX, "{warm:?}, then {end:?}");
}

#[test]
fn five_hundred_sessions_take_what_a_hundred_take() {
    assert_level(Oddity::default());
}

#[test]
fn five_hundred_sessions_over_datagrams_take_what_a_hundred_take() {
    assert_level(Oddity { udp_only: true, ..Oddity::default() });
}
