//! A ledger and blocks that were both changed: facts that lie about chunks that lie.

use super::Seed;
use super::image::{base, exercise};
use super::input::{Input, Output};
use super::{blocks, ledger};

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let pages = input.part();
    let mut image = base();
    ledger::change(&mut image, pages);
    blocks::change(&mut image, input.0);
    exercise(image);
}

pub fn seeds() -> Vec<Seed> {
    let of = |seeds: Vec<Seed>, name: &str| {
        let found = seeds.into_iter().find(|(known, _)| *known == name);
        found.expect("a seed").1
    };
    let both = |pages: &str, steps: &str| {
        let steps = of(blocks::seeds(), steps);
        Output::default().part(&of(ledger::seeds(), pages)).bytes(&steps).0
    };
    vec![("chunk", both("behind", "chunk")), ("life", both("alone", "life"))]
}
