//! JSON of others: a number that a double can't hold exactly keeps its digits, as a text.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value as Json;

/// Reads a document. Integers of 64 bits are exact; a number of more digits or of another range than a double holds becomes
/// a text of its digits, so that it is handed on as it came.
pub(super) fn parse(text: &str) -> serde_json::Result<Json> {
    serde_json::from_str::<IgnoredAny>(text)?;
    serde_json::from_str(&quoted(text))
}

/// The document, which is known to be one, with quotation marks around its numbers that would lose digits.
fn quoted(text: &str) -> Cow<'_, str> {
    let (mut quoted, mut copied) = (String::new(), 0);
    let (mut at, bytes) = (0, text.as_bytes());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let end = bytes[at..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |length| at + length);
                let number = &text[at..end];
                if !is_exact(number) {
                    quoted.push_str(&text[copied..at]);
                    quoted.push_str(&format!("\"{number}\""));
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 { Cow::Borrowed(text) } else { Cow::Owned(quoted + &text[copied..]) }
}

/// The place behind the string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// Whether the number is the same after it was an integer of 64 bits or a double.
fn is_exact(number: &str) -> bool {
    if number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return true;
    }
    let Some(double) = number.parse::<f64>().ok().filter(|double| double.is_finite()) else { return false };
    // As documents and as texts have it: of two shortest forms that are as near, they may choose different ones.
    let written = [Json::from(double).to_string(), format!("{double:e}")];
    written.iter().all(|written| decimal(written) == decimal(number))
}

/// Significant digits and the power of ten of the last one; none where that is out of all proportion.
fn decimal(number: &str) -> Option<(String, i64)> {
    let number = number.trim_start_matches('-');
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{integer}{fraction}");
    let digits = all.trim_end_matches('0');
    let dropped = i64::try_from(all.len() - digits.len()).ok()?;
    let digits = digits.trim_start_matches('0').to_owned();
    if digits.is_empty() {
        return Some((digits, 0));
    }
    let power = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    Some((digits, power.checked_add(dropped)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_value_or_their_digits() {
        let document = r#"{"id": 9007199254740993, "most":18446744073709551615, "sum": 12345678901234567890.12,
            "more": [18446744073709551616, -1e400, 0.1, 1.50, 100e2, -0.0, 1E-7], "12345678901234567890.12": "\"1e999\\"}"#;
        let expected = json!({
            "id": 9_007_199_254_740_993_u64, "most": u64::MAX, "sum": "12345678901234567890.12",
            "more": ["18446744073709551616", "-1e400", 0.1, 1.5, 10_000.0, -0.0, 1e-7],
            "12345678901234567890.12": "\"1e999\\",
        });
        assert_eq!(parse(document).expect("a document"), expected);
        assert_eq!(parse("12345678901234567890.12").expect("a document"), json!("12345678901234567890.12"));
        for no_document in ["", "1 2", "01", "{1:2}", "12E4x", "\"", "--1", "1e400 1"] {
            assert!(parse(no_document).is_err(), "{no_document}");
        }
    }

    proptest! {
        #[test]
        fn whatever_we_write_reads_back(double in any::<f64>(), integer in any::<i64>(), text in any::<String>()) {
            prop_assume!(double.is_finite());
            let document = json!({ "integer": integer, &text: [&text] });
            prop_assert_eq!(parse(&document.to_string()).expect("a document"), document);
            let number = Json::from(double).to_string();
            let read = parse(&number).expect("a number");
            prop_assert!(read == double || read == number);
        }

        #[test]
        fn no_digit_is_lost(digits in "[1-9][0-9]{0,40}", fraction in "[0-9]{0,30}[1-9]") {
            let number = format!("{digits}.{fraction}");
            let read = parse(&number).expect("a number");
            let kept = read.as_str().map_or_else(|| format!("{:e}", read.as_f64().expect("a number")), str::to_owned);
            prop_assert_eq!(decimal(&kept), decimal(&number));
        }
    }
}
