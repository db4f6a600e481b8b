//! What those who write Matroska and those who read it have in common.

use crate::units::NANOS_PER_SECOND;

/// 2001-01-01 UTC, where dates count from (RFC 8794, 7.6), in nanoseconds since 1970.
pub(crate) const EPOCH_NANOS: i64 = 978_307_200 * NANOS_PER_SECOND;

/// Numbers of elements (RFC 9559, 5.1).
pub(crate) mod id {
    pub(crate) const EBML: u32 = 0x1A45_DFA3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(crate) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(crate) const SEEK: u32 = 0x4DBB;
    pub(crate) const SEEK_ID: u32 = 0x53AB;
    pub(crate) const SEEK_POSITION: u32 = 0x53AC;
    pub(crate) const INFO: u32 = 0x1549_A966;
    pub(crate) const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
    pub(crate) const DURATION: u32 = 0x4489;
    pub(crate) const DATE: u32 = 0x4461;
    pub(crate) const MUXING_APP: u32 = 0x4D80;
    pub(crate) const WRITING_APP: u32 = 0x5741;
    pub(crate) const TRACKS: u32 = 0x1654_AE6B;
    pub(crate) const TRACK_ENTRY: u32 = 0xAE;
    pub(crate) const TRACK_NUMBER: u32 = 0xD7;
    pub(crate) const TRACK_UID: u32 = 0x73C5;
    pub(crate) const TRACK_TYPE: u32 = 0x83;
    pub(crate) const FLAG_LACING: u32 = 0x9C;
    pub(crate) const LANGUAGE: u32 = 0x0022_B59C;
    pub(crate) const CODEC: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(crate) const CODEC_DELAY: u32 = 0x56AA;
    pub(crate) const SEEK_PRE_ROLL: u32 = 0x56BB;
    pub(crate) const VIDEO: u32 = 0xE0;
    pub(crate) const PIXEL_WIDTH: u32 = 0xB0;
    pub(crate) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(crate) const DISPLAY_WIDTH: u32 = 0x54B0;
    pub(crate) const DISPLAY_HEIGHT: u32 = 0x54BA;
    pub(crate) const AUDIO: u32 = 0xE1;
    pub(crate) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(crate) const CHANNELS: u32 = 0x9F;
    pub(crate) const CUES: u32 = 0x1C53_BB6B;
    pub(crate) const CUE_POINT: u32 = 0xBB;
    pub(crate) const CUE_TIME: u32 = 0xB3;
    pub(crate) const CUE_TRACK_POSITIONS: u32 = 0xB7;
    pub(crate) const CUE_TRACK: u32 = 0xF7;
    pub(crate) const CUE_CLUSTER_POSITION: u32 = 0xF1;
    pub(crate) const CLUSTER: u32 = 0x1F43_B675;
    pub(crate) const TIMESTAMP: u32 = 0xE7;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(crate) const DEFAULT_DURATION: u32 = 0x0023_E383;
    pub(crate) const DISPLAY_UNIT: u32 = 0x54B2;
    pub(crate) const COLOUR: u32 = 0x55B0;
    pub(crate) const MATRIX_COEFFICIENTS: u32 = 0x55B1;
    pub(crate) const RANGE: u32 = 0x55B9;
    pub(crate) const TRANSFER_CHARACTERISTICS: u32 = 0x55BA;
    pub(crate) const PRIMARIES: u32 = 0x55BB;
    pub(crate) const PROJECTION: u32 = 0x7670;
    pub(crate) const PROJECTION_TYPE: u32 = 0x7671;
    pub(crate) const PROJECTION_POSE_ROLL: u32 = 0x7675;
    pub(crate) const BIT_DEPTH: u32 = 0x6264;
    pub(crate) const CONTENT_ENCODINGS: u32 = 0x6D80;
    pub(crate) const CONTENT_ENCODING: u32 = 0x6240;
    pub(crate) const CONTENT_COMPRESSION: u32 = 0x5034;
    pub(crate) const CONTENT_COMP_ALGO: u32 = 0x4254;
    pub(crate) const CONTENT_COMP_SETTINGS: u32 = 0x4255;
    pub(crate) const CONTENT_ENCRYPTION: u32 = 0x5035;
    pub(crate) const BLOCK_GROUP: u32 = 0xA0;
    pub(crate) const BLOCK: u32 = 0xA1;
    pub(crate) const BLOCK_DURATION: u32 = 0x9B;
    pub(crate) const REFERENCE_BLOCK: u32 = 0xFB;
    pub(crate) const REFERENCE_PRIORITY: u32 = 0xFA;
    pub(crate) const DISCARD_PADDING: u32 = 0x75A2;
    pub(crate) const BLOCK_ADDITIONS: u32 = 0x75A1;
    pub(crate) const CODEC_STATE: u32 = 0xA4;
    pub(crate) const SLICES: u32 = 0x8E;
    pub(crate) const SILENT_TRACKS: u32 = 0x5854;
    pub(crate) const POSITION: u32 = 0xA7;
    pub(crate) const PREV_SIZE: u32 = 0xAB;
    pub(crate) const VOID: u32 = 0xEC;
    pub(crate) const CRC_32: u32 = 0xBF;
    pub(crate) const ATTACHMENTS: u32 = 0x1941_A469;
    pub(crate) const CHAPTERS: u32 = 0x1043_A770;
    pub(crate) const TAGS: u32 = 0x1254_C367;
}
