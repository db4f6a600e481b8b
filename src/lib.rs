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
//! | [`probe`] | one camera, listened to for a while: what it is, which settings suit it |
//! | [`control`] | what a daemon is asked to do while it runs, over a socket |
//! | [`cli`], [`config`] | words and settings; the only source of help, completions, man pages |
//! | [`mount`] | FUSE requests in, tree and pieces out; the only room that knows fuser and errno |
//! | [`shown`] | what is shown: the one owner of each tree, who tells whoever watches it |
//! | [`library`] | the interface to footage: reading, changing, telling |
//! | [`recorder`] | one stream's life: connect, chunk, cut into clips, reconnect |
//! | [`camera`] | cameras in, samples out; the only room that knows RTSP and retina |
//! | [`onvif`] | cameras that say what they are and where: found, and asked for their streams |
//! | [`purge`] | carries expiry and redating out, in the background |
//! | [`status`] | what the daemon and a ring say of themselves; pure |
//! | [`check`] | compares superblocks, ledger, blocks and index; scrubs in the background |
//! | [`archive`] | what the ring's bytes mean: clips closed, clips opened as files |
//! | [`playlist`] | HLS playlists of files of segments; pure |
//! | [`retention`] | what claims clips, which expire and why; pure |
//! | [`dating`] | which clips were recorded on a wrong clock, and by how much; pure |
//! | [`view`] | catalogue to directories, names, sizes, inodes; pure |
//! | [`live`] | what cameras send at this moment, for whoever watches |
//! | [`compilation`] | parts of clips as one file, in each container; pure |
//! | [`mp4`] | chunks to size, boxes and pieces; pure |
//! | [`blank`] | pictures and sound that show that there is nothing; pure |
//! | [`catalogue`] | streams, clips and their states in memory, from facts; pure |
//! | [`index`] | contents of clips on a fast disk; the only room that knows sled |
//! | [`segment`] | what chunks and facts mean: samples, times, parameters, clips; pure |
//! | [`ring`] | blocks, chunks, ledger: a crash-safe ring of opaque bytes and facts on a device |
//! | [`device`], [`clock`] | the only doors to the disk and to time |
//! | [`named`] | what a name asks for that is made by being named: times and a form; pure |
//! | [`flac`] | blocks of samples as FLAC; pure |
//! | [`captions`] | the time on the wall as subtitles; pure |
//! | [`demux`] | files of others taken apart: tracks, samples, times |
//! | `matroska` | numbers of Matroska's elements |
//! | `audio` | what packets of sound say of themselves; pure |
//! | [`zone`] | local time, by the time zone database or by rules; pure |
//! | [`logged`] | the last lines of the log |
//! | [`wire`], [`bits`] | how numbers are written |
//! | [`units`] | types for offsets, counts, ticks, sequences |
//!
//! tokio stays in `camera`, `control`, `recorder`, `probe` and `daemon`; everything else is
//! synchronous.
//!
//! # Where a frame goes
//!
//! `camera` hands a frame to `recorder`, which gives it its times and collects a second or two
//! into a chunk. `ring` writes chunks of all streams and flushes once per interval. What a flush
//! covers, `archive`'s updater adds up in the `catalogue`. When the clip ends its fact goes to the
//! ledger; when that is durable the `view` lists it, and the `mount` shows it. A reader's `open`
//! has `archive` lay the clip's chunks out with `mp4`; each read is a `pread` and a checksum. A
//! range is laid out of the facts of its clips, and their tables are made as it is read.
//!
//! # Promises
//!
//! Each with the test that holds it; `tests/layers.rs` sees to it that the test exists.
//!
//! 1. **The ring is the truth.** Media, tables, parameters, clips, states, streams and
//!    observations can be read back from the device alone.
//!    `test: removed_clips_stay_hidden_and_all_others_as_they_were_without_the_index`
//!    `test: a_damaged_index_costs_no_byte_no_listing_and_no_frame`
//!    `test: without_any_ledger_a_rescue_finds_every_clip_as_it_was`
//! 2. **What is listed is on disk.** A sample is in a listed file only after a flush covers it.
//!    `test: a_cut_after_any_write_or_flush_loses_nothing_that_was_acknowledged`
//! 3. **A closed file never changes:** same name, inode, size and bytes for every reader, after
//!    restarts, index losses and upgrades. A clip that was recorded on a wrong clock is *redated*,
//!    once, when the right time is known: its file is gone then, and another one is there, with
//!    another name, inode and times, for which the same is promised. An inode has one content.
//!    `test: two_clips_in_one_second_keep_their_names_when_the_other_is_deleted`
//!    `test: the_image_of_version_1_opens_and_its_clip_has_the_bytes_that_it_always_had`
//!    `test: what_was_recorded_before_the_clock_was_right_gets_its_times_and_keeps_them`
//!    So it is in every view, under one layout and zone.
//!    `test: each_view_has_its_own_names_cameras_owner_and_permissions_over_a_restart`
//! 4. **Time in a file is time on the wall.** A gap is never papered over: a pause of the camera
//!    lasts in the file as long as it did, and is told; one of ten seconds that is not the camera's
//!    usual step, or a jump of time, ends the clip.
//!    `test: every_frame_is_in_the_clips_bit_exact_and_on_time`
//!    `test: a_clock_that_is_off_by_a_steady_rate_or_says_nothing_gives_times_that_are_right`
//! 5. **A power cut costs at most the flush interval plus one second** of each stream, and nothing
//!    that was flushed before.
//!    `test: a_killed_daemon_loses_no_more_than_the_flush_interval_and_a_second`
//!    `test: a_daemon_that_is_killed_again_and_again_keeps_what_it_had`
//!    `test: whatever_the_disk_does_recording_goes_on_and_a_power_cut_costs_little`
//! 6. **`rm` hides at once and is durable within the flush interval.** Once purged, no sample can
//!    be read through the mount; with `purge.wipe`, none from the device either.
//!    `test: a_synced_removal_is_durable_at_once`
//!    `test: a_removed_clip_is_in_the_trash_over_a_crash_and_mv_brings_it_back`
//!    `test: no_byte_of_a_purged_clip_is_left_on_the_device_and_its_neighbours_are_intact`
//! 7. **Kept footage is never overwritten,** within a budget that the operator sets and `df` shows.
//!    `test: nothing_young_kept_or_restorable_is_ever_purged`
//!    `test: kept_footage_outlives_a_ring_that_turns_round_ten_times`
//!    `test: a_cut_after_any_write_or_flush_loses_nothing_that_was_acknowledged`
//! 8. **An overwritten or damaged file is an error to its reader, never other bytes.**
//!    `test: a_flipped_bit_costs_the_unit_that_it_is_in`
//!    `test: a_lost_block_costs_its_own_samples_and_no_others`
//!    `test: a_file_that_is_open_while_its_clip_is_evicted_reads_its_own_bytes_or_an_error`
//! 9. **Recording waits for nobody:** what cannot be stored is dropped, always up to the
//!    next group of pictures, counted, logged, and shown as a gap. What arrives and can be stored
//!    is stored, also behind a lost packet, marked as damaged.
//!    `test: a_ring_that_does_not_keep_up_costs_whole_groups_and_nothing_else`
//!    `test: a_disk_that_stalls_costs_whole_groups_beyond_the_queue_and_no_session`
//!    `test: what_follows_a_lost_packet_is_kept_and_marked_up_to_the_next_key_frame`
//! 10. **Nothing read from a disk, a network or a file can panic the daemon** or make it allocate
//!     without bound.
//!     `test: a_ring_that_cannot_be_used_is_refused_by_name_and_reason`
//!     `test: every_target_starts_from_what_real_code_makes` (`scripts/fuzz`)
//!     `test: a_camera_that_cannot_be_recorded_says_why_and_disturbs_no_other`
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | *ring* | a device or file that reelfs has formatted; its oldest footage makes room for new |
//! | *block* | the unit of space, 1 to 256 MiB: one stream writes into it at a time |
//! | *life* | one use of a block, from its reservation until it is free; its number never returns |
//! | *page* | 4096 bytes: what is written and read at once |
//! | *unit* | a stretch of a chunk's samples with a checksum of its own: what a read verifies |
//! | *chunk* | a second or two of one clip's samples, with their table, written at once |
//! | *extent* | consecutive chunks of one clip in one block |
//! | *stream* | a camera's footage over all time; its number is the ring's, its UUID the world's |
//! | *clip* | what is shown as one file: from one boundary of the clock, or a gap, to the next |
//! | *run* | samples of one session with a camera, on one time line |
//! | *gap* | time of which samples are missing: they could not be stored; it ends the clip |
//! | *pause* | time in a clip in which nothing came and nothing was lost: a long sample |
//! | *damaged* | of a frame: something was lost in it, or before it in its group |
//! | *observation* | what is noted of a stream at a time: lost packets, a jump of the clock |
//! | *fact* | one entry of the ledger; all facts in force are the ring's state |
//! | *ledger* | the areas of the device that hold the facts: a checkpoint, and the log behind it |
//! | *epoch* | the count of flushes; each page and chunk says in which one it was written |
//! | *session* | the time from one opening of the ring to the next |
//! | *chunk table* | which samples a chunk holds: track, size, duration, offset, key frame |
//! | *clip table* | where a clip's chunks are, with their tables: what opens it in one read |
//! | *table copy* | a clip's table once more, in another block |
//! | *root* | one digest of what a clip holds, wherever it lies |
//! | *seal* | the checksum of the header of an extent's last chunk: what proves it whole |
//! | *kept* | a clip that nothing removes before its protection is taken back |
//! | *expiring* | a clip in the trash: restorable until its deadline |
//! | *found* | a clip in the trash that nobody can vouch for, because facts were lost |
//! | *purging* | a clip that is being freed; nothing brings it back |
//! | *redated* | a clip that was recorded on a wrong clock, and has its right times |
//! | *event* | something that a source says about a stream between two times |
//! | *claim* | why footage stays, and until when: its age, or an event |
//! | *retired* | a clip that nothing claims: in the trash as *quiet*, until no event can come |
//! | *snapshot* | a growing clip as it is at one moment, as a file |
//! | *view* | a mount of the ring: clips of some cameras under one layout, zone and owner |
//! | *layout* | the pattern of the paths that clips have in a view |
//! | *range* | what a camera recorded between two times, as a file that is made by being named |
//! | *part* | of such a file: a clip, a piece of one, or what is made for a gap |
//!
//! # Locks
//!
//! A lock is held for moments, never across I/O (but a line of the log) or a wait, and alone, but
//! for these pairs, the outer one first:
//!
//! | outer | inner | why |
//! |---|---|---|
//! | states asked for (`ring`) | the ring's shared state | requests are served as answered |
//! | parts (`daemon`) | counters of purge, scrub, recorders | one status is of one moment |
//! | a file that is read (`live`) | the frames of its stream | a read takes those that are there |
//! | asking (`device`) | state of the device | one thread at a time asks whether it is there |
//!
//! The last one alone is held across two reads of a page: nothing else waits for it. Whoever is
//! told of something ([`ring::Interpreter`], [`archive::Listener`], [`library::Watcher`]) is
//! called under no lock; [`device::DeviceHolder`] alone hears that its device is gone under the
//! last one.
//!
//! The lock of a search of the network (`camera`) is one that tasks wait for, not threads: whoever
//! needs a search waits for the one that is under way, and has its answer.
//!
//! # Where to begin
//!
//! `ring/FORMAT.md` (included in [`ring`]) is the one description of the bytes on disk. Then
//! [`segment`] for what they mean, [`archive`] for how they become files, [`daemon`] for how it is
//! all put together.

pub mod archive;
mod audio;
pub mod bits;
pub mod blank;
pub mod camera;
pub mod captions;
pub mod catalogue;
pub mod check;
pub mod cli;
pub mod clock;
pub mod command;
pub mod compilation;
pub mod config;
pub mod control;
pub mod daemon;
pub mod dating;
pub mod demux;
pub mod device;
pub mod flac;
pub mod import;
pub mod index;
pub mod library;
pub mod live;
pub mod logged;
mod matroska;
pub mod mount;
pub mod mp4;
pub mod named;
pub mod onvif;
pub mod playlist;
pub mod probe;
pub mod purge;
pub mod recorder;
pub mod retention;
pub mod ring;
pub mod segment;
pub mod shown;
pub mod status;
pub mod units;
pub mod view;
pub mod wire;
pub mod zone;
