//! How a test begins.

use super::Watch;
use super::{Cluster, D, HEALTH_TIMEOUT, Host, SYNC_TIMEOUT, SYSTEM, first_copy, index, ms, secs};
use super::{DATA1, DATA2};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use yoke_core::hard_state::HardState;
use yoke_core::member::{Member, MemberId, MemberKind};
use yoke_core::postgres::{Lsn, Timeline};
use yoke_core::record::{History, Promotion, Record, RecordKey, Term};
use yoke_core::{Config, Instant};

impl Cluster {
    /// Members of which the first `data` hold data; nothing runs yet, nothing is on any disk.
    pub(crate) fn bare(data: u8, witnesses: u8) -> Cluster {
        let members: Vec<Member> = (1..=data)
            .map(|i| (format!("data{i}"), MemberKind::Data))
            .chain((1..=witnesses).map(|i| {
                let place = if i == 1 { String::new() } else { i.to_string() };
                (format!("monitor{place}"), MemberKind::Witness)
            }))
            .map(|(name, kind)| Member { name, kind })
            .collect();
        let config = Config {
            cluster: "test".to_owned(),
            members: members.into(),
            me: DATA1,
            configured_primary: DATA1,
            decision_timeout: D,
            sync_timeout: SYNC_TIMEOUT,
            health_timeout: HEALTH_TIMEOUT,
            #[cfg(feature = "mutants")]
            mutant: None,
        };
        config
            .validate()
            .expect("the tests' configuration is valid");
        let hosts = config.ids().map(|me| Host::new(me, &config)).collect();
        Cluster {
            now: Instant(1_000_000_000),
            zero: Instant(1_000_000_000),
            hosts,
            watch: Watch::default(),
            writes: true,
            wire_time: ms(5),
            sent: Vec::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
            lose: None,
            trace: Vec::new(),
            nonces: 0,
            config,
        }
    }

    /// data1, data2 and monitor with empty disks, but for data1's unstamped database.
    pub(crate) fn fresh() -> Cluster {
        let mut cluster = Cluster::bare(2, 1);
        cluster.db_mut(DATA1).has_found_data(SYSTEM);
        cluster
    }

    /// data1, data2 and monitor with the disks of a cluster that lost its power: data1 was primary, data2 in sync.
    pub(crate) fn powered_off() -> Cluster {
        let mut cluster = Cluster::bare(2, 1);
        cluster.fill_disks(&[DATA1, DATA2]);
        cluster
    }

    /// data1 serves, data2 is in sync, monitor votes; the trace begins here.
    pub(crate) fn in_sync() -> Cluster {
        Cluster::powered_off().settled()
    }

    /// data1 serves alone: data2's host is off, and was taken out of the record.
    pub(crate) fn lone() -> Cluster {
        let mut cluster = Cluster::in_sync();
        cluster.power_off(DATA2);
        cluster.run_until("data1 alone", secs(20), |c| {
            c.is_served() && c.committed(DATA1).is_some_and(|r| r.is_lone())
        });
        cluster.mark();
        cluster
    }

    /// Starts everything, waits until it serves and every data member is in sync.
    pub(crate) fn settled(mut self) -> Cluster {
        for m in self.config.ids() {
            self.start(m);
        }
        self.settle();
        self
    }

    pub(crate) fn settle(&mut self) {
        self.run_until("served, all in sync", secs(60), Cluster::is_in_sync);
        self.run_for(secs(1));
        self.mark();
    }

    /// Gives these members the disks of a running cluster of term 1 whose primary was the first of them.
    pub(crate) fn fill_disks(&mut self, in_sync: &[MemberId]) {
        let history = History::from(vec![Promotion {
            timeline: Timeline(2),
            start: Lsn(100),
            term: Term(1),
            n: 1,
        }]);
        let record = Arc::new(Record {
            key: RecordKey {
                term: Term(1),
                version: 3,
            },
            primary: in_sync[0],
            in_sync: in_sync.iter().map(|m| first_copy(*m)).collect(),
            promotions: history.clone(),
            system_id: SYSTEM,
            forced: false,
            paused: false,
        });
        for m in self.config.ids() {
            self.hosts[index(m)].disk = Some(HardState {
                term: Term(1),
                voted_for: Some(in_sync[0]),
                record: Some(record.clone()),
                longest_promise: D,
                stamped: true,
                ..HardState::empty(&self.config)
            });
            if self.config.is_data(m) {
                self.db_mut(m)
                    .has_data(first_copy(m).id, SYSTEM, history.clone(), Lsn(1000));
            }
        }
    }
}
