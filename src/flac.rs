//! FLAC (RFC 9639): blocks of samples in, frames out, each decoded without any other. Pure.
//!
//! Only fixed predictors are tried (RFC 9639, 9.2.5): sound of a telephone gains two percent from
//! better ones, for five times the work. Blocks may have any length, since sound is cut where its
//! pictures are: each frame says with which sample of the stream it begins.

use crate::bits::{BitReader, BitWriter};

/// Bits of a sample.
const SAMPLE_BITS: u32 = 16;
/// Samples of a block at least (RFC 9639, 8.2).
pub const BLOCK_MIN: usize = 16;
/// The same at most, of what every decoder takes at these rates (RFC 9639, 7).
const BLOCK_MAX: usize = 4096;
/// A block is as long as this at most.
const BLOCK_MILLIS_MAX: usize = 128;
/// Numbers of samples have 36 bits (RFC 9639, 9.1.5), and begin anew behind that.
const NUMBER_MASK: u64 = (1 << 36) - 1;
/// Orders of fixed predictors.
const ORDERS: usize = 5;
/// So many samples of a block share a Rice parameter, or twice as many.
const PARTITION_MIN: usize = 128;
const PARTITION_ORDER_MAX: u32 = 3;
/// Of four bits; the largest one means something else (RFC 9639, 9.2.7.1).
const RICE_PARAMETER_MAX: u32 = 14;

/// What is in a frame beside samples, in bytes.
const FRAME_BYTES_MORE: usize = 64;

/// Codes of sample rates (RFC 9639, 9.1.2); others follow the header in Hz.
const RATES: [(u32, u64); 7] =
    [(8000, 4), (16_000, 5), (22_050, 6), (24_000, 7), (32_000, 8), (44_100, 9), (48_000, 10)];
const RATE_IN_HZ: u64 = 13;
/// The largest one that follows a header.
pub const SAMPLE_RATE_MAX: u32 = 65_535;

/// Samples of one rate and number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
}

impl Shape {
    /// Samples of a whole block, of each channel: a power of two.
    pub fn block_length(self) -> usize {
        let most = self.sample_rate as usize * BLOCK_MILLIS_MAX / 1000;
        1 << most.clamp(BLOCK_MIN, BLOCK_MAX).ilog2()
    }

    /// What a decoder has to know first: the metadata block STREAMINFO, as the last one (RFC 9639,
    /// 8.2). How long the stream gets, and what it sums up to, is not known.
    pub fn configuration(self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.put(0x80, 8);
        bits.put(34, 24);
        bits.put(BLOCK_MIN as u64, 16);
        bits.put(self.block_length() as u64, 16);
        bits.put(0, 24);
        bits.put(0, 24);
        bits.put(u64::from(self.sample_rate), 20);
        bits.put(u64::from(self.channels) - 1, 3);
        bits.put(u64::from(SAMPLE_BITS) - 1, 5);
        bits.put(0, 4);
        bits.put(0, 32);
        let mut block = bits.finish();
        block.resize(4 + 34, 0);
        block
    }

    /// The frames of samples, of all channels by turns, from that number on; each with the number
    /// of samples that each channel has in it. Blocks are whole, but for the last two: a short one
    /// takes some of the one before, since only the last of a stream may be as short as that.
    pub fn frames(self, samples: &[i16], first: u64) -> Vec<(u32, Vec<u8>)> {
        let channels = usize::from(self.channels);
        let (whole, mut rest) = (self.block_length(), samples);
        let (mut frames, mut number, mut scratch) = (Vec::new(), first, Scratch::default());
        while rest.len() >= channels {
            let left = rest.len() / channels;
            let is_short_behind = left > whole && left < whole + BLOCK_MIN;
            let length = if is_short_behind { left - BLOCK_MIN } else { left.min(whole) };
            let (block, behind) = rest.split_at(length * channels);
            frames.push((length as u32, self.frame(block, number, &mut scratch)));
            (rest, number) = (behind, number.wrapping_add(length as u64));
        }
        frames
    }

    /// The frame of a block.
    fn frame(self, samples: &[i16], number: u64, scratch: &mut Scratch) -> Vec<u8> {
        let channels = usize::from(self.channels);
        // Hardly ever longer than the samples.
        let room = Vec::with_capacity(size_of_val(samples) + FRAME_BYTES_MORE);
        let header = self.header(samples.len() / channels, number & NUMBER_MASK, room);
        let mut bits = BitWriter::behind(header);
        for channel in 0..channels {
            let own = samples.iter().skip(channel).step_by(channels);
            scratch.channel.clear();
            scratch.channel.extend(own.map(|sample| i32::from(*sample)));
            subframe(&mut bits, &mut scratch.channel, &mut scratch.residual);
        }
        let mut frame = bits.finish();
        let sum = crc16(&frame);
        frame.extend(sum.to_be_bytes());
        frame
    }

    /// RFC 9639, 9.1; `room` is empty.
    fn header(self, length: usize, number: u64, room: Vec<u8>) -> Vec<u8> {
        let mut bits = BitWriter::behind(room);
        let rate = RATES.iter().find(|(rate, _)| *rate == self.sample_rate).map(|(_, code)| *code);
        // The sync code, and that blocks are of any length.
        bits.put(0xfff9, 16);
        // The length of the block follows in 16 bits.
        bits.put(7, 4);
        bits.put(rate.unwrap_or(RATE_IN_HZ), 4);
        // Channels on their own: of what two of them have in common cameras make no use.
        bits.put(u64::from(self.channels) - 1, 4);
        // Samples of 16 bits, and a bit that is reserved.
        bits.put(0b1000, 4);
        coded_number(&mut bits, number);
        bits.put(length as u64 - 1, 16);
        if rate.is_none() {
            bits.put(u64::from(self.sample_rate), 16);
        }
        let mut header = bits.finish();
        header.push(crc8(&header));
        header
    }
}

/// A frame of `length` zeros of each channel, for a stream that begins with this configuration (a
/// metadata block STREAMINFO, RFC 9639, 8.2); `None` where that is none. Its numbers begin anew.
#[must_use]
pub fn silence(configuration: &[u8], length: u16) -> Option<Vec<u8>> {
    let mut from = BitReader::new(configuration.get(4..)?);
    let [block_min, block_max] = [from.take(16)?, from.take(16)?];
    from.take(24)?;
    from.take(24)?;
    from.take(20)?;
    let [channels, sample_bits] = [from.take(3)? + 1, from.take(5)? + 1];
    let mut bits = BitWriter::default();
    // Blocks are of one length, or of any, as in the stream.
    bits.put(if block_min == block_max { 0xfff8 } else { 0xfff9 }, 16);
    // The length of the block follows in 16 bits; the rate is that of the stream.
    bits.put(7, 4);
    bits.put(0, 4);
    // So are the bits of a sample.
    bits.put(u64::from(channels) - 1, 4);
    bits.put(0, 4);
    coded_number(&mut bits, 0);
    bits.put(u64::from(length.checked_sub(1)?), 16);
    let mut header = bits.finish();
    header.push(crc8(&header));
    let mut bits = BitWriter::behind(header);
    for _ in 0..channels {
        bits.put(0, 8);
        bits.put(0, sample_bits);
    }
    let mut frame = bits.finish();
    let sum = crc16(&frame);
    frame.extend(sum.to_be_bytes());
    Some(frame)
}

/// Where one channel is worked on.
#[derive(Default)]
struct Scratch {
    channel: Vec<i32>,
    residual: Vec<i32>,
}

/// A number of up to 36 bits, as UTF-8 would have it (RFC 9639, 9.1.5).
fn coded_number(bits: &mut BitWriter, number: u64) {
    if number < 0x80 {
        return bits.put(number, 8);
    }
    let more = (1..=6).find(|more| number < 1 << (5 * more + 6)).unwrap_or(6);
    let marks = 0xff_u64 << (7 - more) & 0xff;
    bits.put(marks | number >> (6 * more), 8);
    for place in (0..more).rev() {
        bits.put(0x80 | number >> (6 * place) & 0x3f, 8);
    }
}

/// One channel of a block (RFC 9639, 9.2). Bits that are zero in all samples are left out: those of
/// G.711 have two or three.
fn subframe(bits: &mut BitWriter, samples: &mut [i32], residual: &mut Vec<i32>) {
    if samples.iter().all(|sample| *sample == samples[0]) {
        bits.put(0, 8);
        return bits.put_signed(samples[0], SAMPLE_BITS);
    }
    let wasted = samples.iter().fold(0, |all, sample| all | sample).trailing_zeros();
    samples.iter_mut().for_each(|sample| *sample >>= wasted);
    let width = SAMPLE_BITS - wasted;
    let order = best_order(samples);
    residuals(samples, order, residual);
    let partitions = Partitions::of(samples.len(), order, residual);
    let coded = order as u64 * u64::from(width) + partitions.bits;
    let is_verbatim = coded >= samples.len() as u64 * u64::from(width);
    let kind = if is_verbatim { 1 } else { 8 | order as u64 };
    bits.put(kind << 1 | u64::from(wasted > 0), 8);
    if wasted > 0 {
        bits.put_unary(wasted - 1);
    }
    let plain = if is_verbatim { samples.len() } else { order };
    samples[..plain].iter().for_each(|sample| bits.put_signed(*sample, width));
    if !is_verbatim {
        partitions.write(bits, residual);
    }
}

/// The order of the predictor that leaves the least. The first samples, which some of them need,
/// are nobody's. What is left of a block adds up to less than 2³².
fn best_order(samples: &[i32]) -> usize {
    let mut sums = [0_u32; ORDERS];
    for s in samples.windows(ORDERS) {
        let (first, second) = (s[4] - s[3], s[3] - s[2]);
        let third = s[2] - s[1];
        let (bend, bend_before) = (first - second, second - third);
        let twist = bend - bend_before;
        let twist_before = bend_before - (third - (s[1] - s[0]));
        let left = [s[4], first, bend, twist, twist - twist_before];
        for (sum, left) in sums.iter_mut().zip(left) {
            *sum += left.unsigned_abs();
        }
    }
    (0..ORDERS).min_by_key(|order| sums[*order]).unwrap_or(0)
}

/// What a predictor of that order leaves (RFC 9639, 9.2.5): the first samples are not predicted.
fn residuals(samples: &[i32], order: usize, residual: &mut Vec<i32>) {
    residual.clear();
    match order {
        0 => residual.extend_from_slice(samples),
        1 => residual.extend(samples.windows(2).map(|s| s[1] - s[0])),
        2 => residual.extend(samples.windows(3).map(|s| s[2] - 2 * s[1] + s[0])),
        3 => residual.extend(samples.windows(4).map(|s| s[3] - 3 * s[2] + 3 * s[1] - s[0])),
        _ => {
            let of = |s: &[i32]| s[4] - 4 * s[3] + 6 * s[2] - 4 * s[1] + s[0];
            residual.extend(samples.windows(5).map(of));
        }
    }
}

/// How residuals are coded (RFC 9639, 9.2.7): in parts of one length, of which the first one lacks
/// the samples that were not predicted.
struct Partitions {
    order: u32,
    parameters: [u32; 1 << PARTITION_ORDER_MAX],
    first_length: usize,
    length: usize,
    /// Written, at most.
    bits: u64,
}

/// Small numbers of either sign as small ones.
fn folded(number: i32) -> u32 {
    (number << 1 ^ number >> 31).cast_unsigned()
}

impl Partitions {
    /// For a block of so many samples.
    fn of(block: usize, predictor: usize, residual: &[i32]) -> Partitions {
        let fits =
            |order: &u32| block.is_multiple_of(1 << order) && block >> order >= PARTITION_MIN;
        let order = (0..=PARTITION_ORDER_MAX).rev().find(fits).unwrap_or(0);
        let length = block >> order;
        let mut this = Partitions {
            order,
            parameters: [0; 1 << PARTITION_ORDER_MAX],
            first_length: length - predictor,
            length,
            bits: 6,
        };
        let (first, rest) = residual.split_at(this.first_length);
        let parts = std::iter::once(first).chain(rest.chunks(length));
        for (part, parameter) in parts.zip(&mut this.parameters) {
            let sum: u64 = part.iter().map(|number| u64::from(folded(*number))).sum();
            let count = part.len() as u64;
            let bits = |parameter: u32| count * u64::from(parameter + 1) + (sum >> parameter);
            let best = (0..=RICE_PARAMETER_MAX).min_by_key(|parameter| bits(*parameter));
            *parameter = best.unwrap_or(0);
            this.bits += 4 + bits(*parameter);
        }
        this
    }

    fn write(&self, bits: &mut BitWriter, residual: &[i32]) {
        // Parameters of four bits.
        bits.put(0, 2);
        bits.put(u64::from(self.order), 4);
        let (first, rest) = residual.split_at(self.first_length);
        let parts = std::iter::once(first).chain(rest.chunks(self.length));
        for (part, parameter) in parts.zip(self.parameters) {
            bits.put(u64::from(parameter), 4);
            for number in part {
                let number = folded(*number);
                bits.put_rice(number, parameter);
            }
        }
    }
}

/// Of a header (RFC 9639, 9.1.8).
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ byte, |sum, _| sum << 1 ^ if sum & 0x80 == 0 { 0 } else { 0x07 })
    })
}

/// Of a frame (RFC 9639, 9.3).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| sum << 8 ^ CRC16[usize::from((sum >> 8) as u8 ^ byte)])
}

/// Of each first byte.
static CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            sum = sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x8005 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use claxon::FlacReader;
    use proptest::prelude::*;

    use super::*;

    const TELEPHONE: Shape = Shape { sample_rate: 8000, channels: 1 };

    /// What a decoder of somebody else makes of frames.
    fn decoded(shape: Shape, frames: &[(u32, Vec<u8>)]) -> Vec<i16> {
        let mut stream = [b"fLaC", &shape.configuration()[..]].concat();
        frames.iter().for_each(|(_, frame)| stream.extend(frame));
        let mut reader = FlacReader::new(&stream[..]).expect("a stream");
        let info = reader.streaminfo();
        let told = (info.sample_rate, info.channels);
        assert_eq!(told, (shape.sample_rate, u32::from(shape.channels)));
        assert_eq!((info.samples, info.md5sum), (None, [0; 16]), "that is not known");
        reader.samples().map(|sample| sample.expect("a sample") as i16).collect()
    }

    fn tone(length: usize, loudness: f64) -> Vec<i16> {
        let wave = |place: usize| (place as f64 / 11.0).sin() + (place as f64 / 3.7).sin() / 3.0;
        (0..length).map(|place| (wave(place) * loudness) as i16).collect()
    }

    fn lengths(samples: usize) -> Vec<u32> {
        TELEPHONE.frames(&vec![1; samples], 0).iter().map(|(length, _)| *length).collect()
    }

    #[test]
    fn a_tone_is_smaller_and_silence_is_next_to_nothing() {
        let length = |samples: &[i16]| TELEPHONE.frames(samples, 0)[0].1.len();
        assert!(length(&tone(1024, 8000.0)) < 1024);
        assert!(length(&[0; 1024]) < 20);
        let noise = (0..1024_u32).map(|it| (it.wrapping_mul(0x9e37_79b1) >> 16) as i16);
        assert!(length(&noise.collect::<Vec<_>>()) < 2 * 1024 + 20, "no larger than it was");
    }

    #[test]
    fn blocks_of_all_rates_are_an_eighth_of_a_second_at_most() {
        for (sample_rate, length) in [(8000, 1024), (16_000, 2048), (44_100, 4096), (1, 16)] {
            assert_eq!(Shape { sample_rate, channels: 1 }.block_length(), length);
        }
        assert_eq!(lengths(3000), [1024, 1024, 952]);
        assert_eq!(lengths(1024), [1024]);
        assert_eq!(lengths(1025), [1009, 16], "none is shorter than it may be");
        assert_eq!(lengths(2063), [1024, 1023, 16]);
        assert_eq!((lengths(3), lengths(0)), (vec![3], vec![]), "where there is no more");
    }

    #[test]
    fn the_number_of_a_sample_is_told_up_to_36_bits() {
        for number in [0, 127, 128, 0x7ff, 0x800, 0xffff, 0x1_0000, 1 << 31, NUMBER_MASK] {
            let mut stream = [b"fLaC", &TELEPHONE.configuration()[..]].concat();
            stream.extend(&TELEPHONE.frames(&tone(64, 99.0), number)[0].1);
            let mut reader = FlacReader::new(&stream[..]).expect("a stream");
            let mut blocks = reader.blocks();
            let block = blocks.read_next_or_eof(Vec::new()).expect("a frame").expect("one");
            assert_eq!(block.time(), number);
        }
        assert_eq!(TELEPHONE.frames(&[1; 2000], u64::MAX).len(), 2, "they begin anew");
    }

    proptest! {
        #[test]
        fn every_sample_comes_back(
            sample_rate in prop_oneof![Just(8000_u32), Just(16_000), Just(44_100), 1..65_535_u32],
            channels in 1_u16..3,
            length in 1_usize..5000,
            loudness in 0.0..40_000.0,
            knocks in any::<[i16; 8]>(),
            grain in 0_u32..4,
        ) {
            let mut samples = tone(length * usize::from(channels), loudness);
            for (number, knock) in knocks.into_iter().enumerate().take(length % 9) {
                let place = number * 97 % samples.len();
                samples[place] = knock;
            }
            samples.iter_mut().for_each(|sample| *sample = *sample >> grain << grain);
            let shape = Shape { sample_rate, channels };
            prop_assert_eq!(decoded(shape, &shape.frames(&samples, 5)), samples);
        }

        #[test]
        fn noise_comes_back(samples in prop::collection::vec(any::<i16>(), 16..600)) {
            prop_assert_eq!(decoded(TELEPHONE, &TELEPHONE.frames(&samples, 0)), samples);
        }
    }
}
