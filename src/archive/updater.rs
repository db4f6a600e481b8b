//! On the ring's writer thread: adds up what becomes durable, seals clips, passes news on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use crate::catalogue::{Catalogue, Change, clip_key};
use crate::mp4;
use crate::ring::{
    ClipContents, DurableChunk, Ending, EventSaid, FoundStream, GROWTH_BYTES_MAX, Interpreter,
    LATER_FOOTAGE, NewChunk, News,
};
use crate::segment::{
    ChunkTable, ClipFact, EndReason, EntryFacts, EventFact, Growth, Malformed, NameForm,
    ParameterSet, Redating, StreamFact, StreamName, TrackKind, split,
};
use crate::units::{ClipId, ClipKey, RingNumber, StreamKey, StreamNumber, Ticks, WallTime};
use crate::zone::{Zone, is_shown_twice_anywhere};

/// Parameter sets whose facts are remembered; cameras have one each.
const ENTRIES_REMEMBERED: usize = 1024;

/// Who wants to know of changes. Called on the ring's writer thread, with no lock held: must
/// neither block nor call the ring's writer.
pub trait Listener: Send {
    /// The catalogue has changed.
    fn changed(&mut self, change: &Change);

    /// A flush comes: whoever holds samples may hand them in now.
    fn flush_due(&mut self);
}

/// Keeps the catalogue in step with a ring.
pub struct CatalogueUpdater {
    catalogue: Arc<RwLock<Catalogue>>,
    ring: RingNumber,
    listener: Box<dyn Listener>,
    zone: Zone,
    entries: HashMap<Arc<[u8]>, EntryFacts>,
}

impl CatalogueUpdater {
    /// An updater that writes what becomes of `ring` into `catalogue` and tells `listener`.
    #[must_use]
    pub fn new(
        catalogue: Arc<RwLock<Catalogue>>,
        ring: RingNumber,
        listener: Box<dyn Listener>,
    ) -> CatalogueUpdater {
        CatalogueUpdater { catalogue, ring, listener, zone: Zone::UTC, entries: HashMap::new() }
    }

    /// The same, for names in `zone`. It matters where the time zone database does not have it:
    /// what clocks show twice has names of its own, in every zone that may ever be configured.
    #[must_use]
    pub fn naming_in(self, zone: Zone) -> CatalogueUpdater {
        CatalogueUpdater { zone, ..self }
    }

    fn stream_key(&self, stream: StreamNumber) -> StreamKey {
        StreamKey { ring: self.ring, stream }
    }

    fn settle_name(&self, clip: ClipKey, stream: StreamKey, start: WallTime) -> NameForm {
        let is_shown_twice = self.zone.shows_twice(start) || is_shown_twice_anywhere(start);
        self.catalogue().settle_name(clip, stream, start, is_shown_twice)
    }

    fn catalogue(&self) -> RwLockWriteGuard<'_, Catalogue> {
        self.catalogue.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&mut self, set: &Arc<[u8]>) -> Result<EntryFacts, Malformed> {
        if let Some(known) = self.entries.get(set) {
            return Ok(known.clone());
        }
        let facts = mp4::entry_facts(set)?;
        if self.entries.len() >= ENTRIES_REMEMBERED {
            self.entries.clear();
        }
        self.entries.insert(set.clone(), facts.clone());
        Ok(facts)
    }

    fn add(&mut self, clip: ClipId, chunk: &DurableChunk<'_>) -> Result<(), Malformed> {
        let table = ChunkTable::decode(chunk.table)?;
        let entries =
            chunk.parameters.iter().map(|set| self.entry(set)).collect::<Result<Vec<_>, _>>()?;
        let (clip, stream) = (clip_key(self.ring, clip)?, self.stream_key(chunk.stream));
        self.catalogue().grow(clip, stream, &table, chunk.digest, &entries);
        Ok(())
    }
}

impl Interpreter for CatalogueUpdater {
    fn chunk_durable(&mut self, clip: ClipId, chunk: &DurableChunk<'_>) {
        if let Err(error) = self.add(clip, chunk) {
            log::error!("clip {clip}: a chunk that can't be shown: {error}");
        }
    }

    fn growth(&mut self, clip: ClipId) -> Vec<u8> {
        let catalogue = self.catalogue();
        let growing = ClipKey::new(self.ring, clip).and_then(|clip| catalogue.growing(clip));
        let encoded = growing.map(|(_, growth)| growth.encode()).unwrap_or_default();
        if encoded.len() > GROWTH_BYTES_MAX { Vec::new() } else { encoded }
    }

    fn resume(&mut self, clip: ClipId, stream: StreamNumber, growth: &[u8]) {
        let sums = clip_key(self.ring, clip).and_then(|key| Ok((key, Growth::decode(growth)?)));
        match sums {
            Ok((key, growth)) => self.catalogue().resume(key, self.stream_key(stream), growth),
            Err(error) => log::error!("clip {clip}: its sums are lost: {error}"),
        }
    }

    fn close_clip(
        &mut self,
        clip: ClipId,
        stream: StreamNumber,
        ending: Ending,
    ) -> Option<Vec<u8>> {
        let (clip, stream) = (ClipKey::new(self.ring, clip)?, self.stream_key(stream));
        let (_, growth) = self.catalogue().end_growing(clip)?;
        if growth.tracks.is_empty() {
            return None;
        }
        let name_form = self.settle_name(clip, stream, growth.start);
        let fact = Arc::new(fact_of(growth, ending, name_form));
        self.catalogue().ended(clip, stream, fact.clone());
        Some(fact.encode())
    }

    fn redate(&mut self, clip: ClipId, shift_nanos: i64) -> Option<Vec<u8>> {
        let key = ClipKey::new(self.ring, clip)?;
        let (stream, start) = {
            let catalogue = self.catalogue();
            let known = catalogue.clip(key)?;
            (known.stream, known.fact.start.plus_nanos(shift_nanos))
        };
        let name_form = self.settle_name(key, stream, start);
        Some(Redating { shift_nanos, name_form }.encode())
    }

    fn event_said(&mut self, before: Option<&[u8]>, said: &[u8]) -> Option<EventSaid> {
        let said = EventFact::decode(said).inspect_err(|e| log::error!("an event: {e}")).ok()?;
        // What can't be understood any more makes room for what can.
        let before = before.and_then(|before| EventFact::decode(before).ok());
        let known = before.as_ref().map_or_else(|| said.clone(), |before| before.with(&said));
        let is_news = before.as_ref() != Some(&known);
        is_news.then(|| EventSaid { start: known.start, fact: known.encode() })
    }

    fn features(&mut self, table: &[u8], parameters: &[Arc<[u8]>]) -> u64 {
        let is_flawed = || ChunkTable::decode(table).is_ok_and(|table| table.is_flawed());
        let is_later = |set: &Arc<[u8]>| {
            ParameterSet::decode(set).is_ok_and(|parameters| parameters.is_later())
        };
        let needed = parameters.iter().any(is_later) || is_flawed();
        if needed { LATER_FOOTAGE } else { 0 }
    }

    fn split(
        &mut self,
        chunk: NewChunk,
        data_bytes_max: usize,
    ) -> Result<(NewChunk, NewChunk), NewChunk> {
        let parts = ChunkTable::decode(&chunk.table)
            .ok()
            .and_then(|table| split(&table, &chunk.data, data_bytes_max));
        let Some((first, second)) = parts else { return Err(chunk) };
        let part = |(table, data): (ChunkTable, Vec<u8>)| NewChunk {
            clip: chunk.clip,
            stream: chunk.stream,
            parameters: chunk.parameters.clone(),
            table: table.encode().into(),
            data,
        };
        Ok((part(first), part(second)))
    }

    fn describe(&self, stream: StreamNumber) -> ([u8; 16], String) {
        let catalogue = self.catalogue();
        let fact = catalogue.stream(self.stream_key(stream));
        fact.map_or(([0; 16], String::new()), |fact| (fact.uuid, fact.name().to_owned()))
    }

    fn stream_found(&mut self, _: StreamNumber, found: &FoundStream) -> Vec<u8> {
        let name = StreamName { name: found.name.clone(), since: found.since };
        let (uuid, names) = (found.uuid, vec![name]);
        StreamFact { uuid, names, retain_nanos: None, removed: None, switch: None }.encode()
    }

    fn news(&mut self, news: &News) {
        let change = self.catalogue().apply(self.ring, news);
        match change {
            Ok(Change::Nothing) => {}
            Ok(change) => self.listener.changed(&change),
            Err(error) => log::error!("a fact that can't be understood: {error}"),
        }
    }

    fn flush_due(&mut self) {
        self.listener.flush_due();
    }
}

/// What a clip came to. The last sample's duration is settled here, and never after.
pub(super) fn fact_of(growth: Growth, ending: Ending, name_form: NameForm) -> ClipFact {
    let (end_reason, length_nanos) = match ending {
        Ending::ByRecorder { reason, length_nanos } => (EndReason::from_code(reason), length_nanos),
        Ending::Closed => (EndReason::Stopped, None),
        Ending::Recovered => (EndReason::Recovered, None),
        Ending::Evicted => (EndReason::Evicted, None),
        Ending::DeviceError => (EndReason::DeviceError, None),
    };
    let mut growth = growth;
    for track in &mut growth.tracks {
        if track.kind == TrackKind::Video
            && let Some(length) = length_nanos
        {
            // The video goes on to where the next clip begins; audio ends with its last packet.
            track.end = Ticks::from_nanos(length, track.timescale).max(track.start);
        }
    }
    let mut fact = growth.closed(mp4::OUTPUT_VERSION, name_form, end_reason);
    if let Some(length) = length_nanos {
        // To the nanosecond where the next clip begins, which ticks may not be able to say.
        fact.end = fact.start.plus_nanos(length.max(0));
    }
    fact
}

/// The sums over the chunks of a clip that is still open; `None` where it has none.
pub(super) fn growth_of(contents: &ClipContents) -> Result<Option<Growth>, Malformed> {
    let entries = contents
        .parameters
        .iter()
        .map(|set| mp4::entry_facts(set))
        .collect::<Result<Vec<_>, _>>()?;
    let mut sums: Option<Growth> = None;
    for chunk in &contents.chunks {
        let table = ChunkTable::decode(&chunk.table)?;
        let used: Vec<EntryFacts> = chunk
            .parameters
            .iter()
            .filter_map(|index| entries.get(usize::from(*index)).cloned())
            .collect();
        // A snapshot has no digest of its own: that of a clip is settled when it closes.
        sums.get_or_insert_with(|| Growth::new(&table)).add(&table, &[0; 32], &used);
    }
    Ok(sums)
}
