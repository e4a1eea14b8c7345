//! A cluster as text.

use super::cluster::{Cluster, Row};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// One column: its head, its cells, and whether they are numbers.
struct Column {
    head: &'static str,
    cell: fn(&Row) -> String,
    number: bool,
}

/// All there are, in order.
const COLUMNS: [Column; 9] = [
    text("Member", |r| r.member.clone()),
    text("Address", |r| r.address.clone()),
    text("Role", |r| r.role.to_owned()),
    text("Database", |r| match r.reachable {
        true => r.database.clone(),
        false => "does not answer".to_owned(),
    }),
    number("TL", |r| {
        r.timeline.map_or_else(String::new, |t| t.to_string())
    }),
    number("Position", |r| r.position.clone().unwrap_or_default()),
    number("Lag", lag),
    number("Heard", |r| {
        r.heard_seconds.map_or_else(String::new, length)
    }),
    text("In sync", |r| {
        let word = |s| if s { "yes" } else { "no" };
        r.in_sync.map_or("", word).to_owned()
    }),
];

/// What a narrow terminal can do without: the first of these that fits.
const LEFT_OUT: [&[&str]; 4] = [
    &[],
    &["TL", "Position"],
    &["TL", "Position", "Address"],
    &["TL", "Position", "Address", "Lag", "Heard"],
];

const fn text(head: &'static str, cell: fn(&Row) -> String) -> Column {
    Column {
        head,
        cell,
        number: false,
    }
}

const fn number(head: &'static str, cell: fn(&Row) -> String) -> Column {
    Column {
        number: true,
        ..text(head, cell)
    }
}

/// The whole of `yokeadm list`, for a terminal of this width; none: as wide as it comes.
pub fn render(cluster: &Cluster, width: Option<u16>) -> String {
    let leader = cluster.leader.as_deref().unwrap_or("nobody");
    let version = cluster
        .version
        .map_or(String::new(), |v| format!(", version {v}"));
    let lease = cluster
        .lease_left_seconds
        .map_or(String::new(), |s| format!(", lease {}", length(s)));
    let mut out = format!(
        "Cluster {}: {leader} leads, term {}{version}{lease}\n{}\n\n{}\n",
        cluster.cluster,
        cluster.term,
        cluster.summary,
        table(&cluster.members, width)
    );
    let notes: Vec<String> = cluster
        .members
        .iter()
        .flat_map(|row| {
            let notes = row
                .fault
                .iter()
                .chain(&row.error)
                .chain(&row.unreachable)
                .chain(&row.notes);
            notes.map(|note| format!("{}: {note}\n", row.member))
        })
        .collect();
    if !notes.is_empty() {
        out.push('\n');
        out.push_str(&notes.concat());
    }
    out
}

/// With all columns, or those that fit; at last wrapped.
fn table(rows: &[Row], width: Option<u16>) -> Table {
    let whole = || with_columns(rows, LEFT_OUT[0]);
    let Some(width) = width else { return whole() };
    let fits = |table: &Table| {
        table
            .lines()
            .all(|line| line.chars().count() <= width.into())
    };
    let narrow = LEFT_OUT.iter().map(|left_out| with_columns(rows, left_out));
    narrow.into_iter().find(fits).unwrap_or_else(|| {
        let mut table = with_columns(rows, LEFT_OUT[LEFT_OUT.len() - 1]);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
        table
    })
}

fn with_columns(rows: &[Row], left_out: &[&str]) -> Table {
    let shown = || COLUMNS.iter().filter(|c| !left_out.contains(&c.head));
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(shown().map(|c| c.head));
    for row in rows {
        table.add_row(shown().map(|c| (c.cell)(row)));
    }
    for (place, _) in shown().enumerate().filter(|(_, c)| c.number) {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// How long, and how much in brackets; nothing to say of a primary.
fn lag(row: &Row) -> String {
    let much = row.lag_bytes.filter(|bytes| *bytes > 0).map(amount);
    match (row.lag_seconds.map(length), much) {
        (Some(long), Some(much)) => format!("{long} ({much})"),
        (Some(long), None) => long,
        (None, Some(much)) => much,
        (None, None) => row.lag_bytes.map_or(String::new(), |_| "0 B".to_owned()),
    }
}

fn amount(bytes: u64) -> String {
    match bytes {
        b if b < 10 << 10 => format!("{b} B"),
        b if b < 10 << 20 => format!("{} KiB", b >> 10),
        b if b < 10 << 30 => format!("{} MiB", b >> 20),
        b => format!("{} GiB", b >> 30),
    }
}

/// To the tenth of a second while that matters.
fn length(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3_600.0),
    }
}
