//! The numbers in words.

use super::estimate::{Row, Study};
use super::faults::KINDS;
use super::{DEFAULT, FENCE_MEASURED, fence_fits};
use std::fmt;

/// The model, the table, and what follows from it.
impl fmt::Display for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The faults of a year of a cluster of three:")?;
        for kind in &KINDS {
            writeln!(f, "  {:>4}  {:<40} {}", kind.a_year, kind.name, kind.source)?;
        }
        writeln!(f, "\n{} windows were played.\n", self.windows)?;
        writeln!(
            f,
            "  decision_timeout       failovers a year   unavailable a year, s"
        )?;
        for row in &self.rows {
            let note = match (row.decision_timeout, fence_fits(row.decision_timeout)) {
                (DEFAULT, _) => "  the default",
                (_, false) => "  too short for the longest fence",
                _ => "",
            };
            writeln!(
                f,
                "  {:>14} s {:>14.1} ± {:<5.1} {:>16.0} ± {:<5.0}{note}",
                seconds(row.decision_timeout),
                row.failovers.mean,
                row.failovers.error,
                row.unavailable.mean,
                row.unavailable.error,
            )?;
        }
        if let Some(row) = self.default_row() {
            writeln!(f, "\nWhere they come from, at the default:")?;
            for (kind, (failovers, unavailable)) in KINDS.iter().zip(&row.kinds) {
                writeln!(
                    f,
                    "  {:<40} {failovers:>6.1} failovers {unavailable:>7.0} s",
                    kind.name
                )?;
            }
        }
        write!(f, "\n{}", self.conclusion())
    }
}

impl Study {
    /// What the numbers say of the default, in a paragraph.
    pub fn conclusion(&self) -> String {
        let (Some(default), Some(best)) = (self.default_row(), self.best()) else {
            return "The default was not among the lengths played.".into();
        };
        let least = FENCE_MEASURED * 100 / 15;
        let mut text = format!(
            "The guard has 0.15 D to fence, and {} s were measured for it: D has to be at least {:.1} s. ",
            seconds(FENCE_MEASURED),
            least as f64 / 1e6
        );
        let more = default.unavailable.mean - best.unavailable.mean;
        let error = default.unavailable.error.hypot(best.unavailable.error);
        let share = 100.0 * more / best.unavailable.mean.max(1.0);
        text += &match best.decision_timeout {
            DEFAULT => format!(
                "Of the longer ones played, the default of {} s is the length with the least unavailability, {}.",
                seconds(DEFAULT),
                in_words(default)
            ),
            other => format!(
                "Of the longer ones played, {} s has the least unavailability, {}; the default of {} s {}: {more:.0} ± {error:.0} s, or {share:.0} %, more.",
                seconds(other),
                in_words(best),
                seconds(DEFAULT),
                in_words(default)
            ),
        };
        for other in [
            self.neighbour(default, false),
            self.neighbour(default, true),
        ] {
            if let Some(other) =
                other.filter(|other| other.decision_timeout != best.decision_timeout)
            {
                text += &format!(
                    " {} s would be {:+.0} s of unavailability and {:+.1} failovers a year.",
                    seconds(other.decision_timeout),
                    other.unavailable.mean - default.unavailable.mean,
                    other.failovers.mean - default.failovers.mean
                );
            }
        }
        // What a tenth more costs is less than what the assumed rates leave open.
        let justified = fence_fits(DEFAULT) && (share <= 10.0 || more <= 2.0 * error);
        text += match justified {
            true => {
                " The default is justified: nothing that is safe is better by more than a tenth."
            }
            false => " The default is not justified by these numbers: change it.",
        };
        text
    }

    fn neighbour(&self, row: &Row, longer: bool) -> Option<&Row> {
        let at = self.rows.iter().position(|r| r == row)?;
        match longer {
            true => self.rows.get(at + 1),
            false => self.rows.get(at.checked_sub(1)?),
        }
    }
}

fn in_words(row: &Row) -> String {
    format!(
        "with {:.0} ± {:.0} s and {:.1} ± {:.1} failovers a year",
        row.unavailable.mean, row.unavailable.error, row.failovers.mean, row.failovers.error
    )
}

/// Microseconds as seconds, without zeros that say nothing.
pub(super) fn seconds(micros: u64) -> String {
    (micros as f64 / 1e6).to_string()
}
