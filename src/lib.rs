//! reelfs: a recorder for cameras whose archive is a file system.
//!
//! One daemon pulls RTSP streams, writes them into a ring on a raw block device, and mounts a tree
//! of ordinary mp4 files over it. No media is transcoded and no container is ever written: an mp4
//! comes into being as it is read.
//!
//! # The rooms
//!
//! A file or folder of `src/` is a room: it has one purpose, said in its first line. A room names
//! only rooms that stand below it here; `tests/layers.rs` holds it to that, and holds each outside
//! crate to its one room.
//!
//! | room | purpose |
//! |---|---|
//! | [`command`] | one command each: from plain values to printed lines and an error |
//! | [`daemon`] | wires the rooms, owns threads, signals and the order of shutdown |
//! | [`mod@import`] | existing mp4 files in |
//! | [`cli`], [`config`] | words and settings; the only source of help, completions, man pages |
//! | [`mount`] | FUSE requests in, tree and pieces out; the only room that knows fuser and errno |
//! | [`recorder`] | one stream's life: connect, chunk, cut into clips, reconnect |
//! | [`camera`] | RTSP in, samples out; the only room that knows retina |
//! | [`purge`] | carries expiry out, in the background |
//! | [`status`] | what the daemon and a ring say of themselves; pure |
//! | [`archive`] | what the ring's bytes mean: clips sealed, clips opened as files |
//! | [`retention`] | which clips expire and why; pure |
//! | [`view`] | catalogue to directories, names, sizes, inodes; pure |
//! | [`mp4`] | chunks to size, boxes and pieces; pure |
//! | [`catalogue`] | streams, clips and their states in memory, from facts; pure |
//! | [`index`] | contents of clips on a fast disk; the only room that knows sled |
//! | [`segment`] | what chunks and facts mean: samples, times, parameters, clips; pure |
//! | [`ring`] | blocks, chunks, ledger: a crash-safe ring of opaque bytes and facts on a device |
//! | [`device`], [`clock`] | the only doors to the disk and to time |
//! | [`wire`], [`units`] | how numbers are written; types for offsets, counts, ticks, sequences |
//!
//! tokio stays in `camera`, `recorder` and `daemon`; everything else is synchronous.
//!
//! # Where a frame goes
//!
//! `camera` hands a frame to `recorder`, which gives it its times and collects a second or two
//! into a chunk. `ring` writes chunks of all streams and flushes once per interval. What a flush
//! covers, `archive`'s scribe adds up in the `catalogue`. When the clip ends its fact goes to the
//! ledger; when that is durable the `view` lists it, and the `mount` shows it. A reader's `open`
//! has `archive` lay the clip's chunks out with `mp4`; each read is a `pread` and a checksum.
//!
//! # Promises
//!
//! Each has its test; what must hold for it stands beside the code that holds it.
//!
//! 1. **The ring is the truth.** Media, tables, parameters, clips, states, streams and
//!    observations can be read back from the device alone.
//! 2. **What is listed is on disk.** A sample is in a listed file only after a flush covers it.
//! 3. **A closed file never changes:** same name, inode, size and bytes for every reader, after
//!    restarts, index losses and upgrades.
//! 4. **Time in a file is time on the wall.** A gap ends the clip and is never papered over.
//! 5. **A power cut costs at most the flush interval plus one second** of each stream, and nothing
//!    that was flushed before.
//! 6. **`rm` hides at once and is durable within the flush interval.** Once purged, no sample can
//!    be read through the mount; with `purge.wipe`, none from the device either.
//! 7. **Kept footage is never overwritten.**
//! 8. **An overwritten or damaged file is an error to its reader, never other bytes.**
//! 9. **Recording waits for nobody:** what cannot be stored is dropped in whole groups of
//!    pictures, counted, logged, and shown as a gap.
//! 10. **Nothing read from a disk, a network or a file can panic the daemon** or make it allocate
//!     without bound.
//!
//! # Where to begin
//!
//! `ring/FORMAT.md` (included in [`ring`]) is the one description of the bytes on disk. Then
//! [`segment`] for what they mean, [`archive`] for how they become files, [`daemon`] for how it is
//! all put together.

pub mod archive;
pub mod camera;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod device;
pub mod import;
pub mod index;
pub mod mount;
pub mod mp4;
pub mod purge;
pub mod recorder;
pub mod retention;
pub mod ring;
pub mod segment;
pub mod status;
pub mod units;
pub mod view;
pub mod wire;
