//! The numbers as a picture: two curves over `decision_timeout`, in one self-contained SVG.

use super::estimate::{Estimate, Row, Study};
use super::table::seconds;
use super::{DEFAULT, FENCE_MEASURED};
use std::fmt::Write as _;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;

impl Study {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            2.0 * HEIGHT
        );
        let panels = [
            (
                "Failovers a simulated year",
                "#b03a2e",
                (|row: &Row| row.failovers) as fn(&Row) -> Estimate,
            ),
            ("Unavailable a simulated year, seconds", "#1f618d", |row| {
                row.unavailable
            }),
        ];
        for (number, (title, colour, of)) in panels.into_iter().enumerate() {
            self.panel(&mut svg, number as f64 * HEIGHT, title, colour, of);
        }
        svg + "</svg>\n"
    }

    fn panel(
        &self,
        svg: &mut String,
        above: f64,
        title: &str,
        colour: &str,
        of: fn(&Row) -> Estimate,
    ) {
        let most = self.rows.iter().map(|row| of(row).mean + of(row).error);
        let (step, top) = scale(most.fold(1.0, f64::max));
        let (floor, height) = (above + HEIGHT - BOTTOM, HEIGHT - TOP - BOTTOM);
        let y = |value: f64| floor - height * value / top;
        let x = |micros: u64| self.place(micros);
        let (left, right) = (LEFT, WIDTH - RIGHT);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"{}\" font-size=\"17\" font-weight=\"bold\">{title}</text>",
            above + 28.0
        );
        let mut value = 0.0;
        while value <= top + step / 2.0 {
            let at = y(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                left - 8.0,
                at + 4.0
            );
            value += step;
        }
        for (at, word, dash) in [
            (DEFAULT, "the default", "4 3"),
            (
                FENCE_MEASURED * 100 / 15,
                "shorter: no time to fence",
                "1 3",
            ),
        ] {
            let (at, middle) = (x(at), above + TOP - 8.0);
            let anchor = if word.starts_with("the") {
                "start"
            } else {
                "end"
            };
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{middle:.1}\" y2=\"{floor:.1}\" stroke=\"#555\" stroke-dasharray=\"{dash}\"/><text x=\"{at:.1}\" y=\"{:.1}\" fill=\"#555\" text-anchor=\"{anchor}\">{word}</text>",
                middle - 4.0
            );
        }
        let mut line = String::new();
        for row in &self.rows {
            let (at, estimate) = (x(row.decision_timeout), of(row));
            let (middle, high, low) = (
                y(estimate.mean),
                y(estimate.mean + estimate.error),
                y((estimate.mean - estimate.error).max(0.0)),
            );
            let _ = write!(line, "{at:.1},{middle:.1} ");
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{high:.1}\" y2=\"{low:.1}\" stroke=\"{colour}\"/><circle cx=\"{at:.1}\" cy=\"{middle:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                floor + 20.0,
                seconds(row.decision_timeout)
            );
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n<text x=\"{}\" y=\"{:.1}\" text-anchor=\"middle\">decision_timeout, seconds (logarithmic)</text>",
            (left + right) / 2.0,
            floor + 42.0
        );
    }

    /// Where a length lies, by its logarithm.
    fn place(&self, micros: u64) -> f64 {
        let lengths = || self.rows.iter().map(|row| row.decision_timeout as f64);
        let first = lengths().fold(f64::MAX, f64::min).ln();
        let last = lengths().fold(1.0, f64::max).ln();
        let width = WIDTH - LEFT - RIGHT - 20.0;
        LEFT + 10.0 + width * ((micros as f64).ln() - first) / (last - first).max(0.1)
    }
}

/// A round step of an axis, and where it ends.
fn scale(most: f64) -> (f64, f64) {
    let mut step = 1.0;
    for factor in [2.0, 2.5, 2.0].iter().cycle() {
        if step * 6.0 >= most {
            break;
        }
        step *= factor;
    }
    (step, step * (most / step).ceil())
}
