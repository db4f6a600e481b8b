//! What was done to clips on somebody's request, for the log.

use crate::cli::quantity::size_text;
use crate::library::{Deed, Gathered};
use crate::units::Counted;
use crate::view::utc_second;

/// One line for each.
pub(super) fn log_deeds(all: &[Gathered]) {
    all.iter().for_each(|gathered| log::info!("{}", line(gathered)));
}

fn line(gathered: &Gathered) -> String {
    let Gathered { deed, first, clips, bytes, cameras, .. } = gathered;
    let (verb, how) = match deed {
        Deed::Removed => ("removed", ""),
        Deed::Restored => ("restored", ""),
        Deed::GivenUp => ("removed", " for good"),
        Deed::Kept => ("kept", ""),
        Deed::Released => ("released", ""),
        Deed::NotRemoved => ("not removed, because kept:", ""),
        Deed::NotKept => ("not kept, because ring.keep_max allows no more:", ""),
        Deed::Grows => ("not kept, because what is behind it grows:", ""),
    };
    let what = match (*clips, cameras.len()) {
        (1, _) => format!("{}: {verb} the clip from {}", first.camera, utc_second(first.start)),
        (_, 1) => format!("{}: {verb} {clips} clips", first.camera),
        (_, cameras) => {
            format!("{verb} {clips} clips of {}", Counted(cameras as u64, "camera"))
        }
    };
    let until = match (deed, first.until) {
        (Deed::Removed, Some(until)) => format!(", restorable until {}", utc_second(until)),
        (Deed::Kept, None) => ", for ever".to_owned(),
        (Deed::Kept, Some(until)) => format!(", until {}", utc_second(until)),
        _ => String::new(),
    };
    format!("{what}{how}, {}{until}", size_text(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{Deeds, DoneTo};
    use crate::units::{BootTime, ByteCount, WallTime};

    fn lines(done: &[(Deed, &str)]) -> Vec<String> {
        let deeds = Deeds::default();
        for (deed, camera) in done {
            let (camera, bytes) = ((*camera).to_owned(), ByteCount(3 << 20));
            let (start, until) = (WallTime(1_500_000_000), Some(WallTime(86_400_999_999_999)));
            let clip = DoneTo { camera, start, bytes, until };
            deeds.gather(*deed, clip, BootTime(0));
        }
        deeds.take_all().iter().map(line).collect()
    }

    #[test]
    fn one_clip_is_told_by_its_time_and_many_by_their_number() {
        let one = lines(&[(Deed::Removed, "a"), (Deed::Restored, "b"), (Deed::GivenUp, "c")]);
        let wanted = [
            "a: removed the clip from 1970-01-01T00:00:01Z, 3.00 MiB, restorable until \
             1970-01-02T00:00:00Z",
            "b: restored the clip from 1970-01-01T00:00:01Z, 3.00 MiB",
            "c: removed the clip from 1970-01-01T00:00:01Z for good, 3.00 MiB",
        ];
        assert_eq!(one, wanted);
        let removed = lines(&[(Deed::Removed, "a"), (Deed::Removed, "b")]);
        let wanted =
            "removed 2 clips of 2 cameras, 6.00 MiB, restorable until 1970-01-02T00:00:00Z";
        assert_eq!(removed, [wanted]);
        assert_eq!(lines(&[(Deed::Restored, "a"); 312]), ["a: restored 312 clips, 936 MiB"]);
    }
}
