//! What the daemon says of itself, and a ring of which none runs: the content of `.status.json` and
//! of `.metrics`.
//! Pure; times are RFC 3339 in UTC, lengths in seconds, sizes in bytes.

mod fill;
mod forecast;
mod metrics;
mod wrong;

use std::collections::BTreeMap;

pub use fill::{camera_totals, device_status, ring_status};
pub use forecast::{foresee, unkept};
pub use metrics::{Counted, Exposition, Kind, metrics};

use serde::{Deserialize, Serialize};

/// The form of what is said, which `schema.json` describes: it grows by one where a name goes, or
/// means something else. Names that come change nothing for who does not know them.
pub const SCHEMA: u32 = 1;

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    #[serde(default)]
    pub schema: u32,
    /// Version of the program that says it.
    pub version: String,
    /// Whether a daemon runs on the ring.
    pub running: bool,
    /// What is wrong now, in a line each; see [`Status::troubles`].
    #[serde(default)]
    pub wrong: Vec<String>,
    /// What will be wrong if nothing changes, in a line each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// When it was said.
    pub at: String,
    /// For how long the daemon has been running, in seconds.
    pub uptime_seconds: Option<u64>,
    /// The settings in force, where a daemon runs.
    #[serde(default)]
    pub settings: Option<SettingsStatus>,
    /// The views, in the order of the configuration, where a daemon runs.
    #[serde(default)]
    pub views: Vec<ViewStatus>,
    /// The ring.
    pub ring: RingStatus,
    /// The device below it, as the daemon finds it.
    pub device: DeviceStatus,
    /// Why nothing expires at present, if so.
    pub expiry_suspended: Option<String>,
    /// What is amiss with the clock, if footage lies in the future.
    #[serde(default)]
    pub footage_ahead: Option<String>,
    /// The background scrub, where a daemon runs one.
    #[serde(default)]
    pub scrub: Option<ScrubStatus>,
    /// Streams in the order of the configuration; those that have left it behind them.
    pub cameras: Vec<CameraStatus>,
}

/// The settings in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsStatus {
    /// The configuration.
    pub file: String,
    /// When it was taken, as it was then.
    pub since: String,
    /// Why it was not taken since, as it is now.
    pub refused: Option<String>,
    /// Keys that have changed since the daemon started, and take effect when it is started again.
    pub at_restart: Vec<String>,
}

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewStatus {
    /// Where it is mounted.
    pub mount: String,
    /// Its layout, as it is configured.
    pub layout: String,
    /// The time zone that is configured for it.
    pub zone: String,
    /// The cameras that it shows, as they are configured; empty where it shows all of them.
    pub cameras: Vec<String>,
    /// Whether nothing can be changed through it.
    pub read_only: bool,
    /// Whether it is mounted: nobody has unmounted it.
    pub mounted: bool,
}

/// The ring.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RingStatus {
    /// The device or file.
    pub device: String,
    /// Its UUID, in the text form of RFC 9562.
    pub uuid: String,
    /// Its label.
    pub label: String,
    /// All blocks, in bytes.
    pub size_bytes: u64,
    /// Blocks with footage, in bytes.
    pub used_bytes: u64,
    /// Removed footage that is not purged yet, in bytes.
    pub expiring_bytes: u64,
    /// Blocks of kept footage, in bytes.
    #[serde(default)]
    pub kept_bytes: u64,
    /// What those may come to, in bytes, where a daemon runs.
    #[serde(default)]
    pub keep_max_bytes: Option<u64>,
    /// Blocks without footage, in bytes.
    pub free_bytes: u64,
    /// Blocks that refused a write or a read, and are not used any more.
    pub bad_blocks: u32,
    /// When the oldest footage begins, that of growing clips included.
    pub oldest: Option<String>,
    /// Age of the oldest footage, in seconds: the retention that is achieved.
    pub retention_seconds: Option<u64>,
    /// How old footage will be when it makes room for new, at the rates of the last day, in
    /// seconds; nothing where all of it expires before, or too little was recorded to tell.
    #[serde(default)]
    pub forecast_seconds: Option<u64>,
    /// Number of closed clips, removed ones not counted.
    pub clips: u64,
    /// Clips evicted since the daemon started.
    pub evicted: u64,
    /// Events forgotten since the daemon started, because there was no room for more.
    #[serde(default)]
    pub events_dropped: u64,
    /// Reads, writes and flushes of the device that failed since the daemon started.
    pub device_errors: u64,
    /// Writes to the device since the daemon started.
    pub writes: u64,
    /// Bytes in them.
    pub written_bytes: u64,
    /// Flushes since the daemon started.
    pub flushes: u64,
}

/// The device. Counts are since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// `present`; `read-only` where nothing can be written; `failing` where it takes no flush;
    /// `stalled` where it does not answer; `gone`; `unknown` where no daemon runs.
    pub state: String,
    /// For how long it has been stalled or gone, in seconds.
    pub since_seconds: Option<u64>,
    /// Why what is in its place is not used, while it is gone.
    pub refused: Option<String>,
    /// Why nothing can be written, where the ring is served read-only.
    pub unwritable: Option<String>,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Flushes that failed.
    pub flush_errors: u64,
}

/// The background scrub, since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Part of the ring that the present pass has been through, in percent.
    pub progress_percent: f64,
    /// When the last pass was complete.
    pub last_complete: Option<String>,
    /// Chunks tried.
    pub chunks: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Places that are damaged.
    pub damaged: u64,
    /// The latest of them, the newest last.
    pub latest: Vec<ScrubFinding>,
}

/// A damaged place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubFinding {
    /// When it was found.
    pub at: String,
    /// The camera.
    pub camera: String,
    /// The clip, as `session.counter`.
    pub clip: String,
    /// When what is hit begins.
    pub from: String,
    /// When it ends.
    pub to: String,
    /// Block of the ring.
    pub block: u32,
    /// Page of 4 KiB, from the beginning of the block.
    pub page: u32,
    /// What is wrong.
    pub found: String,
}

/// What keeps a camera from being recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraErrorStatus {
    /// `away` where it does not answer, or has nothing to record; `busy` where it has no room for
    /// another guest; `denied` where it refuses the login; `ended` where it ended the session.
    pub kind: String,
    /// In a line.
    pub text: String,
    /// When it failed first since it was recorded last.
    pub since: Option<String>,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// Its name.
    pub name: String,
    /// `recording`, `connecting`, `waiting for a key frame`, `waiting`, `stopped`, `disabled` by
    /// the configuration, or `removed` where it has left that.
    pub state: String,
    /// Why it waits, and for how long.
    pub reason: Option<String>,
    /// What keeps it from being recorded, while it waits.
    #[serde(default)]
    pub error: Option<CameraErrorStatus>,
    /// Since the last frame, in seconds.
    pub last_frame_age_seconds: Option<f64>,
    /// Frames stored since the daemon started.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Frames that were not stored since the daemon started, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Times without footage, or with damaged footage, since the daemon started, by what they
    /// were: `dropped`, `lost`, `damaged`, `disconnected`, `time jump`, `pause`.
    #[serde(default)]
    pub gaps: BTreeMap<String, u64>,
    /// Frames stored since the daemon started that follow a lost one, and may look like it.
    #[serde(default)]
    pub damaged: u64,
    /// RTP packets that did not arrive.
    pub lost_packets: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Attempts in a row that failed.
    #[serde(default)]
    pub tries: u64,
    /// Over what its packets came last: `TCP` or `UDP`; empty before the first session.
    #[serde(default)]
    pub transport: String,
    /// What it says that it is; empty where it says nothing.
    #[serde(default)]
    pub server: String,
    /// What its sound is, and how it is stored where that is another coding; empty where there is
    /// none.
    #[serde(default)]
    pub sound: String,
    /// What tells when its frames were captured: `sender reports`, where they are sane, or
    /// `arrival`; empty before the first session.
    #[serde(default)]
    pub clock: String,
    /// Closed clips on the ring, removed ones not counted.
    pub clips: u64,
    /// Space that they take, in bytes.
    pub used_bytes: u64,
    /// When the oldest footage begins, that of the growing clip included.
    pub oldest: Option<String>,
    /// Age of that, in seconds: the retention that is achieved.
    pub retention_seconds: Option<u64>,
    /// The retention that is asked for, in seconds.
    pub retain_seconds: Option<u64>,
    /// What its footage of the last day takes a second, in bytes; nothing where that is less than
    /// ten minutes.
    #[serde(default)]
    pub bytes_per_second: Option<f64>,
    /// Events that are known of it.
    #[serde(default)]
    pub events: u64,
    /// What of it would go at once, and is held until somebody confirms it, in bytes.
    #[serde(default)]
    pub held_bytes: u64,
}
