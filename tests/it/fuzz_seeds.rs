//! The seeds of the fuzz targets, each once through its target: what was found there stays mended.

use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

type Target = fn(&[u8]);

#[test]
fn every_seed_passes_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let all: [(&str, Target); 6] = [
        ("authorization", targets::authorization::run),
        ("body", targets::body::run),
        ("config", targets::config::run),
        ("forwarded", targets::forwarded::run),
        ("jwt", targets::jwt::run),
        ("path", targets::path::run),
    ];
    let mut failed = Vec::new();
    for (target, run) in all {
        let seeds = folder.join(target).read_dir().unwrap();
        let seeds: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
        assert!(seeds.len() >= 30, "{target} has {} seeds", seeds.len());
        for seed in seeds {
            let bytes = std::fs::read(&seed).unwrap();
            if catch_unwind(|| run(&bytes)).is_err() {
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
