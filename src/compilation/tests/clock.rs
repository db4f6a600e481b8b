//! The time on the wall as a track, read by a library that was not written here.

use super::*;
use crate::captions::{Captions, Section};
use crate::zone::Zone;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_clock_is_one_more_track_and_changes_no_other(
        recipes in prop::collection::vec(recipe(), 1..4),
        bounds: [Index; 2],
        jump in 0..90 * NANOS_PER_SECOND,
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let clips = recorded(&recipes);
        let sets: Vec<ClipSets> = clips.iter().map(Recorded::clip_sets).collect();
        let length = clips[clips.len() - 1].fact.end.nanos_since(BEGIN) as usize;
        let [a, b] = bounds.map(|index| BEGIN.plus_nanos(index.index(length) as i64));
        let range = [a.min(b)..a.max(b)];
        let Some(plain) = made(&clips, &sets, &range) else { return Ok(()) };
        let laid = laid(&clips, &sets, &range, false).expect("the same");
        let (_, start, _) = laid.ranges[0];
        let half = laid.length_nanos / 2;
        let sections = vec![
            Section { shown: 0..half, wall: start },
            Section { shown: half..laid.length_nanos, wall: start.plus_nanos(half + jump) },
        ];
        let captions = Captions::new(sections.clone(), Zone::UTC);
        let (count, text) = (captions.cues(), captions.clone());
        let file = MovieFile::new(laid.compilation, 1, Some(captions)).expect("it is small");

        let whole = read(&clips, &file, 0..u64::MAX);
        prop_assert_eq!(whole.len() as u64, file.size());
        let [pictures, sound, clock] = all_tracks(&whole);
        let own = demuxed(&read(&clips, &plain.compilation, 0..u64::MAX));
        for (found, expected) in [pictures, sound].iter().zip(&own) {
            let all = |all: &[Found]| -> Vec<(i64, bool, Vec<u8>)> {
                all.iter().map(|it| (it.shown, it.is_sync, it.bytes.clone())).collect()
            };
            prop_assert_eq!(all(found), all(expected));
        }
        prop_assert_eq!(clock.len() as u64, count);
        for (number, found) in (0..).zip(&clock) {
            let told = text.told(number);
            prop_assert_eq!(&found.bytes[2..], told.as_bytes());
            prop_assert_eq!(&found.bytes[..2], &(told.len() as u16).to_be_bytes()[..]);
            prop_assert!(found.is_sync);
            // Which of two it is of can't be told where one takes over.
            if (found.shown - half).abs() <= TICK {
                continue;
            }
            let section = &sections[usize::from(found.shown >= half)];
            let wall = section.wall.plus_nanos(found.shown - section.shown.start + TICK);
            let second = crate::view::utc_timestamp(wall)[..19].replacen('T', " ", 1);
            prop_assert!(told.starts_with(&second), "{} at {}", told, second);
        }
        check_reads(file.size(), &cuts, |range| read(&clips, &file, range))?;
    }
}
