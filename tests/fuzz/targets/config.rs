//! Configurations, and the words in them that have a grammar of their own.

use std::hint::black_box;
use std::path::Path;

use reelfs::cli::quantity;
use reelfs::config::{Config, duration};
use reelfs::view::Layout;

use super::Seed;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(length) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::text(length)), Ok(length));
    }
    if let Ok(size) = quantity::parse_size(text) {
        black_box(quantity::size_text(size));
    }
    if let Ok(rate) = quantity::parse_bit_rate(text) {
        black_box(quantity::bit_rate_text(rate));
    }
    // No file lies beside this one: a password file that it names is not there.
    match Config::parse(Path::new("/dev/null/reelfs.toml"), text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(config) => {
            for view in &config.views {
                drop(Layout::parse(&view.layout));
                black_box(view.cameras.has("front-door"));
            }
            for camera in &config.cameras {
                black_box(config.retain_of(camera.name.as_str()));
                drop(camera.session());
            }
        }
    }
}

pub fn seeds() -> Vec<Seed> {
    let whole = "\
[ring]
device = \"/dev/sdb\"
index = \"index\"
flush = \"2s\"
[view]
mount = \"/cams\"
zone = \"Europe/Berlin\"
layout = \"default\"
clip = \"10m\"
[purge]
retain = \"30d\"
grace = \"1h\"
wipe = true
[[camera]]
name = \"front-door\"
url = \"rtsp://10.0.0.2:554/main\"
username = \"me\"
password_file = \"door.password\"
retain = \"90d\"
";
    let least = "[ring]\ndevice = \"d\"\n[view]\nmount = \"m\"\n";
    let views = "[ring]\ndevice = \"d\"\n[[view]]\nmount = \"m\"\n[[view]]\nmount = \"n\"\n\
                 layout = \"frigate\"\ncameras = [\"front*\", \"yard\"]\nread_only = true\n\
                 uid = 0x3e8\ngid = 0\numask = \"027\"\n";
    let twice = "[[camera]]\nname = 'a'\nurl = \"rtsp://[::1]/\"\n[[camera]]\nname = 'a'\n";
    let seeds = [
        ("whole", whole),
        ("least", least),
        ("views", views),
        ("twice", twice),
        ("length", "1h30m"),
    ];
    let mut seeds: Vec<Seed> = seeds.map(|(name, text)| (name, text.as_bytes().to_vec())).into();
    seeds.push(("size", b"1.5 GiB".to_vec()));
    seeds
}
