//! A copy's name in replication connections and in the gate: `member_16hex`. In lower case and below 63 bytes:
//! PostgreSQL ignores case when it compares, and cuts the rest off.

use crate::postgres::Context;
use yoke_core::member::MemberId;
use yoke_core::record::{Copy, CopyId};

/// Names a standby that does not exist: the gate that names it lets no commit through. No member's name can be made
/// from it: it does not end in sixteen hexadecimal digits.
pub const NOBODY: &str = "yoke_nobody";

/// The daemon's own role: superuser, over the private socket only.
pub const ROLE: &str = "yoke";

/// The role that standbys and clones stream as, and a rewind reads as.
pub const REPLICATION_ROLE: &str = "yoke_replica";

/// The databases that our roles connect to: the second where there is no first.
pub const DATABASES: [&str; 2] = ["postgres", "template1"];

/// The copy's name.
pub fn of_copy(context: &Context, copy: Copy) -> String {
    format!("{}_{}", context.name(copy.member), copy.id)
}

/// The name that a clone of this member connects under: never a copy's.
pub fn of_clone(context: &Context) -> String {
    format!("yoke_clone_{}", context.my_name())
}

/// Whose copy has this name; none: a clone or a stranger.
pub fn to_copy(context: &Context, name: &str) -> Option<Copy> {
    let (member, id) = name.rsplit_once('_')?;
    if id.len() != 16 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    // Compared as PostgreSQL compares: a connection under a name in capitals satisfies the gate, so it has to be seen.
    let index = context
        .members
        .iter()
        .position(|m| m.name.eq_ignore_ascii_case(member))?;
    Some(Copy {
        member: MemberId(u8::try_from(index).ok()?),
        id: CopyId(u64::from_str_radix(id, 16).ok()?),
    })
}

/// The value of `synchronous_standby_names`: see [`yoke_core::step::Settings::gate`].
pub fn gate_value(context: &Context, gate: Option<&[Copy]>) -> String {
    match gate {
        None => format!("\"{NOBODY}\""),
        Some([]) => String::new(),
        Some(copies) => {
            let names: Vec<String> = copies
                .iter()
                .map(|copy| format!("\"{}\"", of_copy(context, *copy)))
                .collect();
            format!("FIRST {} ({})", names.len(), names.join(", "))
        }
    }
}
