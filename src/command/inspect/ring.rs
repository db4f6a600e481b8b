//! The ring as a whole.

use serde::Serialize;

use super::row::Printer;
use crate::cli::quantity::size_text;
use crate::command::CommandError;
use crate::ring::{self, Inspection};
use crate::units::{ByteCount, WallTime};
use crate::view::utc_timestamp;

#[derive(Serialize)]
struct RingReport {
    uuid: String,
    label: String,
    created: String,
    node_uuid: String,
    pool_uuid: String,
    compat: u64,
    ro_compat: u64,
    incompat: u64,
    disk_label: bool,
    superblock_from_copy: bool,
    length_bytes: u64,
    block_bytes: u64,
    blocks: u32,
    ledger_area_bytes: u64,
    blocks_start: u64,
    overhead_bytes: u64,
    used_bytes: u64,
    expiring_bytes: u64,
    kept_bytes: u64,
    free_bytes: u64,
    session: u32,
    clean: bool,
    streams: usize,
    clips: usize,
    growing: usize,
    facts: usize,
    ledger: LedgerReport,
}

#[derive(Serialize)]
struct LedgerReport {
    pages_read: u32,
    rotten_pages: Vec<(usize, u32)>,
    torn_tail_pages: u32,
    unreadable_facts: u32,
    fell_back: bool,
}

pub(super) fn print(inspection: &Inspection<'_>, to: &mut Printer<'_>) -> Result<(), CommandError> {
    let report = report(inspection);
    if to.json {
        return to.object(&report);
    }
    for (name, value) in lines(&report, inspection.superblock.created, to.time_text) {
        writeln!(to.out, "{name:<14}{}", value.replace(char::is_control, "?"))?;
    }
    Ok(())
}

fn report(inspection: &Inspection<'_>) -> RingReport {
    let superblock = &inspection.superblock;
    let geometry = &superblock.geometry;
    let usage = inspection.usage();
    let uuid = |bytes| uuid::Uuid::from_bytes(bytes).to_string();
    let findings = &inspection.findings;
    RingReport {
        uuid: uuid(superblock.ring_uuid),
        label: superblock.label.clone(),
        created: utc_timestamp(superblock.created),
        node_uuid: uuid(superblock.node_uuid),
        pool_uuid: uuid(superblock.pool_uuid),
        compat: superblock.compat,
        ro_compat: superblock.ro_compat,
        incompat: superblock.incompat,
        disk_label: superblock.disk_label.is_some(),
        superblock_from_copy: inspection.superblock_from_copy,
        length_bytes: geometry.length.0,
        block_bytes: geometry.block_length.0,
        blocks: geometry.block_count,
        ledger_area_bytes: geometry.ledger_area.0,
        blocks_start: geometry.blocks_start.0,
        overhead_bytes: ring::overhead(geometry).0,
        used_bytes: usage.used.0,
        expiring_bytes: usage.expiring.0,
        kept_bytes: usage.kept.0,
        free_bytes: usage.free.0,
        session: inspection.session().0,
        clean: inspection.is_clean(),
        streams: inspection.streams().count(),
        clips: inspection.clips().filter(|(_, record)| record.state.is_some()).count(),
        growing: inspection.clips().filter(|(_, record)| record.state.is_none()).count(),
        facts: inspection.facts.len(),
        ledger: LedgerReport {
            pages_read: findings.pages_read,
            rotten_pages: findings.rotten.clone(),
            torn_tail_pages: findings.torn_tail,
            unreadable_facts: findings.unreadable_facts,
            fell_back: findings.fell_back,
        },
    }
}

fn lines(
    report: &RingReport,
    created: WallTime,
    time_text: &dyn Fn(WallTime) -> String,
) -> Vec<(&'static str, String)> {
    let size = |bytes| size_text(ByteCount(bytes));
    let ledger = &report.ledger;
    let features = (report.compat, report.ro_compat, report.incompat);
    let session = match report.clean {
        true => format!("{}, ended in order", report.session),
        false => format!("{}, running or ended without a word", report.session),
    };
    let mut lines = vec![
        ("UUID", report.uuid.clone()),
        ("label", report.label.clone()),
        ("created", time_text(created)),
        ("node", report.node_uuid.clone()),
        ("pool", report.pool_uuid.clone()),
        ("features", format!("{:#x} {:#x} {:#x}", features.0, features.1, features.2)),
        (
            "disk label",
            if report.disk_label { "says that the disk is taken" } else { "none" }.into(),
        ),
        ("size", size(report.length_bytes)),
        ("blocks", format!("{} of {}", report.blocks, size(report.block_bytes))),
        ("overhead", size(report.overhead_bytes)),
        ("used", size(report.used_bytes)),
        ("expiring", size(report.expiring_bytes)),
        ("kept", size(report.kept_bytes)),
        ("free", size(report.free_bytes)),
        ("session", session),
        ("streams", report.streams.to_string()),
        ("clips", format!("{}, {} growing", report.clips, report.growing)),
        ("ledger", format!("{} facts in {} pages", report.facts, ledger.pages_read)),
    ];
    if report.superblock_from_copy {
        lines.push(("damage", "the first superblock; its copy served".to_owned()));
    }
    if ledger.fell_back {
        lines.push(("damage", "the newest checkpoint; the one before it served".to_owned()));
    }
    if !ledger.rotten_pages.is_empty() {
        let count = ledger.rotten_pages.len();
        lines.push(("damage", format!("{count} ledger pages can't be read")));
    }
    if ledger.unreadable_facts > 0 {
        let count = ledger.unreadable_facts;
        lines.push(("damage", format!("{count} facts can't be understood")));
    }
    lines
}
