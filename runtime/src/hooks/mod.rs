//! The operator's own commands: what puts the virtual address on a host and takes it off, and what is told of each change
//! of role. Nothing waits for them but where it is said, and then not for long.
//!
//! The address is kept by the guard: it knows when serving ends, also without its daemon, and one queue for adding and
//! removing keeps them in order. The daemon only says when the primary admits clients. The role command is the daemon's.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `quotes` | whether a shell would understand the line |
//! | `run` | one command, to its end or its time limit |
//! | `vip` | what is to be done with the address, and when: no clock, no process |
//! | `role` | the role command, on a thread of its own |
//! | `announce` | the driver's end of all this |
//! | `standing` | what of the node's view concerns all this |

pub mod announce;
pub mod quotes;
pub mod role;
pub mod run;
pub mod standing;
pub mod vip;

pub use announce::Announcer;
pub use role::{Roles, Told};
pub use standing::{Role, Standing};
pub use vip::{Vip, VipView};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a command may take; then its process group is killed.
pub const LIMIT: Duration = Duration::from_secs(10);

/// What operators see of one member's hooks.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Hooks {
    /// The address; none is configured, or the guard has not said yet.
    pub vip: Option<VipView>,
    /// What the role command was told last.
    pub role: Option<Told>,
}
