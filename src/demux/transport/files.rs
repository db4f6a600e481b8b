//! The samples of a file: where each lies, and how it is read from there.

use std::io;

use super::lane::{Counter, Step, body};
use super::packets::{Packet, Packets, stride_of};
use super::{STAMPS_PER_SECOND, Transport, Unit};
use crate::demux::{
    Coding, Contents, Entry, Kind, Packing, Problem, Remark, Sample, Source, Track, samples_max,
};

/// What is read of a file at a time, in bytes.
const WINDOW_BYTES: usize = 1 << 20;
/// The same of a sample, at least and at most: packets of others lie between its own.
const SAMPLE_WINDOW_BYTES: [usize; 2] = [4 << 10, 256 << 10];
/// A file begins with a packet, or has one behind so many bytes.
const BEFORE_BYTES_MAX: usize = 64 << 10;
/// What is looked at to know what a file is, in bytes.
const LOOK_BYTES: usize = BEFORE_BYTES_MAX + 1024;

/// A stream has few.
const ENTRIES_MAX: usize = 256;

/// How the samples of a stream lie among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pid: u16,
    /// From packet to packet, in bytes.
    stride: usize,
}

/// Whether a file consists of packets, but for some bytes at its beginning.
pub(in crate::demux) fn is_one(source: &dyn Source) -> io::Result<bool> {
    let length = source.length().min(LOOK_BYTES as u64) as usize;
    let mut bytes = vec![0; length];
    source.read_at(0, &mut bytes)?;
    let mut starts = 0..length.min(BEFORE_BYTES_MAX);
    Ok(starts.any(|start| bytes.get(start..).and_then(stride_of).is_some()))
}

/// What is known of a stream while its file is read through.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    /// The one that decodes what comes.
    entry: usize,
    samples: Vec<Sample>,
    /// Samples that nothing decodes.
    left_out: u64,
    /// When the last sample is decoded.
    decoded: Option<i64>,
}

/// Takes a file apart.
pub(in crate::demux) fn contents(source: &dyn Source) -> Result<Contents, Problem> {
    let mut transport = Transport::default();
    let mut listed: Vec<Listed> = Vec::new();
    let mut remarks = Vec::new();
    let mut window = vec![0; WINDOW_BYTES];
    let mut at = 0;
    loop {
        let wanted = (source.length() - at).min(WINDOW_BYTES as u64) as usize;
        match window.get_mut(..wanted).filter(|window| !window.is_empty()) {
            Some(window) => {
                source.read_at(at, window)?;
                transport.push(window);
            }
            None => transport.finish(),
        }
        at += wanted as u64;
        while let Some(unit) = transport.next() {
            if listed.len() <= unit.stream {
                listed.resize_with(unit.stream + 1, Listed::default);
            }
            let kind = transport.kind(unit.stream);
            let Some(listed) = listed.get_mut(unit.stream) else { continue };
            listed.take(unit, kind, &mut remarks);
        }
        let samples: usize = listed.iter().map(|listed| listed.samples.len()).sum();
        if samples as u64 > samples_max(source.length()) {
            return Err(Problem::Unsupported(format!("{samples} samples")));
        }
        if wanted == 0 {
            break;
        }
    }
    listed.resize_with(transport.lanes.len(), Listed::default);
    Ok(tracks(&transport, listed, remarks))
}

impl Listed {
    fn take(&mut self, unit: Unit, kind: Kind, remarks: &mut Vec<Remark>) {
        if let Some(entry) = unit.entry {
            let known = self.entries.iter().position(|known| *known == entry);
            self.entry = known.unwrap_or(self.entries.len());
            if known.is_none() && self.entries.len() < ENTRIES_MAX {
                self.entries.push(entry);
            }
        }
        // Of a stream that is another one with each sample the rest is left out.
        let Ok(entry) = u16::try_from(self.entry.min(ENTRIES_MAX)) else { return };
        if self.entry >= self.entries.len() {
            self.left_out += 1;
            return;
        }
        if unit.is_anew && kind == Kind::Video {
            remarks.push(Remark::TimesAnew { sample: self.samples.len() as u64 + 1 });
        }
        let passed = self.decoded.replace(unit.dts).map(|before| unit.dts.saturating_sub(before));
        if let (Some(last), Some(passed)) = (self.samples.last_mut(), passed) {
            last.duration = u32::try_from(passed).unwrap_or(0);
        }
        let (offset, skip) = unit.place;
        self.samples.push(Sample {
            pts: unit.pts,
            offset,
            skip,
            size: unit.data.len() as u32,
            duration: 0,
            entry,
            sync: unit.sync,
            shown: true,
            is_behind_loss: unit.is_behind_loss,
        });
    }
}

/// The tracks of a file that was read to its end, and what there is to say of it.
fn tracks(transport: &Transport, listed: Vec<Listed>, mut remarks: Vec<Remark>) -> Contents {
    let stride = transport.packets.stride().unwrap_or(1);
    let mut tracks = Vec::new();
    for (lane, mut listed) in transport.lanes.iter().zip(listed) {
        let stream = &lane.stream;
        if listed.entries.is_empty() {
            let other = |name: &str| Coding::Other(name.to_owned());
            let coding = match (lane.is_scrambled, lane.is_hidden_sound) {
                (true, _) => other("encrypted"),
                (_, true) => other("AAC that the table of streams calls private data"),
                _ => stream.coding.clone(),
            };
            listed.entries.push(Entry::of(coding));
        }
        if lane.torn() > 0 {
            let kind = if stream.kind == Kind::Video { "video" } else { "sound" };
            remarks.push(Remark::Torn { kind, count: lane.torn() });
        }
        if lane.unparted() > 0 {
            remarks.push(Remark::Unparted { count: lane.unparted() });
        }
        if listed.left_out > 0 {
            remarks.push(Remark::Recoded { count: listed.left_out });
        }
        tracks.push(Track {
            number: stream.pid.into(),
            kind: stream.kind,
            timescale: STAMPS_PER_SECOND,
            entries: listed.entries,
            samples: listed.samples,
            packing: Packing::Transport(Layer { pid: stream.pid, stride }),
        });
    }
    if transport.strays() > 0 {
        remarks.push(Remark::NoPackets { bytes: transport.strays() });
    }
    Contents { tracks, created: None, remarks }
}

impl Layer {
    /// Reads a sample.
    pub(in crate::demux) fn read(
        self,
        source: &dyn Source,
        sample: &Sample,
    ) -> io::Result<Vec<u8>> {
        let size = sample.size as usize;
        let [least, most] = SAMPLE_WINDOW_BYTES;
        let mut window = vec![0; size.saturating_mul(2).clamp(least, most)];
        let mut packets = Packets::from(sample.offset, self.stride);
        let mut counter = Counter::default();
        let (mut at, mut skip) = (sample.offset, usize::from(sample.skip));
        let mut is_over = false;
        let mut data = Vec::with_capacity(size);
        while data.len() < size {
            if let Some((_, bytes)) = packets.next() {
                let packet = Packet::parse(&bytes).filter(|packet| packet.pid == self.pid);
                let Some(packet) = packet else { continue };
                if counter.take(&packet) == Step::Passed {
                    continue;
                }
                let (_, body) = body(&packet).unwrap_or((None, &[]));
                data.extend_from_slice(body.get(skip.min(body.len())..).unwrap_or_default());
                skip = 0;
                continue;
            }
            let wanted = source.length().saturating_sub(at).min(window.len() as u64) as usize;
            match window.get_mut(..wanted).filter(|read| !read.is_empty()) {
                Some(read) => {
                    source.read_at(at, read)?;
                    packets.push(read);
                }
                None if is_over => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => packets.finish(),
            }
            is_over = wanted == 0;
            at += wanted as u64;
        }
        data.truncate(size);
        Ok(data)
    }
}
