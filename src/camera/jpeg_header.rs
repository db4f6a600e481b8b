//! The header of a JPEG picture, written from what packets say of it (RFC 2435, appendices A and
//! B). Pure.

/// What packets say of their picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// RFC 2435, 3.1.3.
    pub(super) kind: u8,
    /// Width and height, in pixels.
    pub(super) size: (u16, u16),
    /// Blocks from restart marker to restart marker; 0 where there are none.
    pub(super) restart: u16,
}

/// Quantisation tables: one, or that of brightness and that of colours, and more that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tables(Vec<Vec<u8>>);

/// Numbers of a table, of eight bits each, or 16.
const NUMBERS: usize = 64;
/// Tables that a picture can have (ITU-T T.81, B.2.4.1).
const TABLES_MAX: usize = 4;

impl Tables {
    /// As they are sent (RFC 2435, 3.1.8): bits of `precision`, from the lowest, say which have
    /// numbers of 16 bits.
    pub(super) fn read(precision: u8, mut bytes: &[u8]) -> Option<Tables> {
        let mut tables = Vec::new();
        while !bytes.is_empty() && tables.len() < TABLES_MAX {
            let length = NUMBERS << (precision >> tables.len() & 1);
            let (table, rest) = bytes.split_at_checked(length)?;
            tables.push(table.to_vec());
            bytes = rest;
        }
        (!tables.is_empty()).then_some(Tables(tables))
    }

    fn is_wide(table: &[u8]) -> bool {
        table.len() > NUMBERS
    }
}

/// The tables of a quality from 1 to 99 (RFC 2435, appendix A).
pub(super) fn of_quality(quality: u8) -> Option<Tables> {
    let quality = (1..=99).contains(&quality).then_some(u32::from(quality))?;
    let factor = if quality < 50 { 5000 / quality } else { 200 - quality * 2 };
    let scaled = |number: &u8| ((u32::from(*number) * factor + 50) / 100).clamp(1, 255) as u8;
    let table = |numbers: &[u8; NUMBERS]| numbers.iter().map(scaled).collect();
    Some(Tables(vec![table(&BRIGHTNESS), table(&COLOURS)]))
}

impl Head {
    /// Samples of brightness for one of colour, across and down (RFC 2435, 4.1).
    pub(super) fn sampling(&self) -> Option<u8> {
        match self.kind & 0x3f {
            _ if self.kind > 127 => None,
            0 => Some(0x21),
            1 => Some(0x22),
            _ => None,
        }
    }

    /// All that stands before the coded picture.
    pub(super) fn written(&self, tables: &Tables) -> Vec<u8> {
        let mut to = Vec::with_capacity(1024);
        // The beginning, and what it is (JFIF 1.02, square pixels).
        to.extend([0xff, 0xd8]);
        segment(&mut to, 0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0");
        if self.restart > 0 {
            segment(&mut to, 0xdd, &self.restart.to_be_bytes());
        }
        let mut body = Vec::new();
        for (number, table) in (0..).zip(&tables.0) {
            body.push(u8::from(Tables::is_wide(table)) << 4 | number);
            body.extend(table);
        }
        segment(&mut to, 0xdb, &body);
        let mut body = Vec::new();
        for (number, (lengths, symbols)) in HUFFMAN {
            body.push(number);
            body.extend(lengths);
            body.extend(symbols);
        }
        segment(&mut to, 0xc4, &body);
        self.write_frame(&mut to, tables);
        // Each component with its Huffman tables, and all numbers of a block.
        segment(&mut to, 0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
        to
    }

    fn write_frame(&self, to: &mut Vec<u8>, tables: &Tables) {
        let mut body = vec![8];
        body.extend(self.size.1.to_be_bytes());
        body.extend(self.size.0.to_be_bytes());
        let colours = u8::from(tables.0.len() > 1);
        let sampling = self.sampling().unwrap_or(0x11);
        body.extend([3, 1, sampling, 0, 2, 0x11, colours, 3, 0x11, colours]);
        // The simplest process has tables of eight bits only (ITU-T T.81, table B.2).
        let is_simplest = !tables.0.iter().any(|table| Tables::is_wide(table));
        segment(to, if is_simplest { 0xc0 } else { 0xc1 }, &body);
    }
}

/// A marker with its length and what it says (ITU-T T.81, B.1.1.4).
fn segment(to: &mut Vec<u8>, marker: u8, body: &[u8]) {
    to.extend([0xff, marker]);
    to.extend((body.len() as u16 + 2).to_be_bytes());
    to.extend_from_slice(body);
}

/// Of quality 50, in the order in which a picture has them (ITU-T T.81, tables K.1 and K.2).
#[rustfmt::skip]
const BRIGHTNESS: [u8; NUMBERS] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
    29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
    95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];
#[rustfmt::skip]
const COLOURS: [u8; NUMBERS] = [
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Codes of each length from 1 to 16, and what they mean.
type Code = ([u8; 16], &'static [u8]);

/// What all pictures in packets are coded with (ITU-T T.81, tables K.3 to K.6), each with its class
/// and number: the steady parts of brightness and colours, then all others.
const HUFFMAN: [(u8, Code); 4] = [
    (0x00, (BRIGHTNESS_STEADY, &STEADY)),
    (0x01, (COLOURS_STEADY, &STEADY)),
    (0x10, (BRIGHTNESS_LENGTHS, &BRIGHTNESS_SYMBOLS)),
    (0x11, (COLOURS_LENGTHS, &COLOURS_SYMBOLS)),
];
const BRIGHTNESS_STEADY: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const COLOURS_STEADY: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const BRIGHTNESS_LENGTHS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
const COLOURS_LENGTHS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119];
const STEADY: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
#[rustfmt::skip]
const BRIGHTNESS_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
#[rustfmt::skip]
const COLOURS_SYMBOLS: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
