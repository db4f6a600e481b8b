//! Reading: a clip's chunks, and samples that are checked before anybody sees them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::blocks::BlockReader;
use super::chunk::{self, ChunkKind, UNIT_BYTES};
use super::error::ReadError;
use super::space::ClipRecord;
use super::state::{Counters, Shared};
use super::superblock::Superblock;
use super::types::{ChunkPlace, ClipContents, ClipState, Extent, Usage};
use super::under_way::{COPIES_OWED_MAX, TABLE_CHUNKS_MIN};
use super::walk::{self, Unwalkable};
use crate::device::{self, AlignedBuffer, Device};
use crate::units::{
    BlockNumber, ByteCount, ClipId, DeviceOffset, PAGE_BYTES, Sequence, StreamNumber,
};

/// A wanted piece that begins this close behind a chunk's beginning is read together with the
/// header, in bytes: one longer read is cheaper than two.
const READ_WITH_HEADER_BYTES: u32 = 128 << 10;
/// Chunks whose checksums are remembered, in each of two generations: about 1 MiB in all.
const CHECKSUMS_REMEMBERED: usize = 2048;
/// The longest table that is read, in bytes: a clip of an hour takes about one MiB.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// A ring that is open: its readable side.
pub struct Ring {
    pub(super) device: Arc<dyn Device>,
    pub(super) superblock: Superblock,
    pub(super) shared: Arc<RwLock<Shared>>,
    checksums: Mutex<Remembered>,
}

/// Unit checksums of chunks that were read lately: two generations, the older is dropped whole.
#[derive(Default)]
struct Remembered {
    young: HashMap<(Sequence, u32), Arc<[u32]>>,
    old: HashMap<(Sequence, u32), Arc<[u32]>>,
}

/// Samples, read and checked. Derefs to the bytes that were asked for.
pub struct Verified {
    buffer: AlignedBuffer,
    range: Range<usize>,
}

impl Deref for Verified {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

impl Remembered {
    fn get(&mut self, key: (Sequence, u32)) -> Option<Arc<[u32]>> {
        if let Some(found) = self.young.get(&key) {
            return Some(found.clone());
        }
        let found = self.old.remove(&key)?;
        self.put(key, found.clone());
        Some(found)
    }

    fn put(&mut self, key: (Sequence, u32), checksums: Arc<[u32]>) {
        if self.young.len() >= CHECKSUMS_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, checksums);
    }
}

impl Ring {
    pub(super) fn new(
        device: Arc<dyn Device>,
        superblock: Superblock,
        shared: Arc<RwLock<Shared>>,
    ) -> Ring {
        Ring { device, superblock, shared, checksums: Mutex::default() }
    }

    /// What this ring is.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Why nothing can be written, while the session waits for that to change.
    #[must_use]
    pub fn unwritable(&self) -> Option<String> {
        self.state().unwritable.clone()
    }

    /// How full it is.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.state().space.usage()
    }

    /// What the writer has done since the ring was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// The epoch of the last ledger pages that a flush covers: what is found on the device says
    /// at least this much ([`Inspection::epoch`](super::Inspection::epoch)), or is not this ring
    /// as it was left.
    #[must_use]
    pub fn ledger_epoch(&self) -> u64 {
        self.state().ledger_epoch
    }

    /// The last chunk of each growing clip that a flush covers: no fact may speak of it yet. What
    /// is found on the device has it ([`has_chunk`](super::Inspection::has_chunk)), or is not this
    /// ring as it was left.
    #[must_use]
    pub fn last_chunks(&self) -> Vec<(ClipId, ChunkPlace)> {
        let state = self.state();
        let last = state.growing.iter().filter_map(|(&clip, growing)| {
            growing.contents.chunks.last().map(|chunk| (clip, chunk.place))
        });
        last.collect()
    }

    /// How many clips are there that nobody can vouch for.
    #[must_use]
    pub fn clips_found(&self) -> usize {
        let state = self.state();
        state.space.clips().filter(|(_, record)| record.state == Some(ClipState::Found)).count()
    }

    /// Closed clips of more than one chunk without a table, oldest first: such as were growing when
    /// the power went. Of each stream as many as [`Writer::add_table`](super::Writer::add_table)
    /// takes, the newest.
    #[must_use]
    pub fn clips_without_table(&self) -> Vec<ClipId> {
        let state = self.state();
        let mut of_streams: HashMap<StreamNumber, VecDeque<ClipId>> = HashMap::new();
        for (clip, record) in state.space.clips().filter(|(_, record)| record.lacks_table()) {
            let chunks = record.extents.last().map_or(0, |extent| extent.clip_chunks);
            if (chunks as usize) < TABLE_CHUNKS_MIN {
                continue;
            }
            let newest = of_streams.entry(record.stream).or_default();
            newest.push_back(clip);
            if newest.len() > COPIES_OWED_MAX {
                newest.pop_front();
            }
        }
        let mut clips: Vec<ClipId> = of_streams.into_values().flatten().collect();
        clips.sort_unstable();
        clips
    }

    pub(super) fn reader(&self) -> BlockReader<'_> {
        BlockReader::new(&*self.device, &self.superblock)
    }

    fn state(&self) -> RwLockReadGuard<'_, Shared> {
        Shared::read(&self.shared)
    }

    /// All chunks of a closed clip, or those of a growing one that flushes cover. One or two
    /// device reads for a closed clip with a table, one or more for each chunk of one without,
    /// none for a growing clip.
    ///
    /// # Errors
    /// The clip is gone, a header is damaged, or the device failed.
    pub fn contents(&self, clip: ClipId) -> Result<ClipContents, ReadError> {
        let record = {
            let state = self.state();
            if let Some(growing) = state.growing.get(&clip) {
                return Ok(growing.contents.clone());
            }
            state.space.clip(clip).cloned()
        };
        let record = record.filter(is_readable).ok_or(ReadError::Gone(clip))?;
        if record.is_elsewhere() {
            return Err(ReadError::Elsewhere(clip));
        }
        for table in [&record.table, &record.table_copy] {
            if table.is_empty() {
                continue;
            }
            match self.read_table(clip, table) {
                Ok(contents) => return Ok(contents),
                Err(error) => log::warn!("{error}"),
            }
        }
        self.walk_clip(clip, &record)
    }

    fn read_table(&self, clip: ClipId, table: &[Extent]) -> Result<ClipContents, ReadError> {
        let damaged = |what: String| ReadError::Damaged(format!("table of clip {clip}: {what}"));
        let pages = |e: &Extent| u64::from(e.end_page.saturating_sub(e.first_page));
        if table.iter().map(pages).sum::<u64>() * PAGE_BYTES > TABLE_BYTES_MAX {
            return Err(damaged("too long".into()));
        }
        let mut encoded = Vec::new();
        for extent in table {
            let length = (pages(extent) * PAGE_BYTES) as usize;
            let bytes = self.reader().pages(extent.block, extent.first_page, length);
            let bytes = bytes.map_err(|source| failed(clip, source))?;
            let piece = table_piece(&bytes, extent, clip).ok_or_else(|| {
                damaged(format!("page {} of block {}", extent.first_page, extent.block))
            })?;
            encoded.extend_from_slice(piece);
        }
        ClipContents::decode(&encoded).map_err(|error| damaged(error.to_string()))
    }

    fn walk_clip(&self, clip: ClipId, record: &ClipRecord) -> Result<ClipContents, ReadError> {
        let walked = walk::contents_of(self.reader(), &record.extents);
        walked.map_err(|error| match error {
            Unwalkable::Device(source) => failed(clip, source),
            Unwalkable::Damaged { block, page } => {
                let place = format!("page {page} of block {block}");
                ReadError::Damaged(format!("clip {clip}: no chunk of it at {place}"))
            }
        })
    }

    /// Part of a chunk's samples, `range` in bytes from the first one. What is answered has been
    /// checked, and belonged to the clip when the device was read.
    ///
    /// # Errors
    /// The clip is gone, the bytes are not what was written, or the device failed.
    pub fn read(
        &self,
        clip: ClipId,
        place: &ChunkPlace,
        range: Range<u32>,
    ) -> Result<Verified, ReadError> {
        let read = self.try_read(clip, place, range);
        if matches!(read, Err(ReadError::Device { .. })) {
            let length = u64::from(place.header_length) + u64::from(place.data_length);
            let end_page = place.first_page + length.div_ceil(PAGE_BYTES) as u32;
            self.doubt(place.block, place.first_page..end_page);
        }
        read
    }

    fn try_read(
        &self,
        clip: ClipId,
        place: &ChunkPlace,
        range: Range<u32>,
    ) -> Result<Verified, ReadError> {
        let end = range.end.min(place.data_length);
        let range = range.start.min(end)..end;
        self.check_alive(clip, place)?;
        self.check_place(clip, place)?;
        let key = (place.life, place.first_page);
        let known = self.remembered().get(key);
        let first_unit = range.start / UNIT_BYTES;
        let start = u64::from(place.header_length) + u64::from(first_unit * UNIT_BYTES);
        let units_end = range.end.div_ceil(UNIT_BYTES).saturating_mul(UNIT_BYTES);
        let end = u64::from(place.header_length) + u64::from(units_end.min(place.data_length));
        let with_header = known.is_none() && first_unit * UNIT_BYTES <= READ_WITH_HEADER_BYTES;
        let first_page = start - start % PAGE_BYTES;
        let together = with_header.then(|| self.read_pages(place, 0..end)).and_then(Result::ok);
        let header_read = together.is_some();
        let (read_start, buffer) = match together {
            Some(buffer) => (0, buffer),
            // Also where it can't be read together: a bad sector between the two costs neither.
            None => {
                let read = self.read_pages(place, first_page..end);
                (first_page, read.map_err(|source| failed(clip, source))?)
            }
        };
        let checksums = match known {
            Some(checksums) => Ok(checksums),
            None => self.checksums_of(clip, place, header_read.then_some(&buffer)),
        };
        // First: another life's header is no damage.
        self.check_alive(clip, place)?;
        let checksums = checksums?;
        let within = |at: u64| (at - read_start) as usize;
        let units = &buffer[within(start)..within(end)];
        if let Some(unit) = chunk::first_damaged(&checksums, first_unit as usize, units) {
            return Err(ReadError::Damaged(format!(
                "clip {clip}: bytes {} on of the chunk at page {} of block {} are damaged",
                unit as u64 * u64::from(UNIT_BYTES),
                place.first_page,
                place.block
            )));
        }
        let data_start = u64::from(place.header_length);
        let wanted = data_start + u64::from(range.start)..data_start + u64::from(range.end);
        Ok(Verified { range: within(wanted.start)..within(wanted.end), buffer })
    }

    /// The device has refused to read these pages of a block. If it does so again, and reads
    /// elsewhere, the block is bad: what is in it stays, and no other footage shall come there.
    pub(super) fn doubt(&self, block: BlockNumber, pages: Range<u32>) {
        let is_told = {
            let state = self.state();
            state.space.is_bad(block) || state.unreadable.contains(&block)
        };
        let length = pages.len() * PAGE_BYTES as usize;
        if !is_told
            && self.reader().pages(block, pages.start, length).is_err()
            && device::read(&*self.device, DeviceOffset(0), PAGE_BYTES as usize).is_ok()
            && self.device.is_present()
        {
            Shared::write(&self.shared).unreadable.insert(block);
        }
    }

    /// The pages of a chunk that hold `range`, in bytes from its beginning; it begins on a page.
    fn read_pages(&self, place: &ChunkPlace, range: Range<u64>) -> io::Result<AlignedBuffer> {
        let page = place.first_page + (range.start / PAGE_BYTES) as u32;
        let length = ByteCount(range.end).rounded_up(PAGE_BYTES).0 - range.start;
        self.reader().pages(place.block, page, length as usize)
    }

    /// The checksums of a chunk, from its header: in `read` already, or read now.
    fn checksums_of(
        &self,
        clip: ClipId,
        place: &ChunkPlace,
        read: Option<&AlignedBuffer>,
    ) -> Result<Arc<[u32]>, ReadError> {
        let header = match read {
            Some(bytes) => chunk::decode(bytes),
            None => self
                .reader()
                .header_at(place.block, place.first_page)
                .map_err(|source| failed(clip, source))?,
        };
        let header = header.filter(|header| {
            let fixed = &header.fixed;
            fixed.life == place.life
                && fixed.clip == clip
                && fixed.header_length == place.header_length
                && fixed.data_length == place.data_length
        });
        let Some(header) = header else {
            return Err(ReadError::Damaged(format!(
                "clip {clip}: the chunk header at page {} of block {} is damaged",
                place.first_page, place.block
            )));
        };
        let checksums: Arc<[u32]> = Arc::from(header.unit_checksums);
        self.remembered().put((place.life, place.first_page), checksums.clone());
        Ok(checksums)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.checksums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place may come from a table on the device: what it says bounds what is read.
    fn check_place(&self, clip: ClipId, place: &ChunkPlace) -> Result<(), ReadError> {
        let length = u64::from(place.header_length) + u64::from(place.data_length);
        let end = u64::from(place.first_page) + length.div_ceil(PAGE_BYTES);
        if place.first_page > 0 && end <= u64::from(self.superblock.geometry.block_pages()) {
            return Ok(());
        }
        Err(ReadError::Damaged(format!("clip {clip}: no chunk can lie at {place:?}")))
    }

    fn check_alive(&self, clip: ClipId, place: &ChunkPlace) -> Result<(), ReadError> {
        let state = self.state();
        let listed =
            state.growing.contains_key(&clip) || state.space.clip(clip).is_some_and(is_readable);
        if listed && state.space.life(place.block) == Some(place.life) {
            Ok(())
        } else {
            Err(ReadError::Gone(clip))
        }
    }
}

fn failed(clip: ClipId, source: io::Error) -> ReadError {
    ReadError::Device { what: format!("clip {clip}"), source }
}

fn is_readable(record: &ClipRecord) -> bool {
    !record.is_purging()
}

/// The piece of a table that a chunk holds, checked.
fn table_piece<'a>(bytes: &'a [u8], extent: &Extent, clip: ClipId) -> Option<&'a [u8]> {
    let header = chunk::decode(bytes)?;
    let fixed = &header.fixed;
    if fixed.kind != ChunkKind::Table || fixed.life != extent.life || fixed.clip != clip {
        return None;
    }
    let start = fixed.header_length as usize;
    let data = bytes.get(start..start + fixed.data_length as usize)?;
    chunk::first_damaged(&header.unit_checksums, 0, data).is_none().then_some(data)
}
