//! New data, new id (R11): a copy's name stands for one data directory's contents, whatever was acknowledged under it.

use crate::world::World;
use std::collections::BTreeMap;
use yoke_core::record::CopyId;

/// By name: the contents that were first given it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeMap<CopyId, u64>);

impl World {
    /// A stamp was written.
    pub(crate) fn check_name(&mut self, h: usize) {
        let Some(dir) = &self.hosts[h].storage.directory else {
            return;
        };
        let Some(stamp) = &dir.stamp else { return };
        // What a disk fault brought back has its name of then, until its member finds out.
        if dir.went_back == Some(stamp.copy) {
            return;
        }
        let (copy, uid) = (stamp.copy, dir.uid);
        let first = *self.oracles.names.0.entry(copy).or_insert(uid);
        if first != uid {
            self.violated(
                "new_names",
                format!("m{h} calls other data {copy}, as it called what it had before"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::postgres::directory::DataDir;
    use crate::world::World;
    use yoke_core::postgres::{SystemId, Timeline};
    use yoke_core::record::{CopyId, History};
    use yoke_core::step::Stamp;

    #[test]
    fn other_data_under_an_old_name_is_a_violation() {
        let mut world = World::still();
        let stamped = |uid| DataDir {
            stamp: Some(Stamp {
                cluster: "sim".into(),
                member: "m0".into(),
                system_id: SystemId(7),
                copy: CopyId(9),
                record: None,
                history: History::default(),
                ordered: None,
                ordered_on: Timeline(1),
                follows: None,
                rewritten: false,
            }),
            ..DataDir::fresh(uid, SystemId(7))
        };
        for (uid, fine) in [(1, true), (1, true), (2, false)] {
            world.hosts[0].storage.directory = Some(stamped(uid));
            world.check_name(0);
            assert_eq!(world.violation.is_none(), fine);
        }
    }
}
