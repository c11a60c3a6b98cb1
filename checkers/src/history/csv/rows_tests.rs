//! Rows against those of the csv crate, and through windows that are too small.

use std::io::{self, Read};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::rows::Rows;
use crate::history::window::Window;

/// Gives a few bytes at a time.
struct Dripping<'b> {
    bytes: &'b [u8],
    most: usize,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.most.min(self.bytes.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// The rows before the first that is damaged, and whether one is.
fn ours(file: &[u8], most: usize) -> (Vec<Vec<String>>, bool) {
    let window = Window::new(Dripping { bytes: file, most }).expect("memory can be read");
    let Ok(mut rows) = Rows::new(window) else { return (Vec::new(), true) };
    let mut all = Vec::new();
    loop {
        match rows.next() {
            Ok(Some(row)) => all.push((0..3).map(|at| row.get(at).to_owned()).collect()),
            Ok(None) => return (all, false),
            Err(_) => return (all, true),
        }
    }
}

/// The same by the csv crate.
fn theirs(file: &[u8]) -> (Vec<Vec<String>>, bool) {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut all = Vec::new();
    for record in reader.byte_records().skip(1) {
        let record = record.expect("memory can be read");
        let fields: Result<Vec<String>, _> = record.iter().map(|field| String::from_utf8(field.to_vec())).collect();
        match fields {
            Ok(fields) if fields.len() == 3 => all.push(fields),
            _ => return (all, true),
        }
    }
    (all, false)
}

#[test]
fn rows_are_those_of_the_csv_crate() {
    const PIECES: [&[u8]; 14] =
        [b"a", b"b c", b",", b",", b",", b"\"", b"\"", b"\"\"", b"\n", b"\n", b"\r\n", b"\r", "é".as_bytes(), b"\xff"];
    for seed in 0..20_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut file = b"one,two,three\n".to_vec();
        for _ in 0..rng.random_range(0..24) {
            file.extend_from_slice(PIECES[rng.random_range(0..PIECES.len())]);
        }
        let most = rng.random_range(1..=8);
        let ((ours, our_damage), (theirs, their_damage)) = (ours(&file, most), theirs(&file));
        let told = format!("seed {seed}: {:?}", String::from_utf8_lossy(&file));
        if our_damage && !their_damage {
            // The last row goes on within quotes: to the csv crate it is whole.
            assert_eq!(ours[..], theirs[..theirs.len() - 1], "{told}");
        } else {
            assert_eq!((ours, our_damage), (theirs, their_damage), "{told}");
        }
    }
}

#[test]
fn rows_longer_than_the_window_are_read() {
    let long = "x".repeat(300_000);
    let mut file = String::from("one,two,three\n");
    for number in 0..2_000 {
        let middle = if number % 500 == 7 { &long[..] } else { "short" };
        file += &format!("{number},{middle},\"{middle}\n\"\"\"\n");
    }
    let (rows, damage) = ours(file.as_bytes(), 10_000);
    assert!(!damage && rows.len() == 2_000);
    for (number, row) in rows.iter().enumerate() {
        let middle = if number % 500 == 7 { &long[..] } else { "short" };
        assert!(row[0] == number.to_string() && row[1] == middle && row[2] == format!("{middle}\n\""), "row {number}");
    }
}
