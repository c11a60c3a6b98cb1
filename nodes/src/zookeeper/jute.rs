//! Jute, ZooKeeper's serialisation: big-endian numbers, and strings, buffers and vectors behind an `i32` length of
//! which −1 means none.

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The message ends in the middle of a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A length below −1.
    #[error("a field has the length {0}")]
    NegativeLength(i32),
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A password that has not 16 bytes.
    #[error("a password has {0} bytes, not 16")]
    PasswordLength(usize),
    /// An operation inside a multi that has no place there.
    #[error("operation {0} inside a multi")]
    NotInMulti(i32),
}

/// Reads fields from the front of a message.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the front.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Truncated)
    }

    /// A length, or nothing for −1.
    fn length(&mut self) -> Result<Option<usize>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            n => usize::try_from(n).map(Some).map_err(|_| Malformed::NegativeLength(n)),
        }
    }

    /// # Errors
    /// The message ends too early; so with all the others.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.array::<1>()? != [0])
    }

    /// # Errors
    /// See [`Reader::bool`].
    pub fn int(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// # Errors
    /// See [`Reader::bool`].
    pub fn long(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    /// # Errors
    /// See [`Reader::bool`]; or the length is negative.
    pub fn buffer(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        match self.length()? {
            Some(n) => Ok(Some(self.take(n)?.to_vec())),
            None => Ok(None),
        }
    }

    /// A string; none is empty.
    ///
    /// # Errors
    /// See [`Reader::buffer`]; or it is not UTF-8.
    pub fn string(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.buffer()?.unwrap_or_default()).map_err(|_| Malformed::NotUtf8)
    }

    /// A vector; none is empty.
    ///
    /// # Errors
    /// See [`Reader::buffer`]; or those of `item`.
    pub fn vector<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        // Nothing is reserved: the count is the sender's claim. Each item takes bytes, so a lie soon runs out of them.
        let mut items = Vec::new();
        for _ in 0..self.length()?.unwrap_or(0) {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Writes fields to the end of a message.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty frame: the length is filled in by [`Writer::frame`].
    #[must_use]
    pub fn new() -> Writer {
        Writer { bytes: vec![0; 4] }
    }

    /// The message behind its length.
    #[must_use]
    pub fn frame(mut self) -> Vec<u8> {
        let length = length(self.bytes.len() - 4);
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }

    /// A truth.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.bytes.push(u8::from(value));
        self
    }

    /// 32 bits.
    pub fn int(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// 64 bits.
    pub fn long(&mut self, value: i64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes, or none.
    pub fn buffer(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(bytes) => {
                self.int(length(bytes.len()));
                self.bytes.extend_from_slice(bytes);
                self
            }
            None => self.int(-1),
        }
    }

    /// A string.
    pub fn string(&mut self, value: &str) -> &mut Self {
        self.buffer(Some(value.as_bytes()))
    }

    /// A vector.
    pub fn vector<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.int(length(items.len()));
        for each in items {
            item(self, each);
        }
        self
    }
}

fn length(n: usize) -> i32 {
    i32::try_from(n).expect("an answer is far smaller than 2 GiB: requests are limited to 1 MiB")
}
