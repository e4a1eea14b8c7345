//! The model as lines for any width and height. What matters least gives way first when rows are few.

use super::model::{Deed, Host, Lease, Life, Model, Reason};
use super::text::{Line, Tone};
use std::time::Duration;

/// Where what belongs to a host begins.
const INDENT: usize = 4;

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Detail {
    reasons: usize,
    deeds: usize,
    psql: bool,
    gaps: bool,
    parts: bool,
    total: bool,
    summary: bool,
    writes: bool,
}

impl Detail {
    const MOST: Detail = Detail {
        reasons: 12,
        deeds: 8,
        psql: true,
        gaps: true,
        parts: true,
        total: true,
        summary: true,
        writes: true,
    };

    /// One thing less; none: nothing is left to leave out.
    fn less(mut self) -> Option<Detail> {
        match self {
            Detail { reasons: 4.., .. } => self.reasons -= 1,
            Detail { deeds: 3.., .. } => self.deeds -= 1,
            Detail { reasons: 3.., .. } => self.reasons -= 1,
            Detail { psql: true, .. } => self.psql = false,
            Detail { deeds: 2.., .. } => self.deeds -= 1,
            Detail { reasons: 2.., .. } => self.reasons -= 1,
            Detail { gaps: true, .. } => self.gaps = false,
            Detail { total: true, .. } => self.total = false,
            Detail { reasons: 1.., .. } => self.reasons = 0,
            Detail { deeds: 1.., .. } => self.deeds = 0,
            Detail { parts: true, .. } => self.parts = false,
            Detail { summary: true, .. } => self.summary = false,
            Detail { writes: true, .. } => self.writes = false,
            _ => return None,
        }
        Some(self)
    }
}

/// The picture: exactly so many lines, none wider than that.
pub(super) fn draw(model: &Model, columns: usize, rows: usize) -> Vec<Line> {
    let foot = |detail: Detail| foot(model, detail, columns);
    let mut detail = Detail::MOST;
    let (mut body, mut foot_lines) = (body(model, detail, columns), foot(detail));
    while body.len() + foot_lines.len() > rows
        && let Some(less) = detail.less()
    {
        detail = less;
        (body, foot_lines) = (self::body(model, detail, columns), foot(detail));
    }
    // The keys stay at the bottom, whatever has to go.
    foot_lines.truncate(rows);
    body.resize_with(rows - foot_lines.len(), Line::default);
    let all = body.into_iter().chain(foot_lines);
    all.map(|line| line.cut(columns)).collect()
}

fn body(model: &Model, detail: Detail, columns: usize) -> Vec<Line> {
    let mut lines = vec![head(model, columns)];
    if detail.summary {
        let tone = if model.safe {
            Tone::Good
        } else {
            Tone::Warning
        };
        lines.push(Line::default().with(tone, format!(" {}", model.summary)));
    }
    let gap = |lines: &mut Vec<Line>| {
        if detail.gaps {
            lines.push(Line::default());
        }
    };
    gap(&mut lines);
    writes(model, detail, columns, &mut lines);
    for (i, host) in model.hosts.iter().enumerate() {
        gap(&mut lines);
        host_lines(i, host, model, detail, columns, &mut lines);
    }
    let skipped = model.deeds.len().saturating_sub(detail.deeds);
    if detail.deeds > 0 && !model.deeds.is_empty() {
        gap(&mut lines);
        lines.extend(model.deeds[skipped..].iter().map(|d| deed(d, columns)));
    }
    lines
}

fn head(model: &Model, columns: usize) -> Line {
    let mut line = Line::default()
        .with(Tone::Strong, " yoke demo")
        .with(Tone::Faint, format!(" · {} · ", model.postgres))
        .with(Tone::Plain, model.leader.clone());
    let clock = format!("{} UTC", model.clock);
    if line.width() + clock.len() + 2 <= columns {
        line.pad(columns - clock.len() - 1);
        line.add(Tone::Faint, clock);
    }
    line
}

fn writes(model: &Model, detail: Detail, columns: usize, lines: &mut Vec<Line>) {
    let writes = &model.writes;
    let total = format!(
        "{} acknowledged, {} doubtful",
        writes.acknowledged, writes.doubtful
    );
    let room = columns.saturating_sub(INDENT + 22);
    let shown = &writes.seconds[writes.seconds.len().saturating_sub(room)..];
    let wide = columns >= 60 + INDENT + 22 + 30;
    if detail.writes {
        let mut line = Line::default().with(Tone::Plain, " writes ");
        line.add(Tone::Good, sparkline(shown));
        let newest = shown.last().copied().unwrap_or(0);
        line.add(Tone::Strong, format!(" {newest} a second"));
        if wide {
            line.add(Tone::Plain, format!("   {total}"));
        }
        lines.push(line);
    }
    let tone = match writes.gap {
        gap if gap >= Duration::from_secs(1) => Tone::Bad,
        gap if gap >= Duration::from_millis(200) => Tone::Warning,
        _ => Tone::Good,
    };
    let since = match (writes.fault, columns >= 70) {
        (true, true) => "longest since the last fault",
        (true, false) => "since last fault",
        (false, true) => "longest since the start",
        (false, false) => "since start",
    };
    lines.push(
        Line::default()
            .with(Tone::Plain, " gap    now ")
            .with(tone, seconds(writes.gap))
            .with(Tone::Plain, format!("   {since} "))
            .with(Tone::Strong, seconds(writes.longest)),
    );
    if detail.total && !wide {
        lines.push(Line::default().with(Tone::Plain, format!(" total  {total}")));
    }
}

/// One block a second, as high as the highest; nothing where nothing was written.
fn sparkline(seconds: &[usize]) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = seconds.iter().copied().max().unwrap_or(0).max(1);
    let block = |n: &usize| BLOCKS[(n * 8).div_ceil(most)];
    seconds.iter().map(block).collect()
}

fn host_lines(
    i: usize,
    host: &Host,
    model: &Model,
    detail: Detail,
    columns: usize,
    lines: &mut Vec<Line>,
) {
    let chosen = i == model.chosen;
    let mut line = Line::default().with(
        if chosen { Tone::Key } else { Tone::Plain },
        format!("{}{} {}", if chosen { '▶' } else { ' ' }, i + 1, host.name),
    );
    line.pad(12);
    let tone = match (host.answers, host.role) {
        (false, _) => Tone::Bad,
        (true, "primary") => Tone::Strong,
        (true, _) => Tone::Plain,
    };
    line.add(tone, host.role);
    line.pad(22);
    let tone = match (host.answers, host.in_sync) {
        (false, _) => Tone::Bad,
        (true, Some(false)) => Tone::Warning,
        (true, _) => Tone::Plain,
    };
    line.add(tone, host.database.clone());
    line.add(Tone::Plain, "  ");
    line.pad(46);
    match host.in_sync {
        Some(true) => line.add(Tone::Good, "in sync"),
        Some(false) => line.add(Tone::Warning, "not in sync"),
        None if detail.parts => parts(host, columns, &mut line),
        None => {}
    }
    lines.push(line);
    if detail.parts && host.in_sync.is_some() {
        let mut line = Line::default();
        line.pad(INDENT);
        standing(host, columns, &mut line);
        parts(host, columns, &mut line);
        lines.push(line);
    }
    let mut room = detail.reasons;
    if let Some(fault) = host.fault.as_ref().filter(|_| room > 0) {
        room -= 1;
        let mut line = Line::default();
        line.pad(INDENT);
        line.add(Tone::Warning, format!("! {fault}"));
        lines.push(line);
    }
    let skipped = host.reasons.len().saturating_sub(room);
    lines.extend(host.reasons[skipped..].iter().map(reason));
}

/// The lease's bar, or how far it is behind.
fn standing(host: &Host, columns: usize, line: &mut Line) {
    let begin = line.width();
    let width = match columns {
        ..70 => 5,
        70..100 => 13,
        _ => 26,
    };
    match (host.lease, &host.lag) {
        (Lease::Left(left, full), _) => {
            let part = left.as_secs_f64() / full.as_secs_f64();
            let filled = ((part * width as f64).ceil() as usize).min(width);
            let tone = match part {
                0.5.. => Tone::Good,
                0.2.. => Tone::Warning,
                _ => Tone::Bad,
            };
            line.add(Tone::Plain, "lease ");
            line.add(tone, "█".repeat(filled));
            line.add(Tone::Faint, "░".repeat(width - filled));
            line.add(
                tone,
                match left {
                    Duration::ZERO => " ended".to_owned(),
                    left => format!(" {:.1} s", left.as_secs_f64()),
                },
            );
        }
        (Lease::Needless, _) => line.add(Tone::Plain, "alone: no lease"),
        (Lease::None, Some(lag)) => line.add(Tone::Plain, lag.clone()),
        (Lease::None, None) => {}
    }
    line.pad(begin + width + 14);
}

/// Its processes, with their numbers if there is room.
fn parts(host: &Host, columns: usize, line: &mut Line) {
    let mut numbered = line.clone();
    named_parts(host, true, &mut numbered);
    match numbered.width() <= columns {
        true => *line = numbered,
        false => named_parts(host, false, line),
    }
}

fn named_parts(host: &Host, numbers: bool, line: &mut Line) {
    if host.cut {
        line.add(Tone::Bad, "CUT OFF ");
    } else if host.link_cut {
        line.add(Tone::Bad, "LINK CUT ");
    }
    let all = [
        ("daemon", host.parts.daemon),
        ("guard", host.parts.guard),
        ("PostgreSQL", host.parts.postgres),
    ];
    // A witness has a daemon alone.
    let shown = if host.in_sync.is_some() { 3 } else { 1 };
    for (i, (name, life)) in all.into_iter().take(shown).enumerate() {
        if i > 0 {
            line.add(Tone::Faint, " · ");
        }
        match life {
            Life::Gone => line.add(Tone::Bad, format!("no {name}")),
            Life::Frozen(_) => line.add(Tone::Frozen, format!("{name} frozen")),
            Life::Runs(pid) if numbers => line.add(Tone::Faint, format!("{name} {pid}")),
            Life::Runs(_) => line.add(Tone::Faint, name),
        }
    }
}

fn reason(reason: &Reason) -> Line {
    let mut line = Line::default();
    line.pad(INDENT);
    if !reason.clock.is_empty() {
        line.add(Tone::Faint, format!("{} ", reason.clock));
    }
    let tone = match reason.level.as_str() {
        "ERROR" => Tone::Bad,
        "WARN" => Tone::Warning,
        _ => Tone::Plain,
    };
    line.add(tone, reason.text.clone());
    line
}

fn deed(deed: &Deed, columns: usize) -> Line {
    let mut line = Line::default()
        .with(Tone::Faint, format!(" {} ", deed.clock))
        .with(Tone::Strong, deed.what.clone())
        .with(Tone::Plain, "  ");
    line.pad(if columns < 70 { 36 } else { 44 });
    line.add(Tone::Plain, format!("write gap {}", seconds(deed.gap)));
    if let Some(healthy) = deed.healthy.filter(|_| columns >= 70) {
        line.add(
            Tone::Good,
            format!("  well after {:.1} s", healthy.as_secs_f64()),
        );
    }
    line
}

/// How to get in, why the last key came to nothing, and the keys.
fn foot(model: &Model, detail: Detail, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if detail.psql && model.psql.len() < columns {
        lines.push(Line::default().with(Tone::Faint, format!(" {}", model.psql)));
    }
    if let Some(message) = &model.message {
        lines.push(Line::default().with(Tone::Bad, format!(" {message}")));
    }
    if detail.gaps {
        lines.push(Line::default());
    }
    let mut line = Line::default();
    for key in &model.keys {
        let label = format!(" {}  ", key.label);
        if line.width() > 0 && line.width() + 2 + label.len() - 2 > columns {
            lines.push(std::mem::take(&mut line));
        }
        line.add(Tone::Plain, " ");
        line.add(Tone::Key, key.key.to_string());
        line.add(Tone::Plain, label.trim_end_matches("  ").to_owned());
        line.add(Tone::Plain, " ");
    }
    lines.push(line);
    lines
}

fn seconds(length: Duration) -> String {
    format!("{:.3} s", length.as_secs_f64())
}
