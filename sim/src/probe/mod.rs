//! "Sometimes" probes: situations that a search for broken promises has to come by, each with a name and a sentence. What
//! no run came by was not searched, whatever was printed below; so the standard seeds have to reach them all.
//!
//! They are derived from what the simulator sees anyway (reasons, inputs, messages, ends), in this folder; the rest of it
//! says only that something happened. They change nothing in a run, and are not in its digest.

mod database;
mod ends;
mod fewest;
mod loss;
mod node;
mod observer;
mod tally;
mod vote;

pub use fewest::fewest_faults;
pub(crate) use observer::Observer;
pub use tally::Tally;

macro_rules! probes {
    ($($about:literal { $($name:ident = $sentence:literal,)* })*) => {
        /// A situation that has to come up sometimes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[allow(missing_docs, reason = "each has its sentence")]
        pub enum Probe { $($($name,)*)* }

        impl Probe {
            /// All there are.
            pub const ALL: &'static [Probe] = &[$($(Probe::$name,)*)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $($(Probe::$name => stringify!($name),)*)* }
            }

            /// What happened.
            pub fn sentence(self) -> &'static str {
                match self { $($(Probe::$name => $sentence,)*)* }
            }

            /// Which part of the design it belongs to.
            pub fn about(self) -> &'static str {
                match self { $($(Probe::$name)|* => $about,)* }
            }
        }
    };
}

probes! {
    "R1: what is durable, and when" {
        DiedBeforeSending = "a daemon died when its state was durable, before anything that rests on it left",
        DiedBeforeSync = "a daemon died while its state was on its way to the disk",
        LeaderDiedProposing = "a leader's daemon died with an uncommitted record",
    }
    "R2 to R5: votes, terms, promises" {
        VoteTooLate = "a vote arrived after its candidate's term had moved on",
        TwoCandidates = "two members asked for votes in one term",
        OldTermRefused = "a request of a lower term was refused",
        SecondVoteRefused = "a voter had voted for another in this term",
        OldRecordRefused = "a candidate's record was older than a voter's",
        PromisedRefused = "a promise to another forbade a vote",
        SilentRefused = "a voter had started too short a while ago",
        FellBackRefused = "a candidate's copy ended below what a voter knew of it",
        PrimaryRunsRefused = "a voter's own primary database had to stop first",
        TookUpFromAnother = "a record was taken up from another than its leader",
        TookUpInHigherTerm = "a record of a lower term than one's own was taken up",
        CandidacyEnded = "a candidate took up another's record",
        OldLeaderHeard = "a heartbeat of a deposed leader arrived",
        OldDaemonHeard = "a message arrived after the daemon that sent it had ended",
        DiedAtRelease = "a daemon died right after it released its term",
        ReleaseTooLate = "a release arrived when its term was over",
    }
    "R6: taking over and resuming" {
        GoneBeforeTakeOver = "an elected leader was gone before its take-over was committed",
        TookOverUncommitted = "a new leader took over a record that was never known committed",
        ProposalVanished = "a new leader had not seen its predecessor's last proposal",
        DeposedProposing = "a leader was deposed with an uncommitted record",
        ResumedProposing = "a daemon resumed with its predecessor's uncommitted record",
        ResumedPromoting = "a daemon resumed while a promotion was under way",
        ResumedCutOff = "a lone primary's daemon resumed while cut off from all others",
        ElectedWhilePrimary = "a member was elected while its database still served",
    }
    "R7 to R9: gate and record" {
        ShrankSilent = "a copy whose member fell silent was shrunk out",
        ShrankStopped = "a copy whose database was stopped was shrunk out",
        ShrankLagging = "a copy that confirmed nothing new was shrunk out",
        ShrankNotStreaming = "a new primary shrank out a copy that did not stream",
        ShrankLeaving = "a standby asked to be shrunk out, to stop",
        ShrankFellBack = "a copy that showed less than it had confirmed was shrunk out",
        GateWaitsForTwo = "a gate waited for two standbys",
        ProofVoided = "a gate's proof was voided by a restart of the primary, and it was proven anew",
        GrowVoided = "a copy that was being grown left before it was in sync",
        GrowWithoutMajority = "a lone primary had a copy to grow, and no majority to lease from",
        NameTwice = "a copy connected while an older connection of its name was still there",
        OldNamesAtWork = "a walsender released a commit by names that the postmaster no longer had",
        DiedAtGate = "a daemon died right after it ordered a gate",
        DiedAtProof = "a daemon died right after it ordered a canary, to prove a gate",
    }
    "R10 and R16: permission, guard, orders" {
        FencedFrozenDaemon = "a guard fenced while its daemon was frozen",
        FencedWithoutDaemon = "a guard fenced while there was no daemon",
        FencedAfterPause = "a guard fenced as the first thing after its host's pause",
        FencedPromotion = "a fence came before the promotion was done",
        FencedWaiters = "a fence met commits that waited",
        LeaseLost = "a leader's lease ran out",
        DeposedAfterPause = "a host that had been paused found another leader",
        LandedAfterDeposition = "a promotion landed when a later term had its leader",
        DiedAtPromotion = "a daemon died right after it ordered a promotion",
        OrderOutlivedDaemon = "an order outlived its daemon",
        StopEndedRewrite = "a stop ended a clone or a rewind",
        RefusedNoPermission = "a guard refused an order for want of a permission",
        RefusedOldTerm = "a guard refused an order of an older term",
        GuardDiedServing = "a guard died while its database served",
        DeposedAcknowledged = "a deposed primary passed on an acknowledgement",
        LoneCutOffServed = "a lone primary acknowledged while it reached nobody",
    }
    "R11, R14, R15: discards and histories" {
        CloneBegunAnew = "a clone broke off and was begun anew",
        RewindBrokeOff = "a rewind broke off",
        RewindThenClone = "a rewind did not do what it said, and a clone came after it",
        RewoundTwoBehind = "a rewind joined a copy that had missed two promotions",
        HostDiedRewriting = "a host died while its data directory was being rewritten",
        HostDiedStamping = "a host died while a stamp was being written",
        PromotionNeverHappened = "an ordered promotion was seen not to have happened",
        TimelinesEqual = "two promotions made the same timeline number",
        FoundForeign = "a directory that was not the cluster's was set aside",
        CopyFellBack = "a data directory that went back in time was noticed",
        CopyDoubted = "a copy got another name because its member's state file went back in time",
    }
    "R12: losses of state" {
        PromotedAfterTear = "a member whose state file was torn was promoted later",
        ForgotByStamp = "a state file was older than the stamp",
        ForgotBySight = "a state file was older than what another member had seen",
        TwoWithoutState = "two members were without state at once",
        NoStateRefused = "a voter without state was asked for its vote",
        RejoinedByLone = "a lone leader's answer was enough to join again",
        RejoinedByVouching = "a member joined again on an operator's word",
        ElectedDespiteLoss = "a leader was elected while a member was without state",
    }
    "R19 and what happens when" {
        GaveWayDead = "a leader gave way because its database died",
        GaveWayHanging = "a leader gave way because its database hung",
        GaveWayUnseen = "a leader that gave way just stopped leading: the end was not seen",
        RestartedDead = "a lone primary's dead database was started again",
        RestartedHanging = "a lone primary's hanging database was stopped and started again",
        StandbyHung = "a standby that did not answer was started again",
        SuccessorDied = "a released term's successor died before it was elected",
        StoppedWithoutSuccessor = "a primary was told to stop, and nobody could take over",
        PowerLostPromoting = "all power was lost during a promotion",
        MovedThreeTimes = "the role moved three times before anything healed",
        PausedPrimaryDown = "a primary was down for long during a pause, and nobody took over",
        PauseEndedByElection = "an operator's word in spite of a pause made a member the leader",
        CopyReplaced = "a copy that fitted was replaced on an operator's word",
        ElectedWhileRewriting = "a leader was elected while another's copy was being rewritten",
    }
}

/// The probes that one run reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reached(u128);

const _: () = assert!(Probe::ALL.len() <= u128::BITS as usize);

impl Reached {
    pub(crate) fn note(&mut self, probe: Probe) {
        self.0 |= 1 << probe as u32;
    }

    /// Whether this one is among them.
    pub fn has(self, probe: Probe) -> bool {
        self.0 & (1 << probe as u32) != 0
    }
}
