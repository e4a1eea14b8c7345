//! What the driver tells of this member to those who go by it, and what they tell it for operators. Never waits.

use super::{Hooks, Roles, Standing, VipView};
use tokio::sync::watch;
use tracing::warn;
use yoke_core::postgres::RunId;
use yoke_core::view::ClusterView;

/// The driver's end of hooks and copies.
#[derive(Debug)]
pub struct Announcer {
    standing: watch::Sender<Standing>,
    roles: Option<Roles>,
    vip: Option<VipView>,
}

impl Announcer {
    /// Nothing has been told. `roles`: none without a role command, or without a role.
    pub fn new(standing: watch::Sender<Standing>, roles: Option<Roles>) -> Announcer {
        Announcer {
            standing,
            roles,
            vip: None,
        }
    }

    /// Tells where this member stands, if that has changed; the run that admits clients from now on.
    pub fn tell(&mut self, view: &ClusterView) -> Option<RunId> {
        let standing = Standing::of(view);
        if *self.standing.borrow() == standing {
            return None;
        }
        let before = self.standing.send_replace(standing);
        if let (Some(roles), Some(role)) = (&mut self.roles, standing.role) {
            roles.is(role);
        }
        standing.admits.filter(|_| before.admits != standing.admits)
    }

    /// Where the address is, says the guard.
    pub fn vip_is(&mut self, vip: Option<VipView>) {
        let failed = |vip: &Option<VipView>| vip.as_ref().and_then(|v| v.failed.clone());
        if let Some(why) = failed(&vip)
            && failed(&self.vip).as_ref() != Some(&why)
        {
            warn!("virtual address: {why}");
        }
        self.vip = vip;
    }

    /// For operators.
    pub fn shown(&self) -> Hooks {
        Hooks {
            vip: self.vip.clone(),
            role: self.roles.as_ref().and_then(Roles::told),
        }
    }
}
