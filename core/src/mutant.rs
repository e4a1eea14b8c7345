//! Deliberate bugs, one condition each, for the simulator to find. Only with the feature `mutants`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One line a mutant: its name in the code, its name for people, what is wrong.
macro_rules! mutants {
    ($($mutant:ident = $name:literal, $what:literal;)*) => {
        /// One deliberate bug. `Config::mutant` switches it on; [`crate::mutant!`] asks for it where it sits.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum Mutant {
            $(#[doc = $what] $mutant,)*
        }

        impl Mutant {
            /// Every mutant, in the order of the rules.
            pub const ALL: &[Mutant] = &[$(Mutant::$mutant),*];
        }

        impl fmt::Display for Mutant {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Mutant::$mutant => $name),* })
            }
        }
    };
}

mutants! {
    R1LeavesBeforeDisk = "r1-leaves-before-disk", "Messages and orders leave before the state that they rest on is on disk.";
    R1VoteNotKept = "r1-vote-not-kept", "The vote is not in the state that is written.";
    R2AcceptsLowerTerm = "r2-accepts-lower-term", "A record of a lower term is accepted.";
    R2VotesTwice = "r2-votes-twice", "A second vote in one term is given.";
    R2LeadsOn = "r2-leads-on", "A leader that meets a higher term leads on, in that one.";
    R3VotesForOlder = "r3-votes-for-older", "A vote goes to a candidate with an older record.";
    R3NoSpread = "r3-no-spread", "A newer record is taken up from its leader alone.";
    R3KeepsCandidacy = "r3-keeps-candidacy", "A candidacy outlives the record that it began with.";
    R4IgnoresInSync = "r4-ignores-in-sync", "Candidate and voters ignore `in_sync`.";
    R4MembersNotCopies = "r4-members-not-copies", "Whoever has another copy than the one named is eligible.";
    R4NotRunning = "r4-not-running", "A member campaigns whose database is not seen running.";
    R5NoSilence = "r5-no-silence", "A started daemon votes and campaigns at once.";
    R5VotesDespitePromise = "r5-votes-despite-promise", "A voter forgets what it promised.";
    R5CampaignsDespitePromise = "r5-campaigns-despite-promise", "A candidate forgets what it promised.";
    R5LeaderOwesNothing = "r5-leader-owes-nothing", "A leader promises nothing to itself, and votes while its database may serve.";
    R5ReleasesEarly = "r5-releases-early", "Who gives way releases before its database is seen stopped.";
    R5ReleaseEndsSilence = "r5-release-ends-silence", "A release ends the silence after a start, too.";
    R5ReleaseEndsLater = "r5-release-ends-later", "A release ends the promises of later terms, too.";
    R6OwnRecordCommitted = "r6-own-record-committed", "The leader's own record counts as committed.";
    R6AnyAcceptance = "r6-any-acceptance", "An acceptance of an earlier record of the term counts for a later one.";
    R6ResumesCommitted = "r6-resumes-committed", "A resumed leader takes its record as committed.";
    R6TwoOutstanding = "r6-two-outstanding", "A second record is proposed while one is undecided.";
    R6KeepsPromotions = "r6-keeps-promotions", "A new leader's record keeps promotions that its own copy lacks.";
    R6FollowedUnrecorded = "r6-followed-unrecorded", "A primary is followed before its promotion is in a committed record.";
    R6PromotesUnstamped = "r6-promotes-unstamped", "A promotion is ordered that the stamp does not name.";
    R7OpenAtPromotion = "r7-open-at-promotion", "The gate is open at a promotion (PostgreSQL's default).";
    R7ForgetsProposed = "r7-forgets-proposed", "The gate is that of the committed record alone while another is proposed.";
    R7AnyOne = "r7-any-one", "Of several copies in sync the gate names one.";
    R7ClosesUnseen = "r7-closes-unseen", "The gate counts as closed once the settings are read.";
    R8OpensWhenProposed = "r8-opens-when-proposed", "The gate opens when the shrink is proposed.";
    R8ShrinksUnheard = "r8-shrinks-unheard", "A shrink is proposed though no majority answered.";
    R8FellBack = "r8-fell-back", "A copy that shows less than it confirmed stays in sync.";
    R9PositionBeforeProof = "r9-position-before-proof", "The position is taken before the gate's proof.";
    R9NotFlushed = "r9-not-flushed", "A copy enters the record whatever it has flushed.";
    R9NotNamed = "r9-not-named", "A copy enters the record before the gate names it.";
    R9OpensUnseen = "r9-opens-unseen", "The gate counts as open once the settings are read.";
    R10LeaseFromArrival = "r10-lease-from-arrival", "The lease counts from the acknowledgement's arrival.";
    R10NeverFences = "r10-never-fences", "The guard lets a database serve on when its permission ends.";
    R10NoneWhenProposed = "r10-none-when-proposed", "\"None\" is given once the lone record is proposed.";
    R10GrowsUnconfirmed = "r10-grows-unconfirmed", "A growth is proposed before the guard has confirmed a lease.";
    R10LeadsOn = "r10-leads-on", "A leader without its lease goes on sending heartbeats.";
    R10GuardPromotes = "r10-guard-promotes", "The guard promotes without a permission.";
    R10GuardOpens = "r10-guard-opens", "The guard opens gate or doors without a permission.";
    R10OlderPermission = "r10-older-permission", "An older permission that comes late replaces a newer one.";
    R10LoneLease = "r10-lone-lease", "A lone primary needs a lease, too.";
    R11DiscardsNamed = "r11-discards-named", "A copy is given up that the record names.";
    R11DiscardsEarly = "r11-discards-early", "A copy is given up before the record that leaves it out is known committed.";
    R11StartsTorn = "r11-starts-torn", "A directory that is marked as being rewritten is started.";
    R11ComparesReplayed = "r11-compares-replayed", "Histories are compared by what is replayed, not by what is flushed.";
    R12VouchesForAll = "r12-vouches-for-all", "An operator's word counts for every member, not for those alone that it names.";
    R12OneAnswer = "r12-one-answer", "One answer is enough to join again.";
    R12StatelessAnswers = "r12-stateless-answers", "The answer of a member without state counts.";
    R12OldAnswers = "r12-old-answers", "An answer to a question asked before the loss counts.";
    R12VotesAgain = "r12-votes-again", "Who joined again may vote in the term that it adopted.";
    R12AdoptsNoRecord = "r12-adopts-no-record", "Who joins again does not adopt the highest record.";
    R12TrustsOldState = "r12-trusts-old-state", "A state older than what a peer saw counts as whole.";
    R12CountsUnheard = "r12-counts-unheard", "What is written before anybody was heard raises the count of writes.";
    R12LeaderTellsNothing = "r12-leader-tells-nothing", "Heartbeats pass on nothing of what was seen of others.";
    R12IgnoresStamp = "r12-ignores-stamp", "A state older than its stamp counts as whole.";
    R12VotesForShort = "r12-votes-for-short", "A vote goes to a copy that ends below what it is known to have flushed.";
    R12GenesisAgain = "r12-genesis-again", "Stamped data does not keep from a second genesis.";
    R13OtherMembers = "r13-other-members", "A daemon starts with a state of other members than its configuration names.";
    R14AnySystem = "r14-any-system", "A clone of another database counts as one of this cluster's.";
    R15UnverifiedRewind = "r15-unverified-rewind", "A rewind that says that it worked is taken at its word.";
    R15NumbersAlone = "r15-numbers-alone", "Histories are compared by timeline numbers.";
    R15StrikesByControlFile = "r15-strikes-by-control-file", "A promotion is struck that the control file does not show yet.";
    R15TrustsOldData = "r15-trusts-old-data", "A directory below what was noted of it counts as that copy.";
    R15BackupIsOwn = "r15-backup-is-own", "A base backup of another member counts as one's own copy.";
    R15NewestHistory = "r15-newest-history", "A copy's promotions are those of the newest record.";
    R16OldTerm = "r16-old-term", "The guard carries out an order of an older term.";
    R16TwoOrders = "r16-two-orders", "Steward and guard begin an order while one is under way.";
    R16StopWaits = "r16-stop-waits", "A stop waits for the order under way.";
    R16Presumes = "r16-presumes", "A new daemon presumes to know what its predecessor's order did.";
    R17RewindsForced = "r17-rewinds-forced", "What an operator's word left out is rewound in place.";
    R17ForgetsForced = "r17-forgets-forced", "A record made by an operator's word does not say so.";
    R18DoorsOpen = "r18-doors-open", "A promotion is ordered while the doors are open.";
    R18OpensEarly = "r18-opens-early", "Clients come in before the standbys have flushed the end of recovery.";
    R18OpensAnyRun = "r18-opens-any-run", "What was to be open in one run of the primary is opened in the next.";
    R18SessionsStay = "r18-sessions-stay", "A standby's sessions stay across its promotion.";
    R19NeverGivesWay = "r19-never-gives-way", "A leader whose database is dead or hangs leads on.";
    R19WaitsToSee = "r19-waits-to-see", "Who hangs gives way only to a copy that it sees running.";
    R19LoneWaits = "r19-lone-waits", "A lone leader whose database hangs leaves it so.";
    R20FollowsUnheld = "r20-follows-unheld", "A standby follows a primary before it holds the record of its promotion.";
    R20AnyDirectory = "r20-any-directory", "Any unstamped directory counts as the cluster's first one.";
    R20LeavesAtOnce = "r20-leaves-at-once", "A standby found running is pointed at nobody before a leader is heard.";
    PauseIgnored = "pause-ignored", "Others than the record's primary campaign during a pause.";
    HandsBack = "hands-back", "A leader hands the role back to the configured primary as soon as that can take over.";
    Original2015 = "original-2015", "The decision loop of 2015 in the node's place (sim/src/original).";
}
