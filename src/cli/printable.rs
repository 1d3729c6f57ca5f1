//! Texts from outside, as a terminal may have them: names, numbers and answers come from callers and receivers.

use unicode_width::UnicodeWidthChar as _;

pub(super) use crate::printable::printable;
use crate::printable::spelled;

/// A text in so many columns, cut or padded; 0 takes it whole. Whatever is not printable is
/// spelled out.
pub(super) fn column(text: &str, width: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut used = 0;
    for piece in text.chars().map(spelled) {
        let wide: usize = piece.chars().map(columns_of).sum();
        if width > 0 && used + wide > width {
            // The last column says that there was more.
            while used + 1 > width {
                used -= shown.pop().map_or(0, columns_of);
            }
            shown.push('…');
            used += 1;
            break;
        }
        shown += &piece;
        used += wide;
    }
    shown.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    shown
}

/// How many columns a terminal gives a character.
fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many columns a terminal gives a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_it_should_be() {
        assert_eq!(column("Zoë", 5), "Zoë  ");
        assert_eq!(column("Zoë Müller", 5), "Zoë …");
        assert_eq!(column("山田太郎", 6), "山田… ");
        assert_eq!(column("whole", 0), "whole");
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let shown = printable("\u{1b}[31mred\r\n\u{9b}2J\u{202e}gnp\u{7f} Zoë 日本");
        assert_eq!(shown, "\\u{1b}[31mred\\r\\n\\u{9b}2J\\u{202e}gnp\\u{7f} Zoë 日本");
        assert_eq!(column("a\u{1b}[31mb\n\u{202e}c", 0), "a\\u{1b}[31mb\\n\\u{202e}c");
    }
}
