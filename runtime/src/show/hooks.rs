//! What became of the operator's own commands, in a few words.

use crate::admin::Report;
use crate::hooks::vip::Place;

/// Where the virtual address is, and what went wrong with it.
pub(super) fn vip(report: &Report) -> Option<String> {
    let vip = report.hooks.vip.as_ref()?;
    let place = match vip.place {
        Place::Away => "not here",
        Place::Coming => "being added",
        Place::Here => "here",
        Place::Leaving => "being removed",
    };
    let failed = vip
        .failed
        .as_ref()
        .map_or(String::new(), |f| format!("; {f}"));
    Some(format!(
        "vip {}: {place} (for {}){failed}",
        vip.ip,
        report.now.since(vip.since)
    ))
}

/// What the role command was told last, and what came of it.
pub(super) fn role_command(report: &Report) -> Option<String> {
    let told = report.hooks.role.as_ref()?;
    let how = match (&told.failed, told.under_way) {
        (Some(failed), _) => failed.as_str(),
        (None, true) => "runs",
        (None, false) => "done",
    };
    Some(format!(
        "role command ({}), {} ago: {how}",
        told.role,
        report.now.since(told.at)
    ))
}

/// What of it belongs below the table: the address where it is, and whatever failed.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let address = report.hooks.vip.as_ref();
    let is_told = address.is_some_and(|v| v.place != Place::Away || v.failed.is_some());
    let failed = report
        .hooks
        .role
        .as_ref()
        .is_some_and(|t| t.failed.is_some());
    let mut notes = Vec::new();
    notes.extend(vip(report).filter(|_| is_told));
    notes.extend(role_command(report).filter(|_| failed));
    notes
}
