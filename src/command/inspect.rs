//! `reelfs inspect`: what is in a ring, read-only, also while the daemon runs.

mod block;
mod blocks;
mod clips;
mod ledger;
mod records;
mod ring;
mod row;
mod selection;
mod streams;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

pub use selection::Selection;

use super::contents::of_ring;
use super::{CommandError, unless_closed};
use crate::device::{Access, FileDevice};
use crate::ring::Inspection;
use crate::units::{BlockNumber, WallTime};
use row::Printer;
use streams::Streams;

/// What to show of a ring.
pub struct InspectRequest<'a> {
    /// The block device or file.
    pub path: PathBuf,
    /// What of it.
    pub subject: Subject,
    /// Which of them.
    pub selection: Selection,
    /// JSON for programs (one array, an object a line) rather than tables for people.
    pub json: bool,
    /// How times are shown to people.
    pub time_text: &'a dyn Fn(WallTime) -> String,
}

/// What of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Superblock, geometry, how full.
    Ring,
    /// Streams with their names.
    Streams,
    /// Clips.
    Clips,
    /// Blocks.
    Blocks,
    /// Chunks and samples of these blocks.
    Block(Vec<BlockNumber>),
    /// Facts of the ledger, in order.
    Ledger,
    /// Timed records, in order.
    Records,
}

/// Prints what is asked for.
///
/// # Errors
/// There is no ring, it can't be read, or the selection names what it does not have.
pub fn inspect(request: &InspectRequest<'_>, out: &mut dyn Write) -> Result<(), CommandError> {
    let device = FileDevice::open(&request.path, Access::ReadOnly)?;
    let fail = of_ring(&request.path);
    let inspection = Inspection::open(&device).map_err(&fail)?;
    let streams = Streams::of(&inspection);
    let selection = &request.selection;
    let wanted = streams.wanted(selection.camera.as_deref())?;
    let mut out = BufWriter::new(out);
    let mut to = Printer { out: &mut out, json: request.json, time_text: request.time_text };
    let printed = match &request.subject {
        Subject::Ring => ring::print(&inspection, &mut to),
        Subject::Streams => to.rows(streams.rows(&inspection, &wanted).into_iter().map(Ok)),
        Subject::Clips => {
            to.rows(clips::rows(&inspection, &streams, &wanted, selection).into_iter().map(Ok))
        }
        Subject::Blocks => {
            let selected = blocks::selected(&inspection, &wanted, selection);
            let rows = selected.into_iter();
            to.rows(rows.map(|block| blocks::row(&inspection, &streams, &block).map_err(&fail)))
        }
        Subject::Block(numbers) => {
            block::print(&inspection, &streams, numbers, &request.path, &mut to)
        }
        Subject::Ledger => {
            to.rows(ledger::rows(&inspection, &streams, &wanted, selection).into_iter().map(Ok))
        }
        Subject::Records => {
            records::print(&inspection, &streams, &wanted, selection, &fail, &mut to)
        }
    };
    let flushed = printed.and_then(|()| Ok(out.flush()?));
    unless_closed(flushed)
}
