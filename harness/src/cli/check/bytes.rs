//! Amounts of memory, as a person writes them.

/// `500MB`, `2GiB`, `2G`, or a number of bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("a size looks like 500MB or 2GiB, not `{text}`");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.trim() {
        "" | "B" => 1,
        "k" | "K" | "kB" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|&size| size > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("512", 512), ("500MB", 500_000_000), ("2GiB", 2 << 30), ("3 k", 3_000)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "0", "-1", "2 apples", "99999999999999GiB"] {
            assert_eq!(size(text), Err(format!("a size looks like 500MB or 2GiB, not `{text}`")));
        }
    }
}
