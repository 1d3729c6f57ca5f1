//! Numbers of bytes, as people write them.

/// The units, from the smallest: by thousands as disks have them, and by 1,024.
const UNITS: [(&str, u64); 8] = [
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Reads a whole number and a unit: `500 MB`.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// Writes it in the greatest unit of thousands that leaves it whole.
pub(super) fn write(bytes: u64) -> String {
    let decimal = UNITS.iter().rev().filter(|(name, _)| !name.contains('i'));
    let whole = decimal.copied().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_and_a_unit() {
        for (text, bytes) in [("500 MB", 500_000_000), ("10GiB", 10 << 30), ("1 kb", 1_000)] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "10", "GB", "-1 GB", "1.5 GB", "10 parsecs", "99999999999999999999 KB", "99999999999 TB"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_written_in_the_greatest_unit() {
        assert_eq!([10_000_000, 1_500_000_000, 7].map(write), ["10 MB", "1500 MB", "7 B"]);
    }
}
