//! `reelfs format`: makes a ring, or plans one.

mod creation;
mod probe;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CommandError, unless_closed};
use crate::cli::plan::{self as planning, Overhead, Plan};
use crate::cli::quantity::{bit_rate_text, duration_text, size_text};
use crate::clock::Clock;
use crate::device::{Access, Device, FileDevice};
use crate::ring::{
    self, DiskLabel, FormatOptions, Geometry, LABEL_BYTES_MAX, RingError, Superblock,
};
use crate::units::{ByteCount, PAGE_BYTES};

/// Identifies the machine (machine-id(5)).
const MACHINE_ID_PATH: &str = "/etc/machine-id";

/// What is to become a ring.
#[derive(Clone, Debug)]
pub struct FormatRequest {
    /// A block device, or a file, which is created where there is none.
    pub path: PathBuf,
    /// Size of the file to be created; of something that exists, the size that it has.
    pub size: Option<ByteCount>,
    /// Size of a block; chosen by the size of the whole where it is `None`.
    pub block_size: Option<ByteCount>,
    /// A name for people; at most 64 bytes.
    pub label: Option<String>,
    /// The set of rings that it is to belong to; a set of its own where it is `None`.
    pub pool: Option<uuid::Uuid>,
    /// A new file's space is not allocated now.
    pub sparse: bool,
    /// Whether a whole disk gets a partition table that says that it is taken.
    pub disk_label: bool,
    /// What is on it may be overwritten.
    pub force: bool,
}

/// What a ring is planned for.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// A block device or a file; it need not exist if `size` is there.
    pub path: PathBuf,
    /// Size of the whole; that of what is at `path` where it is `None`.
    pub size: Option<ByteCount>,
    /// Size of a block; chosen by the size of the whole where it is `None`.
    pub block_size: Option<ByteCount>,
    /// What each camera sends, in bits a second.
    pub bit_rates: Vec<u64>,
}

/// Makes a ring and prints what was made.
///
/// # Errors
/// Something is on the device or using it, the sizes do not suit, or the system failed: see
/// [`CommandError`]. A file that was created for it is removed again.
pub fn format(
    request: &FormatRequest,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let label = checked_label(request.label.as_deref())?;
    let begun = creation::begun(&request.path)?;
    let existing = if begun.is_some() { None } else { length_of(&request.path)? };
    let length = wanted_length(&request.path, existing, request.size.or(begun))?;
    if let Some(begun) = begun.filter(|begun| *begun != length) {
        return Err(CommandError::Usage(format!(
            "{} was begun with {begun} bytes, not the {length} of --size: without --size it is \
             gone on with; remove it to begin anew",
            request.path.display()
        )));
    }
    let block_length = request.block_size.map(|size| size.0);
    Geometry::plan(length, block_length)
        .map_err(|reason| CommandError::Unsuitable { path: request.path.clone(), reason })?;
    if existing.is_none() {
        creation::create(&request.path, length, request.sparse)?;
    }
    let options = FormatOptions {
        block_length,
        label,
        ring_uuid: *uuid::Uuid::new_v4().as_bytes(),
        node_uuid: node_uuid(),
        pool_uuid: request.pool.map(uuid::Uuid::into_bytes),
        now: clock.read(),
        // What the device says of itself is asked once it is open.
        disk_label: None,
    };
    let made = make(request, existing.is_some(), &options).inspect_err(|_| {
        if existing.is_none() {
            // The file is this call's own; its name must not stand in the way of the next try.
            let _ = fs::remove_file(&request.path);
        }
    })?;
    unless_closed(print_made(&request.path, &made, out))
}

/// Prints how long the footage of some cameras will last, and what part is overhead.
///
/// # Errors
/// The sizes do not suit, or there is nothing to plan with. Nothing is changed in any case.
pub fn plan(request: &PlanRequest, out: &mut dyn Write) -> Result<(), CommandError> {
    let length = match request.size {
        Some(size) => size,
        None => length_of(&request.path)?.ok_or_else(|| missing_size(&request.path))?,
    };
    let geometry = Geometry::plan(length, request.block_size.map(|size| size.0))
        .map_err(|reason| CommandError::Unsuitable { path: request.path.clone(), reason })?;
    let rates = &request.bit_rates;
    let overhead = overhead(&geometry, rates);
    let plan = planning::plan(geometry.length, geometry.block_length, rates, &overhead)?;
    unless_closed(print_plan(&geometry, rates.len(), &plan, out))
}

fn checked_label(label: Option<&str>) -> Result<String, CommandError> {
    let label = label.unwrap_or_default();
    let wrong = |reason| Err(CommandError::Usage(format!("label {label:?}: {reason}")));
    if label.len() > LABEL_BYTES_MAX {
        return wrong(format!("{} bytes, at most {LABEL_BYTES_MAX} fit", label.len()));
    }
    if label.contains(char::is_control) {
        return wrong("has a control character".to_owned());
    }
    Ok(label.to_owned())
}

/// Length of the device or file; `None` where there is nothing.
fn length_of(path: &Path) -> Result<Option<ByteCount>, CommandError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(CommandError::System { what: path.display().to_string(), source });
        }
    };
    if metadata.file_type().is_block_device() {
        return Ok(Some(FileDevice::open(path, Access::ReadOnly)?.length()));
    }
    if !metadata.is_file() {
        let path = path.to_owned();
        return Err(CommandError::Device(crate::device::OpenError::WrongKind { path }));
    }
    Ok(Some(ByteCount(metadata.len())))
}

fn missing_size(path: &Path) -> CommandError {
    CommandError::Usage(format!("{} does not exist: --size makes it a file", path.display()))
}

fn wanted_length(
    path: &Path,
    existing: Option<ByteCount>,
    size: Option<ByteCount>,
) -> Result<ByteCount, CommandError> {
    match (existing, size) {
        (None, None) => Err(missing_size(path)),
        (None, Some(size)) => Ok(ByteCount(size.0 - size.0 % PAGE_BYTES)),
        (Some(length), None) => Ok(length),
        (Some(length), Some(size)) if length == size => Ok(length),
        (Some(length), Some(size)) => Err(CommandError::Usage(format!(
            "{} has {length} bytes, not the {size} of --size: without --size it is used as it is",
            path.display()
        ))),
    }
}

fn make(
    request: &FormatRequest,
    existed: bool,
    options: &FormatOptions,
) -> Result<Superblock, CommandError> {
    let device = FileDevice::open(&request.path, Access::Exclusive)?;
    if existed && !request.force {
        probe::refuse_occupied(&request.path, &device)?;
    }
    let mut options = options.clone();
    if request.disk_label {
        options.disk_label = disk_label_of(&request.path, &device)?;
    }
    ring::format(&device, &options).map_err(|reason| match reason {
        RingError::Unsuitable(reason) => {
            CommandError::Unsuitable { path: request.path.clone(), reason }
        }
        reason => CommandError::Ring { path: request.path.clone(), reason },
    })
}

/// What tells other programs that all of it is taken; `None` on a file or a partition.
pub(super) fn disk_label_of(
    path: &Path,
    device: &FileDevice,
) -> Result<Option<DiskLabel>, CommandError> {
    let sector = device.whole_disk_sector();
    let sector = sector
        .map_err(|source| CommandError::System { what: path.display().to_string(), source })?;
    Ok(sector.map(|sector| DiskLabel::new(device.length(), sector)))
}

/// The machine's own number, or a random one where it has none.
fn node_uuid() -> [u8; 16] {
    let text = fs::read_to_string(MACHINE_ID_PATH).unwrap_or_default();
    let known = uuid::Uuid::try_parse(text.trim());
    known.unwrap_or_else(|_| uuid::Uuid::new_v4()).into_bytes()
}

fn print_made(path: &Path, made: &Superblock, out: &mut dyn Write) -> Result<(), CommandError> {
    let geometry = &made.geometry;
    let overhead = ring::overhead(geometry);
    let rows = [
        ("ring", path.display().to_string()),
        ("UUID", uuid::Uuid::from_bytes(made.ring_uuid).to_string()),
        ("label", made.label.clone()),
        ("size", size_text(geometry.length)),
        ("blocks", geometry.block_count.to_string()),
        ("block size", size_text(geometry.block_length)),
        ("overhead", format!("{} ({})", size_text(overhead), part(overhead, geometry.length))),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "{name:<12}{value}")?;
    }
    Ok(out.flush()?)
}

fn part(of: ByteCount, whole: ByteCount) -> String {
    percent(of.0 as f64 / whole.0.max(1) as f64)
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

/// What the ring's format and the recorder's habits cost; see `ring/FORMAT.md`.
fn overhead(geometry: &Geometry, bit_rates: &[u64]) -> Overhead {
    /// A chunk is cut at the first key frame after half a flush interval, or when a flush comes.
    const CHUNK_LENGTH: Duration = Duration::from_millis(1500);
    /// At 25 a second.
    const CHUNK_SAMPLES: u64 = 38;
    /// In the chunk's own table, and once more in the clip's.
    const SAMPLE_BYTES: u64 = 2 * 5;
    const CHECKSUM_BYTES: u64 = 4;
    /// A chunk with the parameter set, which each block has of its own.
    const PARAMETER_BYTES: u64 = PAGE_BYTES;
    let rates: u64 = bit_rates.iter().fold(0, |sum, rate| sum.saturating_add(*rate));
    let mean = rates / 8 / bit_rates.len().max(1) as u64;
    let data = (mean as f64 * CHUNK_LENGTH.as_secs_f64()) as u64;
    let checksums = data.div_ceil(ring::UNIT_BYTES as u64) * CHECKSUM_BYTES;
    let header = ring::CHUNK_FIXED_BYTES as u64 + CHUNK_SAMPLES * SAMPLE_BYTES + checksums;
    Overhead {
        fixed: ring::overhead(geometry),
        block_header: ByteCount(ring::BLOCK_HEADER_BYTES + PARAMETER_BYTES),
        chunk: ByteCount(header + PAGE_BYTES / 2),
        chunk_length: CHUNK_LENGTH,
    }
}

fn print_plan(
    geometry: &Geometry,
    cameras: usize,
    plan: &Plan,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let hours = plan.retention.as_secs_f64() / 3600.0;
    let rows = [
        ("size", size_text(geometry.length)),
        ("blocks", format!("{} of {}", plan.blocks, size_text(geometry.block_length))),
        ("cameras", format!("{cameras}, together {}", bit_rate_text(plan.bit_rate))),
        ("holds", format!("{hours:.1} hours ({})", duration_text(plan.retention))),
        ("overhead", percent(plan.overhead)),
    ];
    for (name, value) in rows {
        writeln!(out, "{name:<12}{value}")?;
    }
    Ok(out.flush()?)
}
