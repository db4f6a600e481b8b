//! Each clip: the chain of its chunks against its extents, its table and what is indexed of it
//! against the chain, and whether all of it makes a file.

use std::collections::HashMap;
use std::sync::Arc;

use super::finding::{Cost, Finding, Place};
use super::names::{Span, span_of, span_of_table};
use super::{Checker, Phase};
use crate::archive::fact_in_force;
use crate::mp4::{Chunk, Movie};
use crate::ring::{
    ChunkKind, ClipContents, ClipRecord, Depth, Extent, Fault, Tried, TriedChunk, Wrong,
};
use crate::segment::{ChunkTable, ClipFact, Growth, Pauses, TrackTotals};
use crate::units::{ByteCount, ClipId, PAGE_BYTES};

/// Something wrong with a clip, and the time of the footage that it hits where that is known.
struct Hit {
    extent: Extent,
    fault: Fault,
    /// Beginning and end; what is known of each.
    from: Option<Span>,
    to: Option<Span>,
    /// It is a parameter set that is hit.
    is_set: bool,
}

/// A clip as its blocks have it.
#[derive(Default)]
struct Walked {
    contents: ClipContents,
    sums: Option<Growth>,
    hits: Vec<Hit>,
    /// A table that can't be understood, by its chunk.
    malformed: Option<String>,
    chunks: u64,
    /// The number in the clip of its next chunk.
    media: u32,
    /// The next chunk is the first of its extent, or something was lost before it.
    begins_extent: bool,
    last: Option<Span>,
}

impl Checker<'_> {
    pub(super) fn check_clips(&mut self) {
        let all = self.inspection.clips();
        let readable = all.filter(|(_, record)| !record.is_purging());
        let mut clips: Vec<(ClipId, ClipRecord)> =
            readable.map(|(clip, record)| (clip, record.clone())).collect();
        // In the order of the device, so that a spinning disk goes forward.
        clips.sort_by_key(|(_, record)| record.extents.first().map(|e| (e.block, e.first_page)));
        let count = clips.len() as u64;
        for (number, (clip, record)) in (0..).zip(clips) {
            self.step(Phase::Clips, number, count);
            self.check_clip(clip, &record);
        }
    }

    fn check_clip(&mut self, clip: ClipId, record: &ClipRecord) {
        if record.is_elsewhere() {
            // What it has lies elsewhere; that is no damage here.
            self.report.clips += 1;
            return;
        }
        let walked = self.walk(clip, record);
        self.report.clips += u64::from(record.state.is_some());
        self.report.chunks += walked.chunks;
        let fact = record.state.and_then(|_| fact_in_force(record).ok());
        let tables = self.tables(clip, record);
        let opens = |contents: &ClipContents| fact.as_ref().map(|fact| opened(fact, contents));
        // Readers take the first that is sound.
        let opens_by_table = tables.first().is_some_and(|(_, table)| opens(table) == Some(Ok(())));
        if walked.hits.is_empty() && walked.malformed.is_none() {
            self.check_whole(clip, record, &walked, fact.as_ref());
            for (first, table) in &tables {
                if *table != walked.contents {
                    self.tell_other_table(clip, first);
                }
            }
            self.check_indexed(clip, &walked.contents);
        } else if let Some(found) = &walked.malformed {
            let place = Place::of("clip").with_clip(clip);
            let expected = "sample tables that can be understood".into();
            let cost = self.names.loss(clip, record, None);
            self.tell(Finding { place, found: found.clone(), expected, cost });
        }
        for hit in walked.hits {
            self.tell_hit(clip, record, &hit, opens_by_table || record.state.is_none());
        }
    }

    /// The clip's table and its copy, those of them that are sound, each with its first extent.
    fn tables(&mut self, clip: ClipId, record: &ClipRecord) -> Vec<(Extent, ClipContents)> {
        let mut sound = Vec::new();
        for table in [&record.table, &record.table_copy] {
            let Some(first) = table.first() else { continue };
            match self.inspection.table(clip, table) {
                Ok(contents) => sound.extend(contents.map(|contents| (*first, contents))),
                Err(wrong) => {
                    let geometry = &self.inspection.superblock.geometry;
                    let life = Some(self.inspection.life(wrong.block).0);
                    let place = Place::block("table", geometry, wrong.block, wrong.page);
                    let place = Place { life, ..place }.with_clip(clip);
                    let expected = "the clip's table".into();
                    self.tell(Finding { place, found: wrong.found, expected, cost: Cost::Cache });
                }
            }
        }
        sound
    }

    /// All headers are sound: does what they say add up to what the fact says?
    fn check_whole(
        &mut self,
        clip: ClipId,
        record: &ClipRecord,
        walked: &Walked,
        fact: Option<&ClipFact>,
    ) {
        let Some(fact) = fact else { return };
        let place = Place::of("clip").with_clip(clip);
        if let Err(found) = opened(fact, &walked.contents) {
            let expected = "tables that make a file".into();
            let cost = self.names.loss(clip, record, None);
            self.tell(Finding { place, found, expected, cost });
            return;
        }
        let marks = walked.sums.as_ref().map(|sums| marks_of(&sums.tracks, &sums.pauses));
        let told = marks_of(&fact.tracks, &fact.pauses);
        if let Some(found) = marks.filter(|found| *found != told) {
            self.tell(Finding {
                place: Place::of("clip").with_clip(clip),
                found: format!("tables with {}", marks_text(&found)),
                expected: format!("{}, as its fact says", marks_text(&told)),
                cost: Cost::Nothing,
            });
        }
        let digest = walked.sums.as_ref().map(|sums| sums.digest);
        if digest.is_some_and(|digest| digest != fact.digest) {
            self.tell(Finding {
                place,
                found: "another digest of the clip".into(),
                expected: "that of its chunks' digests".into(),
                cost: Cost::Nothing,
            });
        }
    }

    fn tell_other_table(&mut self, clip: ClipId, extent: &Extent) {
        self.tell(Finding {
            place: self.place_of("table", extent, clip),
            found: "other chunks than the clip has".into(),
            expected: "what the clip's chunk headers say".into(),
            cost: Cost::Cache,
        });
    }

    /// `opens`: readers get at the clip without walking its headers.
    fn tell_hit(&mut self, clip: ClipId, record: &ClipRecord, hit: &Hit, opens: bool) {
        let part = match (hit.from, hit.to, span_of(record)) {
            // Not even opened, it can't be read at all.
            _ if !opens => None,
            (Some((from, _)), Some((_, to)), _) => Some((from, to.max(from))),
            (from, to, Some((start, end))) => {
                let from = from.map_or(start, |(from, _)| from);
                Some((from, to.map_or(end, |(_, to)| to).max(from)))
            }
            (_, _, None) => None,
        };
        let cost = match &hit.fault.wrong {
            Wrong::OtherSeal { .. } => Cost::Nothing,
            // The table has the parameter sets, too: nobody reads these.
            _ if opens && (hit.is_set || part.is_some_and(|(from, to)| from == to)) => {
                Cost::Nothing
            }
            _ => self.names.loss(clip, record, part),
        };
        let geometry = &self.inspection.superblock.geometry;
        let page = hit.fault.pages.start;
        let place = Place::block("chunk", geometry, hit.extent.block, page);
        let life = Some(hit.extent.life.0);
        self.tell(Finding {
            place: Place { chunk: hit.fault.number_in_clip, life, ..place }.with_clip(clip),
            found: hit.fault.wrong.to_string(),
            expected: hit.fault.wrong.expected(),
            cost,
        });
    }

    fn walk(&self, clip: ClipId, record: &ClipRecord) -> Walked {
        let mut walked = Walked::default();
        for extent in &record.extents {
            let mut sets: HashMap<u32, Option<Arc<[u8]>>> = HashMap::new();
            let mut always = |_| true;
            walked.begins_extent = true;
            let trial =
                self.inspection.trial(extent, Depth::Headers, ByteCount(PAGE_BYTES), &mut always);
            for tried in trial {
                match tried {
                    Tried::Chunk(chunk) => {
                        self.add(&mut walked, clip, extent, &chunk, &mut sets);
                    }
                    Tried::Lost(fault) => {
                        // How many were lost is not known: the next one says where it stands.
                        walked.begins_extent = true;
                        let from = walked.last.map(|(_, end)| (end, end));
                        walked.hits.push(Hit {
                            extent: *extent,
                            fault,
                            from,
                            to: None,
                            is_set: false,
                        });
                    }
                }
            }
        }
        walked
    }

    fn add(
        &self,
        walked: &mut Walked,
        clip: ClipId,
        extent: &Extent,
        chunk: &TriedChunk,
        sets: &mut HashMap<u32, Option<Arc<[u8]>>>,
    ) {
        walked.chunks += u64::from(chunk.kind == ChunkKind::Media);
        let extent = *extent;
        let span = span_of_table(&chunk.table);
        let mut hit =
            |fault| walked.hits.push(Hit { extent, fault, from: span, to: span, is_set: false });
        chunk.faults.iter().cloned().for_each(&mut hit);
        if chunk.kind != ChunkKind::Media {
            return;
        }
        if chunk.clip != clip {
            hit(chunk.fault(Wrong::OtherClip { found: chunk.clip, expected: clip }));
        } else if chunk.number_in_clip != walked.media
            // Of a clip that was found in the blocks, chunks before an extent may be lost.
            && !(walked.begins_extent && chunk.number_in_clip > walked.media)
        {
            let (found, expected) = (chunk.number_in_clip, walked.media);
            hit(chunk.fault(Wrong::OtherNumberInClip { found, expected }));
        }
        let used = self.sets_of(walked, &extent, chunk, sets);
        walked.media = chunk.number_in_clip.saturating_add(1);
        walked.begins_extent = false;
        // What was lost before this chunk ends where it begins.
        for open in walked.hits.iter_mut().filter(|hit| hit.to.is_none() && !hit.is_set) {
            open.to = span.map(|(begin, _)| (begin, begin));
        }
        walked.last = span;
        match ChunkTable::decode(&chunk.table) {
            Ok(table) => {
                let sums = walked.sums.get_or_insert_with(|| Growth::new(&table));
                sums.add(&table, &chunk.digest, &[]);
            }
            Err(error) => drop(walked.malformed.get_or_insert_with(|| error.to_string())),
        }
        walked.contents.push(chunk.place, &used, Arc::from(&chunk.table[..]));
    }

    /// The parameter sets that a chunk names; those that are damaged are told once.
    fn sets_of(
        &self,
        walked: &mut Walked,
        extent: &Extent,
        chunk: &TriedChunk,
        sets: &mut HashMap<u32, Option<Arc<[u8]>>>,
    ) -> Vec<Arc<[u8]>> {
        let mut used = Vec::new();
        for &page in &chunk.parameter_pages {
            if let Some(known) = sets.get(&page) {
                used.extend(known.clone());
                continue;
            }
            let set = self.inspection.parameter_set(extent.block, extent.life, page);
            let set = set.unwrap_or_default();
            let mut hits = walked.hits.iter();
            let is_told =
                hits.any(|hit| hit.extent.block == extent.block && hit.fault.pages.contains(&page));
            if set.is_none() && !is_told {
                let pages = page..page.saturating_add(1);
                let fault = Fault { pages, number_in_clip: None, ..chunk.fault(Wrong::NoSet) };
                let hit = Hit { extent: *extent, fault, from: None, to: None, is_set: true };
                walked.hits.push(hit);
            }
            used.extend(set.clone());
            sets.insert(page, set);
        }
        used
    }
}

/// Damaged samples and pauses.
fn marks_of(tracks: &[TrackTotals], pauses: &Pauses) -> (u64, Pauses) {
    (tracks.iter().fold(0, |sum, track| sum.saturating_add(track.damaged)), pauses.clone())
}

fn marks_text((damaged, pauses): &(u64, Pauses)) -> String {
    let count = pauses.more().0.saturating_add(pauses.listed().len() as u64);
    format!("{damaged} damaged samples and {count} pauses")
}

/// Whether a clip's contents make the file that its fact promises.
fn opened(fact: &ClipFact, contents: &ClipContents) -> Result<(), String> {
    let chunks = contents.chunks.iter().map(|chunk| Chunk {
        table: &chunk.table,
        parameters: &chunk.parameters,
        data_length: chunk.place.data_length,
    });
    let movie = Movie::new(fact, &contents.parameters, chunks);
    movie.map(drop).map_err(|error| error.to_string())
}
