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

            /// Its place in the list, by its name.
            pub fn place(name: &str) -> Option<usize> {
                [$($name),*].iter().position(|known| *known == name)
            }
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
    R1PromiseNotKept = "r1-promise-not-kept", "The longest promise is not in the state that is written.";
    R1TermNotKept = "r1-term-not-kept", "A term without a vote is not in the state that is written.";
    R1StopWaits = "r1-stop-waits", "The order to stop a database waits for the disk.";
    R1ShortensLate = "r1-shortens-late", "A permission that is shortened waits for the disk.";
    R2AcceptsLowerTerm = "r2-accepts-lower-term", "A record of a lower term is accepted.";
    R2VotesTwice = "r2-votes-twice", "A second vote in one term is given.";
    R2LeadsOn = "r2-leads-on", "A leader that meets a higher term leads on, in that one.";
    R2OldVotes = "r2-old-votes", "A vote given in an earlier round counts.";
    R2HalfIsEnough = "r2-half-is-enough", "Half of all members elect.";
    R2LeaderLearnsNothing = "r2-leader-learns-nothing", "A leader ignores a higher term in answers and questions.";
    R3VotesForOlder = "r3-votes-for-older", "A vote goes to a candidate with an older record.";
    R3NoSpread = "r3-no-spread", "A newer record is taken up from its leader alone.";
    R3KeepsCandidacy = "r3-keeps-candidacy", "A candidacy outlives the record that it began with.";
    R3TermsAlone = "r3-terms-alone", "Records are compared by their terms alone when a vote is given.";
    R3AsksInVain = "r3-asks-in-vain", "The record in an answer to a question is not taken up.";
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
    R5PreVoteRaises = "r5-pre-vote-raises", "A pre-vote raises the term of who is asked.";
    R5HearsReleased = "r5-hears-released", "A heartbeat of a released term gives a promise.";
    R5OwnLength = "r5-own-length", "A promise lasts for the voter's D, not for the leader's.";
    R5ConfiguredSilence = "r5-configured-silence", "A started daemon is silent for its own D, whatever it promised.";
    R5VotesInSilence = "r5-votes-in-silence", "A started daemon votes at once.";
    R6OwnRecordCommitted = "r6-own-record-committed", "The leader's own record counts as committed.";
    R6AnyAcceptance = "r6-any-acceptance", "An acceptance of an earlier record of the term counts for a later one.";
    R6ResumesCommitted = "r6-resumes-committed", "A resumed leader takes its record as committed.";
    R6TwoOutstanding = "r6-two-outstanding", "A second record is proposed while one is undecided.";
    R6KeepsPromotions = "r6-keeps-promotions", "A new leader's record keeps promotions that its own copy lacks.";
    R6FollowedUnrecorded = "r6-followed-unrecorded", "A primary is followed before its promotion is in a committed record.";
    R6PromotesUnstamped = "r6-promotes-unstamped", "A promotion is ordered that the stamp does not name.";
    R6TakesOverAlone = "r6-takes-over-alone", "A take-over names the new leader alone.";
    R6ResumesUnvoted = "r6-resumes-unvoted", "A daemon resumes a term in which it did not vote for itself.";
    R6JoinsUnentered = "r6-joins-unentered", "A promoted copy's history keeps promotions that it never entered.";
    R6PromotesAsFound = "r6-promotes-as-found", "What is to be left as found, and is gone, is started and promoted.";
    R7OpenAtPromotion = "r7-open-at-promotion", "The gate is open at a promotion (PostgreSQL's default).";
    R7ForgetsProposed = "r7-forgets-proposed", "The gate is that of the committed record alone while another is proposed.";
    R7AnyOne = "r7-any-one", "Of several copies in sync the gate names one.";
    R7ClosesUnseen = "r7-closes-unseen", "The gate counts as closed once the settings are read.";
    R7NoCanary = "r7-no-canary", "The gate counts as closed though no commit was seen waiting.";
    R7CanaryAlone = "r7-canary-alone", "The gate counts as closed though a walsender still counts.";
    R7ProvesOldSettings = "r7-proves-old-settings", "A proof begins with settings that are about to be replaced.";
    R7ClosesOver = "r7-closes-over", "A gate is closed while its opening for nobody is under way.";
    R8OpensWhenProposed = "r8-opens-when-proposed", "The gate opens when the shrink is proposed.";
    R8ShrinksUnheard = "r8-shrinks-unheard", "A shrink is proposed though no majority answered.";
    R8AskedBefore = "r8-asked-before", "A majority that answered before the copy had to leave is enough to shrink.";
    R8FellBack = "r8-fell-back", "A copy that shows less than it confirmed stays in sync.";
    R8BelievesOldWord = "r8-believes-old-word", "What a daemon that ran on says of its copy is believed, however old it may be.";
    R8NudgesRarely = "r8-nudges-rarely", "The health write comes as seldom as D is long: who has nothing to confirm seems to lag.";
    R8LagIgnored = "r8-lag-ignored", "A copy that lags stays in sync.";
    R8WaitsForReturn = "r8-waits-for-return", "A new primary waits for who does not return.";
    R8StopsAtOnce = "r8-stops-at-once", "Who is told to stop does not wait to be shrunk out.";
    R9PositionBeforeProof = "r9-position-before-proof", "The position is taken before the gate's proof.";
    R9NotFlushed = "r9-not-flushed", "A copy enters the record whatever it has flushed.";
    R9NotNamed = "r9-not-named", "A copy enters the record before the gate names it.";
    R9OpensUnseen = "r9-opens-unseen", "The gate counts as open once the settings are read.";
    R9ProofOutlivesGate = "r9-proof-outlives-gate", "The gate's proof outlives a change of its names.";
    R9OpensFromOpen = "r9-opens-from-open", "An open gate is given other names without being closed between.";
    R9OrderUnderWay = "r9-order-under-way", "A copy enters the record while a gate order is under way.";
    R10LeaseFromArrival = "r10-lease-from-arrival", "The lease counts from the acknowledgement's arrival.";
    R10NeverFences = "r10-never-fences", "The guard lets a database serve on when its permission ends.";
    R10NoneWhenProposed = "r10-none-when-proposed", "\"None\" is given once the lone record is proposed.";
    R10GrowsUnconfirmed = "r10-grows-unconfirmed", "A growth is proposed before the guard has confirmed a lease.";
    R10LeadsOn = "r10-leads-on", "A leader without its lease goes on sending heartbeats.";
    R10GuardPromotes = "r10-guard-promotes", "The guard promotes without a permission.";
    R10GuardOpens = "r10-guard-opens", "The guard opens gate or doors without a permission.";
    R10OlderPermission = "r10-older-permission", "An older permission that comes late replaces a newer one.";
    R10LateIsUnknown = "r10-late-is-unknown", "A permission that an earlier daemon gave, and that its guard takes late, is never ended.";
    R10AnyRound = "r10-any-round", "The answer to any heartbeat extends the lease as one to the newest.";
    R10LeaseIsPromise = "r10-lease-is-promise", "The lease lasts as long as the promise.";
    R10OneLess = "r10-one-less", "A lease needs one answer less than a majority.";
    R10HearsWhileServing = "r10-hears-while-serving", "A heartbeat is acknowledged while the own database serves.";
    R10TakesUpWhileServing = "r10-takes-up-while-serving", "Another's record is taken up while the own database serves.";
    R10NothingServes = "r10-nothing-serves", "A primary counts as down though a permission for it runs on.";
    R10OrderedIsDown = "r10-ordered-is-down", "A promotion that is ordered, and of which the guard has said nothing yet, serves nothing.";
    R10FenceWaits = "r10-fence-waits", "A fence waits for the order under way.";
    R10ServesOncePromoted = "r10-serves-once-promoted", "A database counts as serving only once its promotion is done.";
    R10NeverWakes = "r10-never-wakes", "The guard looks at its permission only when something comes.";
    R10JoinsWhileServing = "r10-joins-while-serving", "Who joins again takes up another's record while its own database serves.";
    R10StopsInTurns = "r10-stops-in-turns", "A stop at once is taken back to a clean one, and ordered again, in turns.";
    R10ResumesLone = "r10-resumes-lone", "A resumed leader takes its lone record for committed.";
    R10LoneLease = "r10-lone-lease", "A lone primary needs a lease, too.";
    R11DiscardsNamed = "r11-discards-named", "A copy is given up that the record names.";
    R11DiscardsEarly = "r11-discards-early", "A copy is given up before the record that leaves it out is known committed.";
    R11StartsTorn = "r11-starts-torn", "A directory that is marked as being rewritten is started.";
    R11ComparesReplayed = "r11-compares-replayed", "Histories are compared by what is replayed, not by what is flushed.";
    R11AnyLaterTerm = "r11-any-later-term", "A record counts as committed once one of any later term is.";
    R11KeepsLate = "r11-keeps-late", "The leave to discard is taken back only when what rests on a disk is told.";
    R11ReplacesUnknown = "r11-replaces-unknown", "A copy is replaced on an operator's word before its leader knows that it leaves.";
    R11NameOfItsClone = "r11-name-of-its-clone", "A doubted copy may get the name that the same daemon gave to it as a clone.";
    R11NameGivenTwice = "r11-name-given-twice", "A second clone of one daemon gets the name of the first.";
    R11EndOutlivesItsCopy = "r11-end-outlives-its-copy", "How far a copy came counts for the one that replaces it, if the mark's answer was a failure.";
    R12SaysWhatWaited = "r12-says-what-waited", "What waited for a disk when a state was found old is said later.";
    R12VouchesForAll = "r12-vouches-for-all", "An operator's word counts for every member, not for those alone that it names.";
    R12OneAnswer = "r12-one-answer", "One answer is enough to join again.";
    R12StatelessAnswers = "r12-stateless-answers", "The answer of a member without state counts.";
    R12AnswersUnlooked = "r12-answers-unlooked", "Who has not looked at its directory answers as with state.";
    R12LateStartStands = "r12-late-start-stands", "What an earlier start said of its copy, come late, takes the place of what the present one says.";
    R12StaleWordStands = "r12-stale-word-stands", "What was said of a copy counts as of the newest start that was heard of.";
    R12LearnsUnlooked = "r12-learns-unlooked", "Terms and records of answers are taken before the directory was looked at.";
    R12OldAnswers = "r12-old-answers", "An answer to a question asked before the loss counts.";
    R12VotesAgain = "r12-votes-again", "Who joined again may vote in the term that it adopted.";
    R12BelowItsGuard = "r12-below-its-guard", "Who joins again takes a term below one that its guard has seen.";
    R12AdoptsNoRecord = "r12-adopts-no-record", "Who joins again does not adopt the highest record.";
    R12TrustsOldState = "r12-trusts-old-state", "A state older than what a peer saw counts as whole.";
    R12CountsUnheard = "r12-counts-unheard", "What is written before anybody was heard raises the count of writes.";
    R12LeaderTellsNothing = "r12-leader-tells-nothing", "Heartbeats pass on nothing of what was seen of others.";
    R12IgnoresStamp = "r12-ignores-stamp", "A state older than its stamp counts as whole.";
    R12KeepsItsName = "r12-keeps-its-name", "The copy of a member whose state went back keeps its name.";
    R12VotesForShort = "r12-votes-for-short", "A vote goes to a copy that ends below what it is known to have flushed.";
    R12GenesisAgain = "r12-genesis-again", "Stamped data does not keep from a second genesis.";
    R12JoinsUnsilent = "r12-joins-unsilent", "Who joined again votes at once.";
    R13OtherMembers = "r13-other-members", "A daemon starts with a state of other members than its configuration names.";
    R14AnySystem = "r14-any-system", "A clone of another database counts as one of this cluster's.";
    R14ReplacesAny = "r14-replaces-any", "A database of another system is replaced.";
    R15UnverifiedRewind = "r15-unverified-rewind", "A rewind that says that it worked is taken at its word.";
    R15NumbersAlone = "r15-numbers-alone", "Histories are compared by timeline numbers.";
    R15NamedNumbersAlone = "r15-named-numbers-alone", "A promotion that no record names is taken to have made no number twice.";
    R15StrikesByControlFile = "r15-strikes-by-control-file", "A promotion is struck that the control file does not show yet.";
    R15TrustsOldData = "r15-trusts-old-data", "A directory below what was noted of it counts as that copy.";
    R15BackupIsOwn = "r15-backup-is-own", "A base backup of another member counts as one's own copy.";
    R15NewestHistory = "r15-newest-history", "A copy's promotions are those of the newest record.";
    R15OrderStays = "r15-order-stays", "A follower's stamp keeps its own promotion order.";
    R15FollowsStays = "r15-follows-stays", "A promoted copy still counts as one that follows.";
    R15FollowsIsEnough = "r15-follows-is-enough", "Who followed a copy fits, whatever its history.";
    R15StartsContradicted = "r15-starts-contradicted", "A copy on which PostgreSQL does not start is started all the same.";
    R15NextAlone = "r15-next-alone", "A copy fits that ends beyond a later promotion of the primary.";
    R15EndIgnored = "r15-end-ignored", "A copy fits whatever it holds beyond where the primary went on.";
    R15NeverSettled = "r15-never-settled", "A promotion order is never settled at a start.";
    R16OldTerm = "r16-old-term", "The guard carries out an order of an older term.";
    R16TwoOrders = "r16-two-orders", "Steward and guard begin an order while one is under way.";
    R16StopWaits = "r16-stop-waits", "A stop waits for the order under way.";
    R16OvertakenLook = "r16-overtaken-look", "A look at the directory counts, although what changed it ended after that look began.";
    R16Presumes = "r16-presumes", "A new daemon presumes to know what its predecessor's order did.";
    R16EndedIsOver = "r16-ended-is-over", "An order that was ended counts as over before it has answered.";
    R16IdleStopStays = "r16-idle-stop-stays", "A stop of what does not run is waited for when another stop has ended it.";
    R16HurriesNoStop = "r16-hurries-no-stop", "A stop at once waits for a clean one.";
    R16FenceEndsNothing = "r16-fence-ends-nothing", "A fence leaves the order under way to itself.";
    R16AnyGone = "r16-any-gone", "The end of an older run counts for the present one.";
    R17RewindsForced = "r17-rewinds-forced", "What an operator's word left out is rewound in place.";
    R17NextTerm = "r17-next-term", "An adopted copy leads the very next term.";
    R17ForgetsForced = "r17-forgets-forced", "A record made by an operator's word does not say so.";
    R17ByPositionAlone = "r17-by-position-alone", "Of two copies of one promotion the one that is seen to go further is taken for the newer, though the other was its primary.";
    R17AdoptsBesideServing = "r17-adopts-beside-serving", "A copy is adopted while another's database serves on without a leader.";
    R18DoorsOpen = "r18-doors-open", "A promotion is ordered while the doors are open.";
    R18OpensEarly = "r18-opens-early", "Clients come in before the standbys have flushed the end of recovery.";
    R18OpensAnyRun = "r18-opens-any-run", "What was to be open in one run of the primary is opened in the next.";
    R18SessionsStay = "r18-sessions-stay", "A standby's sessions stay across its promotion.";
    R18DoorsBeforeGate = "r18-doors-before-gate", "Doors open before the gate.";
    R19LeadersAlone = "r19-leaders-alone", "A lone primary that hangs is started again only while its daemon leads.";
    R19NeverGivesWay = "r19-never-gives-way", "A leader whose database is dead or hangs leads on.";
    R19WaitsToSee = "r19-waits-to-see", "Who hangs gives way only to a copy that it sees running.";
    R19LoneWaits = "r19-lone-waits", "A lone leader whose database hangs leaves it so.";
    R19CampaignsAtOnce = "r19-campaigns-at-once", "Who gave way campaigns again at once.";
    R19WaitsForHealth = "r19-waits-for-health", "A failed health write is no reason to give way.";
    R19ReleasesUnarrived = "r19-releases-unarrived", "A hand-over does not wait for the shutdown checkpoint to arrive.";
    R20NoneAfterLoss = "r20-none-after-loss", "After a loss of state no unstamped directory is the cluster's first.";
    R20FollowsUnheld = "r20-follows-unheld", "A standby follows a primary before it holds the record of its promotion.";
    R20AnyDirectory = "r20-any-directory", "Any unstamped directory counts as the cluster's first one.";
    R20LeavesAtOnce = "r20-leaves-at-once", "A standby found running is pointed at nobody before a leader is heard.";
    PauseIgnored = "pause-ignored", "Others than the record's primary campaign during a pause.";
    HandsBack = "hands-back", "A leader hands the role back to the configured primary as soon as that can take over.";
    Original2015 = "original-2015", "The decision loop of 2015 in the node's place (sim/src/original).";
}
