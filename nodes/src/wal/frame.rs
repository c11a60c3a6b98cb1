//! One record in bytes.

use serde::Serialize;

use super::WalError;

const MAGIC: [u8; 9] = *b"grudgewal";
const VERSION: [u8; 3] = [0, 0, 1];
const NAME: usize = MAGIC.len() + VERSION.len();

/// The bytes before the first frame: magic, version, the length that the file had when it took its place (8), and
/// the checksum of all that (4).
pub(super) const FILE_HEADER: usize = NAME + 12;

/// The bytes of a frame before its payload: length (4), checksum of the payload (4), watermark (8), checksum of
/// the frame's offset and of all that (4).
pub(super) const HEADER: usize = 20;
/// The longest payload in bytes; a longer one is a mistake, not a record.
const LONGEST: usize = 1 << 30;

pub(super) enum Parsed<'a> {
    Frame { payload: &'a [u8], watermark: u64 },
    Bad(&'static str),
}

/// Appends a frame to `bytes`, which will be written at `base`.
pub(super) fn write<T: Serialize>(bytes: &mut Vec<u8>, base: u64, watermark: u64, record: &T) -> Result<(), WalError> {
    let payload = postcard::to_stdvec(record).map_err(|error| WalError::Record(error.to_string()))?;
    if payload.len() > LONGEST {
        return Err(WalError::Record(format!("{} bytes are more than {LONGEST}", payload.len())));
    }
    let length = u32::try_from(payload.len()).expect("the longest payload fits");
    let offset = base + bytes.len() as u64;
    let start = bytes.len();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&watermark.to_le_bytes());
    let sum = header_sum(offset, &bytes[start..]);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(())
}

/// Reads the frame at `at` of a file.
pub(super) fn parse(file: &[u8], at: usize) -> Parsed<'_> {
    let Some(header) = file.get(at..at + HEADER) else { return Parsed::Bad("a frame ends early") };
    let word = |from: usize| u32::from_le_bytes(header[from..from + 4].try_into().expect("four bytes"));
    if word(16) != header_sum(at as u64, &header[..16]) {
        return Parsed::Bad("a frame's header has a wrong checksum");
    }
    let watermark = u64::from_le_bytes(header[8..16].try_into().expect("eight bytes"));
    let start = at + HEADER;
    let Some(payload) = start.checked_add(word(0) as usize).and_then(|end| file.get(start..end)) else {
        return Parsed::Bad("a record ends early");
    };
    if crc32fast::hash(payload) != word(4) {
        return Parsed::Bad("a record has a wrong checksum");
    }
    Parsed::Frame { payload, watermark }
}

/// The header of a file that is `length` bytes long when it takes its place.
pub(super) fn file_header(length: u64) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..NAME].copy_from_slice(&VERSION);
    header[NAME..NAME + 8].copy_from_slice(&length.to_le_bytes());
    let sum = crc32fast::hash(&header[..NAME + 8]);
    header[NAME + 8..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The length that the file had when it took its place, or what is wrong with its header.
pub(super) fn parse_file_header(file: &[u8]) -> Result<u64, String> {
    let Some(header) = file.get(..FILE_HEADER) else { return Err(format!("it has only {} bytes", file.len())) };
    if header[..MAGIC.len()] != MAGIC {
        return Err("it begins with other bytes".to_owned());
    }
    if header[MAGIC.len()..NAME] != VERSION {
        return Err(format!("version {:?}, this program writes {VERSION:?}", &header[MAGIC.len()..NAME]));
    }
    let length = u64::from_le_bytes(header[NAME..NAME + 8].try_into().expect("eight bytes"));
    if header != file_header(length) {
        return Err("its header has a wrong checksum".to_owned());
    }
    Ok(length)
}

fn header_sum(offset: u64, header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(header);
    hasher.finalize()
}
