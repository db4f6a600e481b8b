//! The frames of a file, as a camera would have sent them: pictures and sound in the order of their
//! times on the wall, each received when it was captured.

use std::cmp::Ordering;

use super::footage::{Footage, ImportError};
use crate::camera::{At, Frame, SoundTimes, StoredPicture, StoredPictures};
use crate::clock::Reading;
use crate::demux::Problem;
use crate::units::{BootTime, Ticks, WallTime};

/// The clock that nobody sets is the wall's: nobody has set that of a file.
const BOOT_ID: [u8; 16] = [0; 16];

/// Frames of a file, in order.
pub struct Frames<'a> {
    footage: &'a Footage,
    /// Where times of frames count from.
    origin: WallTime,
    /// When the file's own zero is, in nanoseconds behind that.
    zero_nanos: i64,
    pictures: Pictures<'a>,
    next_sound: usize,
    /// Where the last picture ends, in nanoseconds behind the file's own zero.
    end_nanos: i64,
    /// Up to when pictures have been shown.
    shown: i64,
    heard: SoundTimes,
    is_sound_told: bool,
    is_sound_behind_loss: bool,
    /// Packets of sound so far that are none.
    unheard: u64,
    /// A picture, of which it is not known yet what follows it.
    held: Option<Frame>,
    sound: Option<Frame>,
}

impl<'a> Frames<'a> {
    /// Those of a file whose first picture was captured at `start`. Times of frames count from
    /// `origin`, at or before that.
    ///
    /// # Errors
    /// If nothing can decode them.
    pub fn new(
        footage: &'a Footage,
        start: WallTime,
        origin: WallTime,
    ) -> Result<Frames<'a>, ImportError> {
        let first_nanos = Ticks(footage.order.first).to_nanos(footage.timescale());
        Ok(Frames {
            footage,
            origin,
            zero_nanos: start.nanos_since(origin).saturating_sub(first_nanos),
            pictures: Pictures::new(footage)?,
            next_sound: 0,
            end_nanos: Ticks(footage.order.end).to_nanos(footage.timescale()),
            shown: i64::MIN,
            heard: SoundTimes::default(),
            is_sound_told: false,
            is_sound_behind_loss: false,
            unheard: 0,
            held: None,
            sound: None,
        })
    }

    /// Pictures so far that nothing decodes.
    #[must_use]
    pub fn undecoded(&self) -> u64 {
        self.pictures.undecoded()
    }

    /// Packets of sound so far that nothing decodes.
    #[must_use]
    pub fn unheard(&self) -> u64 {
        self.unheard
    }

    /// A track's time on the line of all, in ticks.
    fn ticks(&self, time: i64, timescale: u32) -> i64 {
        time.saturating_add(Ticks::from_nanos(self.zero_nanos, timescale).0)
    }

    fn reading(&self, ticks: i64, timescale: u32) -> Reading {
        let wall = self.origin.plus_nanos(Ticks(ticks).to_nanos(timescale));
        Reading { wall, boot: BootTime(wall.0), boot_id: BOOT_ID, synchronised: true }
    }

    /// The next picture in the order of decoding.
    fn picture(&mut self) -> Result<Option<Frame>, ImportError> {
        let timescale = self.footage.timescale();
        let Some((_, time, picture)) = self.pictures.next()? else { return Ok(None) };
        let is_behind_loss = std::mem::take(&mut self.pictures.is_behind_loss);
        let pts = self.ticks(time, timescale);
        self.shown = self.shown.max(pts);
        let at = At {
            pts,
            timescale,
            captured: self.reading(pts, timescale).wall,
            received: self.reading(self.shown, timescale),
            is_behind_loss,
        };
        Ok(Some(picture.frame(at)))
    }

    /// Holds the next picture.
    fn next_picture(&mut self) -> Result<(), ImportError> {
        if self.held.is_none() {
            self.held = self.picture()?;
        }
        Ok(())
    }

    /// The next frame of sound.
    fn next_sound(&mut self) -> Result<(), ImportError> {
        let Some((track, stored)) = self.footage.sound.as_ref().filter(|_| self.sound.is_none())
        else {
            return Ok(());
        };
        let rate = stored.sample_rate;
        while let Some(sample) = track.samples.get(self.next_sound) {
            self.next_sound += 1;
            self.is_sound_behind_loss |= sample.is_behind_loss;
            let nanos = Ticks(sample.pts).to_nanos(track.timescale);
            // What is heard without pictures belongs to whatever is behind them.
            if !sample.shown && nanos >= 0 || nanos >= self.end_nanos {
                continue;
            }
            let stated = Ticks::from_nanos(nanos.saturating_add(self.zero_nanos), rate).0;
            let Some((data, ticks)) = stored.frame(self.footage.read(track, sample)?) else {
                (self.unheard, self.is_sound_behind_loss) = (self.unheard + 1, true);
                continue;
            };
            let pts = self.heard.place(stated, ticks, rate);
            let end = pts.saturating_add(ticks.into());
            let is_first = !std::mem::replace(&mut self.is_sound_told, true);
            let at = At {
                pts,
                timescale: rate,
                captured: self.reading(pts, rate).wall,
                // A packet is there when the sound in it is over.
                received: self.reading(end, rate),
                is_behind_loss: std::mem::take(&mut self.is_sound_behind_loss),
            };
            self.sound = Some(stored.sounding(data, ticks, at, is_first));
            return Ok(());
        }
        Ok(())
    }

    /// Takes the picture that is held, once it is known what follows it.
    fn take_picture(&mut self) -> Result<Option<Frame>, ImportError> {
        let held = self.held.take();
        self.next_picture()?;
        let is_led = self.held.as_ref().is_some_and(|next| next.is_leading);
        Ok(held.map(|frame| Frame { is_open: frame.is_key && is_led, ..frame }))
    }

    fn advance(&mut self) -> Result<Option<Frame>, ImportError> {
        self.next_picture()?;
        self.next_sound()?;
        let order = match (&self.held, &self.sound) {
            (Some(picture), Some(sound)) => sound.received.wall.cmp(&picture.received.wall),
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
        };
        match order {
            Ordering::Less => Ok(self.sound.take()),
            _ => self.take_picture(),
        }
    }
}

impl Iterator for Frames<'_> {
    type Item = Result<Frame, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The pictures of a file in the order of decoding.
pub(super) struct Pictures<'a> {
    footage: &'a Footage,
    /// One for each entry of the track, and which of them the last picture had.
    stored: Vec<StoredPictures>,
    entry: Option<u16>,
    next: usize,
    /// Something is missing before the picture that came last, or before what was none and lies
    /// in front of it.
    is_behind_loss: bool,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(footage: &'a Footage) -> Result<Pictures<'a>, ImportError> {
        let entries = footage.video.entries.iter();
        let stored = entries.map(|entry| StoredPictures::new(entry, Some(footage.order.depth)));
        let stored = stored.collect::<Result<Vec<_>, String>>();
        let stored = stored.map_err(|why| footage.fails(Problem::Malformed(why)))?;
        Ok(Pictures { footage, stored, entry: None, next: 0, is_behind_loss: false })
    }

    fn undecoded(&self) -> u64 {
        self.stored.iter().map(StoredPictures::undecoded).sum()
    }

    /// The next one: the number of its sample, and when it is shown, in ticks.
    pub(super) fn next(&mut self) -> Result<Option<(usize, i64, StoredPicture)>, ImportError> {
        loop {
            let number = self.next;
            let Some(sample) = self.footage.video.samples.get(number) else { return Ok(None) };
            self.next += 1;
            self.is_behind_loss |= sample.is_behind_loss;
            let time = self.footage.order.times.get(number).copied().flatten();
            let stored = self.stored.get_mut(usize::from(sample.entry));
            let Some((time, stored)) = time.zip(stored) else { continue };
            let data = self.footage.read(&self.footage.video, sample)?;
            if self.entry.replace(sample.entry) != Some(sample.entry) {
                stored.tell_anew();
            }
            if let Some(picture) = stored.take(&data, time, sample.sync) {
                return Ok(Some((number, time, picture)));
            }
        }
    }
}
