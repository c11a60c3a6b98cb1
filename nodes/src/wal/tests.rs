//! Damage of every kind at every byte: a prefix or an error, never a changed record.

use std::path::Path;

use proptest::prelude::*;

use super::*;

type Log = Wal<Vec<u8>>;

fn open(dir: &Path) -> (Log, Recovered<Vec<u8>>) {
    Wal::open(dir).expect("the log opens")
}

fn record(number: u8) -> Vec<u8> {
    vec![number; usize::from(number % 7) * 3]
}

/// Three batches of three records, each made durable; the offsets at which batches end.
fn three_batches(dir: &Path) -> (Vec<Vec<u8>>, Vec<u64>) {
    let (mut wal, _) = open(dir);
    let mut records = Vec::new();
    let mut ends = vec![wal.size()];
    for batch in 0..3 {
        let new: Vec<Vec<u8>> = (0..3).map(|at| record(batch * 3 + at + 1)).collect();
        wal.append(&new).expect("room on the disk");
        wal.sync().expect("a disk that works");
        ends.push(wal.size());
        records.extend(new);
    }
    (records, ends)
}

#[test]
fn records_come_back_in_order_over_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("deep/er");
    for life in 0..4u8 {
        let (mut wal, recovered) = open(&path);
        assert_eq!(recovered.records, (0..life).map(record).collect::<Vec<_>>());
        assert_eq!(recovered.torn, 0);
        wal.append(&[record(life)]).expect("room on the disk");
        wal.append(&[]).expect("nothing needs no room");
    }
}

#[test]
fn a_file_cut_anywhere_loses_only_its_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let (records, ends) = three_batches(dir.path());
    let whole = std::fs::read(dir.path().join(LOG)).expect("the log is there");
    for length in FILE_HEADER..=whole.len() {
        std::fs::write(dir.path().join(LOG), &whole[..length]).expect("room on the disk");
        let (mut wal, recovered) = open(dir.path());
        assert!(records.starts_with(&recovered.records), "cut at {length}: not a prefix");
        let batches = ends.iter().filter(|&&end| end <= length as u64).count() - 1;
        assert!(recovered.records.len() >= batches * 3, "cut at {length}: a whole batch is lost");
        assert_eq!(recovered.torn + wal.size(), length as u64);
        let kept = recovered.records.len();
        wal.append(&[vec![99]]).expect("room on the disk");
        drop(wal);
        let (_, again) = open(dir.path());
        assert_eq!((again.records.len(), again.records.last()), (kept + 1, Some(&vec![99])), "cut at {length}");
    }
}

#[test]
fn a_flipped_bit_in_a_durable_batch_is_an_error_with_its_offset_and_in_the_last_a_torn_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let (records, ends) = three_batches(dir.path());
    let whole = std::fs::read(dir.path().join(LOG)).expect("the log is there");
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            std::fs::write(dir.path().join(LOG), &damaged).expect("room on the disk");
            match Log::open(dir.path()) {
                Err(WalError::Foreign { .. }) => assert!(at < FILE_HEADER, "byte {at} is no header"),
                Err(WalError::Corrupt { offset, .. }) => {
                    assert!(offset <= at as u64 && (at as u64) < ends[2], "byte {at}, reported {offset}");
                }
                Err(other) => panic!("byte {at}: {other}"),
                Ok((_, recovered)) => {
                    assert!(at as u64 >= ends[2], "byte {at} bit {bit}: durable records were dropped in silence");
                    assert!(records.starts_with(&recovered.records) && recovered.records.len() >= 6, "byte {at}");
                }
            }
        }
    }
}

#[test]
fn pages_that_reached_the_disk_out_of_order_are_a_torn_tail() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut wal, _) = open(dir.path());
    wal.append(&[record(1)]).expect("room on the disk");
    wal.sync().expect("a disk that works");
    let hole = usize::try_from(wal.size()).expect("a small file");
    wal.append(&[record(2)]).expect("room on the disk");
    wal.append(&[record(3)]).expect("room on the disk");
    drop(wal);
    let mut bytes = std::fs::read(dir.path().join(LOG)).expect("the log is there");
    bytes[hole..hole + 10].fill(0);
    std::fs::write(dir.path().join(LOG), bytes).expect("room on the disk");
    let (_, recovered) = open(dir.path());
    assert_eq!(recovered.records, [record(1)], "nothing after the hole was acknowledged");
    assert!(recovered.torn > 0);
}

#[test]
fn a_client_cannot_smuggle_a_frame_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut wal, _) = open(dir.path());
    let mut forged = Vec::new();
    frame::write(&mut forged, 0, u64::MAX, &record(5)).expect("a record");
    wal.append(&[forged.clone()]).expect("room on the disk");
    drop(wal);
    let mut bytes = std::fs::read(dir.path().join(LOG)).expect("the log is there");
    bytes[FILE_HEADER] ^= 1;
    std::fs::write(dir.path().join(LOG), bytes).expect("room on the disk");
    assert!(open(dir.path()).1.records.is_empty(), "the forged frame inside the torn record counts for nothing");
}

#[test]
fn a_rewrite_replaces_all_and_its_leftovers_do_no_harm() {
    let dir = tempfile::tempdir().expect("a directory");
    three_batches(dir.path());
    let (mut wal, _) = open(dir.path());
    wal.rewrite(&[record(20), record(21)]).expect("room on the disk");
    wal.append(&[record(22)]).expect("room on the disk");
    wal.sync().expect("a disk that works");
    drop(wal);
    std::fs::write(dir.path().join(NEW), b"a rewrite that was interrupted").expect("room on the disk");
    let (_, recovered) = open(dir.path());
    assert_eq!(recovered.records, [record(20), record(21), record(22)]);
    assert!(!dir.path().join(NEW).exists());
}

#[test]
fn damage_to_a_rewritten_log_is_an_error_also_at_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    open(dir.path()).0.rewrite(&[record(20), record(21)]).expect("room on the disk");
    let whole = std::fs::read(dir.path().join(LOG)).expect("the log is there");
    for at in FILE_HEADER..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 16;
        for damaged in [&damaged, &whole[..at]] {
            std::fs::write(dir.path().join(LOG), damaged).expect("room on the disk");
            let refused = Log::open(dir.path()).expect_err("damaged");
            assert!(matches!(refused, WalError::Corrupt { offset, .. } if offset <= at as u64), "byte {at}: {refused}");
        }
    }
}

#[test]
fn a_directory_has_one_log_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (wal, _) = open(dir.path());
    let refused = Log::open(dir.path()).expect_err("it is taken").to_string();
    assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
    drop(wal);
    open(dir.path());
}

#[test]
fn what_is_no_log_is_not_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    for content in [&b""[..], b"short", b"something else entirely", b"grudgewal\0\0\x02 of the far and distant future"]
    {
        std::fs::write(dir.path().join(LOG), content).expect("room on the disk");
        let refused = Log::open(dir.path()).expect_err("not a log");
        assert!(matches!(refused, WalError::Foreign { .. }), "{refused}");
        assert_eq!(std::fs::read(dir.path().join(LOG)).expect("still there"), content);
    }
}

#[test]
fn a_full_disk_is_said_and_final() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut wal, _) = open(dir.path());
    wal.file = OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let refused = wal.append(&[record(1)]).expect_err("no room");
    assert!(refused.to_string().contains("No space left on device"), "{refused}");
    assert!(matches!(wal.append(&[record(2)]), Err(WalError::Broken(_))));
    assert!(matches!(wal.sync(), Err(WalError::Broken(_))));
    assert!(matches!(wal.rewrite(&[]), Err(WalError::Broken(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any appends, fsyncs and rewrites, then any overwritten stretch after the durable end.
    #[test]
    fn what_was_durable_survives_any_damage_behind_it(
        steps in prop::collection::vec((0..4u8, prop::collection::vec(any::<u8>(), 0..60)), 1..20),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut wal, _) = open(dir.path());
        let (mut all, mut durable) = (Vec::new(), 0);
        for (kind, bytes) in steps {
            match kind {
                0 => { wal.sync().expect("a disk that works"); durable = all.len(); }
                1 => {
                    all = vec![bytes];
                    wal.rewrite(&all).expect("room on the disk");
                    durable = 1;
                }
                _ => { wal.append(std::slice::from_ref(&bytes)).expect("room on the disk"); all.push(bytes); }
            }
        }
        let from = usize::try_from(wal.durable).expect("a small file");
        drop(wal);
        let mut file = std::fs::read(dir.path().join(LOG)).expect("the log is there");
        let start = from + at.index(file.len() - from + 1);
        let end = file.len().min(start + garbage.len());
        file.splice(start..end, garbage);
        std::fs::write(dir.path().join(LOG), file).expect("room on the disk");
        let (_, recovered) = open(dir.path());
        prop_assert!(all.starts_with(&recovered.records));
        prop_assert!(recovered.records.len() >= durable);
    }
}
