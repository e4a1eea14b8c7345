//! A cluster as text.

use super::cluster::{Cluster, Row};
use comfy_table::{CellAlignment, Table, presets};

/// The whole of `yokeadm list`.
pub fn render(cluster: &Cluster) -> String {
    let leader = cluster.leader.as_deref().unwrap_or("nobody");
    let version = cluster
        .version
        .map_or(String::new(), |v| format!(", version {v}"));
    let mut out = format!(
        "Cluster {}: {leader} leads, term {}{version}\n{}\n\n{}\n",
        cluster.cluster,
        cluster.term,
        cluster.summary,
        table(&cluster.members)
    );
    let notes: Vec<String> = cluster
        .members
        .iter()
        .flat_map(|row| {
            let wrong = row.fault.as_ref().or(row.error.as_ref());
            let note = |note| format!("{}: {note}\n", row.member);
            wrong.into_iter().chain(&row.notes).map(note)
        })
        .collect();
    if !notes.is_empty() {
        out.push('\n');
        out.push_str(&notes.concat());
    }
    out
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "Member",
        "Kind",
        "Address",
        "Role",
        "Database",
        "Timeline",
        "Position",
        "Lag (bytes)",
        "In sync",
    ]);
    for row in rows {
        let or_nothing = |text: Option<String>| text.unwrap_or_default();
        table.add_row([
            row.member.clone(),
            row.kind.to_owned(),
            row.address.clone(),
            row.role.to_owned(),
            if row.reachable {
                row.database.clone()
            } else {
                "does not answer".to_owned()
            },
            or_nothing(row.timeline.map(|t| t.to_string())),
            or_nothing(row.position.clone()),
            or_nothing(row.lag_bytes.map(|l| l.to_string())),
            or_nothing(row.in_sync.map(|s| if s { "yes" } else { "no" }.to_owned())),
        ]);
    }
    for numbers in [5, 6, 7] {
        if let Some(column) = table.column_mut(numbers) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
