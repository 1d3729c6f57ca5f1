//! Drawings, as SVG: a day in parts of ten minutes. What they show is told in words too, for whoever can't see them.

use maud::{Markup, html};

use super::day::Part;
use crate::telemetry::histogram::{BOUNDS, Measured};

const WIDTH: u32 = 864;
const HEIGHT: u32 = 96;
/// Room for the hours below.
const FOOT: u32 = 18;

/// Who was answered and who gave up.
pub fn results(parts: &[Part]) -> Markup {
    let most = parts.iter().map(|part| part.answered + part.abandoned).max().unwrap_or(0);
    let answered: u32 = parts.iter().map(|part| part.answered).sum();
    let abandoned: u32 = parts.iter().map(|part| part.abandoned).sum();
    let told = format!(
        "Answered and abandoned in each ten minutes of today: {answered} answered, {abandoned} abandoned, at most {most} at once."
    );
    let bars = html! {
        @for (i, part) in parts.iter().enumerate() {
            @let total = part.answered + part.abandoned;
            @if total > 0 {
                g {
                    title { (clock(i)) ": " (part.answered) " answered, " (part.abandoned) " abandoned" }
                    (bar(i, part.answered, 0, most, "answered"))
                    (bar(i, part.abandoned, part.answered, most, "abandoned"))
                }
            }
        }
    };
    let legend = html! { span.key.answered { "answered" } span.key.abandoned { "abandoned" } span { "up to " (most) " in ten minutes" } };
    framed("Results", &told, most, legend, bars)
}

/// How many waited.
pub fn waiting(parts: &[Part]) -> Markup {
    let most = parts.iter().map(|part| part.waiting).max().unwrap_or(0);
    let told = format!("How many waited at most in each ten minutes of today: at most {most}.");
    let bars = html! {
        @for (i, part) in parts.iter().enumerate() {
            @if part.waiting > 0 {
                g { title { (clock(i)) ": " (part.waiting) " waited" } (bar(i, part.waiting, 0, most, "waited")) }
            }
        }
    };
    framed("Waiting", &told, most, html! { span.key.waited { "up to " (most) " at once" } }, bars)
}

/// How long tries took.
pub fn latencies(name: &str, measured: &Measured) -> Markup {
    let mut below = 0;
    let shares: Vec<(String, u64)> = BOUNDS
        .iter()
        .zip(measured.up_to)
        .map(|(bound, up_to)| {
            let share = up_to - below;
            below = up_to;
            let text = if *bound < 1.0 { format!("{} ms", bound * 1_000.0) } else { format!("{bound} s") };
            (text, share)
        })
        .collect();
    let most = shares.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let average = if measured.count == 0 { 0 } else { measured.sum.as_millis() / u128::from(measured.count) };
    html! {
        figure.bars {
            figcaption { (name) span.note { @if measured.count > 0 { (measured.count) " in all, " (average) " ms on average" } @else { "none yet" } } }
            @if measured.count > 0 {
                ol {
                    @for (bound, count) in shares.iter().filter(|(_, count)| *count > 0) {
                        li { span.bound { "≤ " (bound) } meter min="0" max=(most) value=(count) aria-label=(format!("up to {bound}")) {} span.n { (count) } }
                    }
                }
            }
        }
    }
}

fn bar(part: usize, value: u32, below: u32, most: u32, class: &str) -> Markup {
    let scale = |value: u32| f64::from(value) * f64::from(HEIGHT) / f64::from(most.max(1));
    let height = scale(value);
    let y = f64::from(HEIGHT) - scale(below) - height;
    html! { rect.(class) x=(part * 6 + 1) y=(format!("{y:.1}")) width="5" height=(format!("{height:.1}")) {} }
}

fn framed(name: &str, told: &str, most: u32, legend: Markup, bars: Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { (name) span.legend { (legend) } }
            svg viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + FOOT)) role="img" aria-label=(told) preserveAspectRatio="none" {
                @for hour in (0..=24).step_by(3) {
                    line.grid x1=(hour * 36) x2=(hour * 36) y1="0" y2=(HEIGHT) {}
                }
                line.base x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
                (bars)
            }
            div.hours aria-hidden="true" { @for hour in (0..=24).step_by(3) { span { (format!("{hour:02}")) } } }
            @if most == 0 { p.empty { "Nothing yet today." } }
        }
    }
}

fn clock(part: usize) -> String {
    format!("{:02}:{:02}", part / 6, part % 6 * 10)
}
