//! What the ring gives and takes: places, clips, states. Opaque where the ring does not look.

mod clip_state;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Reading;
use crate::units::{
    BlockNumber, BootTime, ByteCount, ClipId, EventId, Sequence, StreamNumber, WallTime,
};

pub use clip_state::{ClipState, Reason, Refusal, StateRequest, UnknownState};

/// Consecutive chunks of one clip in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where.
    pub block: BlockNumber,
    /// Which life of the block.
    pub life: Sequence,
    /// First page of the first chunk, in pages of 4 KiB from the beginning of the block.
    pub first_page: u32,
    /// Page behind the last chunk, in the same unit.
    pub end_page: u32,
    /// Number of the first chunk in the block.
    pub first_chunk: u32,
    /// How many chunks, parameter sets included.
    pub chunks: u32,
    /// Media chunks of the clip up to the end of this extent: what goes on behind it has this
    /// number in the clip. 0 for a table.
    pub clip_chunks: u32,
    /// Header checksum of the last chunk: what the next one names as its predecessor.
    pub seal: u32,
}

/// Where a chunk lies, and how its parts lie in it. The samples begin right behind the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Where.
    pub block: BlockNumber,
    /// Which life of the block: a later life is another stream's, and not read.
    pub life: Sequence,
    /// First page, in pages of 4 KiB from the beginning of the block.
    pub first_page: u32,
    /// Length of the header with tables and checksums, in bytes.
    pub header_length: u32,
    /// Length of the samples, in bytes.
    pub data_length: u32,
}

/// A chunk of a clip, as a reader needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipChunk {
    /// Where its samples are.
    pub place: ChunkPlace,
    /// Its parameter sets, as indices into [`ClipContents::parameters`]; what
    /// `TrackTable::parameters` counts.
    pub parameters: Vec<u16>,
    /// Its encoded sample table.
    pub table: Arc<[u8]>,
}

/// All chunks of a clip, in order, with the parameter sets that they use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClipContents {
    /// In the order of the clip.
    pub chunks: Vec<ClipChunk>,
    /// Encoded parameter sets in the order of their first use, each once.
    pub parameters: Vec<Arc<[u8]>>,
}

/// How a ring is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between flushes.
    pub flush_interval: Duration,
    /// Whether the samples of deleted clips are zeroed before their space is used again.
    pub wipe: bool,
}

/// Samples that may wait for the device, in bytes: eight cameras of 4 Mbit/s for 16 s, or what a
/// disk that wakes up keeps waiting.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Chunks that may wait: two hundred streams for 20 s.
pub const QUEUE_CHUNKS_MAX: usize = 8192;
/// Observations that may wait: sixty-four cameras that each lose something every minute, for a
/// quarter of an hour.
pub const QUEUE_OBSERVATIONS_MAX: usize = 1024;

/// What to make durable at once.
#[derive(Clone, Debug)]
pub struct NewChunk {
    /// The clip that it continues, from [`Writer::new_clip`](super::Writer::new_clip).
    pub clip: ClipId,
    /// The stream of the clip.
    pub stream: StreamNumber,
    /// Encoded parameter sets, in the order in which the table counts them.
    pub parameters: Vec<Arc<[u8]>>,
    /// Encoded sample table.
    pub table: Arc<[u8]>,
    /// The samples.
    pub data: Vec<u8>,
}

/// What happened, in the order in which it became true. Told on the writer's thread, which waits:
/// whoever listens takes a short lock at most.
#[derive(Clone, Debug)]
pub enum News {
    /// A clip has closed; its fact is durable.
    ClipClosed {
        /// Which.
        clip: ClipId,
        /// Whose.
        stream: StreamNumber,
        /// Its encoded fact.
        fact: Arc<[u8]>,
        /// What it takes on the device.
        used: Used,
        /// Where it was redated before: as [`News::ClipRedated`] has it.
        redating: Option<Arc<[u8]>>,
    },
    /// A state was set. Told when it is set; durable after the flush that follows.
    StateSet {
        /// Of which clip.
        clip: ClipId,
        /// The new state.
        state: ClipState,
    },
    /// A closed clip was recorded on a wrong clock, and its times are others from now on; durable.
    ClipRedated {
        /// Which.
        clip: ClipId,
        /// By how much, as [`Interpreter::redate`] encoded it.
        redating: Arc<[u8]>,
    },
    /// From this clip on a stream's clips take their times from these readings of the clocks.
    StreamTimed {
        /// Whose.
        stream: StreamNumber,
        /// The first of them.
        clip: ClipId,
        /// The clocks.
        timing: Timing,
    },
    /// A clip is gone.
    ClipGone {
        /// Which.
        clip: ClipId,
        /// Why.
        reason: Reason,
    },
    /// A stream's fact was set.
    StreamSet {
        /// Which.
        stream: StreamNumber,
        /// Its encoded fact.
        fact: Arc<[u8]>,
    },
    /// Something was said of a stream. Told when it is said; durable after the flush that follows.
    EventSet {
        /// Of which stream.
        stream: StreamNumber,
        /// Which event.
        event: EventId,
        /// What is known of it from now on; empty where it is withdrawn.
        fact: Arc<[u8]>,
    },
    /// A growing clip has got longer by chunks that a flush covers, or has ended.
    Grown {
        /// Which.
        clip: ClipId,
    },
}

/// What the ring asks of whoever knows what the bytes mean. Called on the writer's thread, or
/// while the ring is opened; must neither block nor call the [`Writer`](super::Writer).
pub trait Interpreter: Send {
    /// A chunk of a growing clip is durable. Told once for each, in order.
    fn chunk_durable(&mut self, clip: ClipId, chunk: &DurableChunk<'_>);

    /// The encoded sums over all chunks of `clip` told so far: at most
    /// [`GROWTH_BYTES_MAX`] are kept.
    fn growth(&mut self, clip: ClipId) -> Vec<u8>;

    /// After a restart: the sums of a growing clip as [`Interpreter::growth`] encoded them last;
    /// [`Interpreter::chunk_durable`] follows for the chunks behind them.
    fn resume(&mut self, clip: ClipId, stream: StreamNumber, growth: &[u8]);

    /// The clip has ended and all its chunks are durable: its encoded fact, or `None` where no
    /// chunk of it could be made sense of; it is then dropped.
    fn close_clip(&mut self, clip: ClipId, stream: StreamNumber, ending: Ending)
    -> Option<Vec<u8>>;

    /// A closed clip was recorded on a clock that was `shift_nanos` behind: what is to be said of
    /// it, encoded, or `None` where it can't be redated. Nothing can by one who does not say how.
    fn redate(&mut self, _clip: ClipId, _shift_nanos: i64) -> Option<Vec<u8>> {
        None
    }

    /// What is known of an event once `said` is added to what was known `before`; `None` where that
    /// says nothing new, or can't be understood. Nothing is by one who does not say how.
    fn event_said(&mut self, _before: Option<&[u8]>, _said: &[u8]) -> Option<EventSaid> {
        None
    }

    /// The ro-compat bits ([`Superblock`](super::Superblock)) that a program must know to write to
    /// a ring on which such a chunk is, or what will be said of its clip. What the first programs
    /// of version 1 knew needs none.
    fn features(&mut self, _table: &[u8], _parameters: &[Arc<[u8]>]) -> u64 {
        0
    }

    /// Divides a chunk so that the first part's samples take at most `data_bytes_max` bytes.
    ///
    /// # Errors
    /// The chunk itself where no sample fits.
    fn split(
        &mut self,
        chunk: NewChunk,
        data_bytes_max: usize,
    ) -> Result<(NewChunk, NewChunk), NewChunk>;

    /// The UUID and the name of a stream, for the headers of its blocks.
    fn describe(&self, stream: StreamNumber) -> ([u8; 16], String);

    /// A stream of which only its blocks speak any more: its encoded fact.
    fn stream_found(&mut self, stream: StreamNumber, found: &FoundStream) -> Vec<u8>;

    /// Something became true.
    fn news(&mut self, news: &News);

    /// A flush comes within [`FLUSH_NOTICE`]: whoever holds samples may hand them in now.
    fn flush_due(&mut self);
}

/// What is known of an event, as it is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSaid {
    /// When it began.
    pub start: WallTime,
    /// Encoded; at most [`EVENT_BYTES_MAX`], and not empty.
    pub fact: Vec<u8>,
}

/// The most that an event may take, in bytes.
pub const EVENT_BYTES_MAX: usize = 1024;

/// A chunk that a flush has covered.
#[derive(Clone, Copy, Debug)]
pub struct DurableChunk<'a> {
    /// The stream.
    pub stream: StreamNumber,
    /// Encoded parameter sets, in the order in which the table counts them.
    pub parameters: &'a [Arc<[u8]>],
    /// Encoded sample table.
    pub table: &'a [u8],
    /// BLAKE3 of the samples.
    pub digest: &'a [u8; 32],
}

/// What the headers of blocks say of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundStream {
    /// The number under which other rings know it.
    pub uuid: [u8; 16],
    /// Its last name.
    pub name: String,
    /// When the oldest of its blocks began.
    pub since: WallTime,
    /// When the newest of them began.
    pub last: WallTime,
}

/// How a clip ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its recorder ended it; `reason` is the recorder's, `length_nanos` the settled length
    /// from tick 0 on, where the recorder knows it.
    ByRecorder {
        /// `EndReason::code`.
        reason: u8,
        /// Settled length, in nanoseconds.
        length_nanos: Option<i64>,
    },
    /// The ring is being closed.
    Closed,
    /// Found growing when the ring was opened.
    Recovered,
    /// The ring needed the space of a growing clip.
    Evicted,
    /// The device refused a write.
    DeviceError,
}

/// How long before a flush [`Interpreter::flush_due`] is called.
pub const FLUSH_NOTICE: Duration = Duration::from_millis(100);

/// The most that [`Interpreter::growth`] and a stream's fact may take, in bytes: a fact has to
/// fit one ledger page beside its own header.
pub const GROWTH_BYTES_MAX: usize = 3072;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockFact {
    /// Wall-clock time.
    pub wall: WallTime,
    /// `CLOCK_BOOTTIME` at the same moment.
    pub boot: BootTime,
    /// Which boot.
    pub boot_id: [u8; 16],
}

impl From<&Reading> for ClockFact {
    fn from(reading: &Reading) -> ClockFact {
        let Reading { wall, boot, boot_id, .. } = *reading;
        ClockFact { wall, boot, boot_id }
    }
}

impl ClockFact {
    /// What the wall clock showed when the boot clock was 0, in nanoseconds since 1970: it changes
    /// where the wall clock is set, and never otherwise. The kernel slews both clocks alike.
    #[must_use]
    pub fn offset_nanos(&self) -> i64 {
        self.wall.0.saturating_sub(self.boot.0)
    }
}

/// Which reading of the clocks the times of clips come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A moment on both clocks: any other with the same difference says the same.
    pub clock: ClockFact,
    /// Whether the kernel called the wall clock synchronised.
    pub synchronised: bool,
}

impl Timing {
    /// Whether a clip that was timed by `next` behind one that was timed by this is as well timed
    /// by this: nobody has set the clock, and the kernel says no more of it than before.
    #[must_use]
    pub fn covers(&self, next: &Timing) -> bool {
        let apart = self.clock.offset_nanos().abs_diff(next.clock.offset_nanos());
        self.clock.boot_id == next.clock.boot_id
            && apart <= TIMING_NANOS_MAX
            && (self.synchronised || !next.synchronised)
    }
}

/// Two readings of clocks that nobody has set differ by less than this, in nanoseconds, unless the
/// process was kept from the processor between the one clock and the other.
const TIMING_NANOS_MAX: u64 = 5_000_000;

/// What a clip takes on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// In whole pages, headers included.
    pub bytes: ByteCount,
    /// Blocks that it has pages in; most of them have some of other clips, too.
    pub blocks: u32,
}

/// How full the ring is, in bytes of whole blocks unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All blocks.
    pub size: ByteCount,
    /// Blocks that clips, growing or closed, refer to.
    pub used: ByteCount,
    /// Part of `used`: chunks of clips that expire or are being purged, in pages.
    pub expiring: ByteCount,
    /// Part of `used`: blocks that kept clips refer to.
    pub kept: ByteCount,
    /// Blocks that nothing refers to.
    pub free: ByteCount,
    /// Blocks that refused a write or a read: not used again, and counted as used.
    pub bad_blocks: u32,
}
