//! The guard's hands on the virtual address: its keeper, and a thread that runs one command at a time. A fence waits for
//! nothing of it; that everything is gone is told once the address is, or after its keeper's patience.

use crate::guard::process::{Process, Stage, now};
use crate::guard::wire::GuardReply;
use crate::hooks::run::{Hook, Ran, run};
use crate::hooks::vip::{Change, Do, Keeper, Vip};
use crate::hooks::{LIMIT, VipView};
use crate::postgres::Context;
use crate::postgres::execute::Ending;
use nix::sys::eventfd::EventFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use yoke_core::Instant;
use yoke_core::permission::GuardView;
use yoke_core::postgres::RunId;

/// What the thread tells.
#[derive(Debug)]
enum Word {
    Said(String),
    Ended(Ran),
}

/// The address, its keeper and their thread.
#[derive(Debug)]
pub(super) struct Address {
    keeper: Keeper,
    jobs: Sender<(Hook, Ending)>,
    words: Receiver<Word>,
    ending: Ending,
    /// The command under way, for the log.
    name: String,
    /// For the log, once the daemon has begun its own.
    unsaid: Vec<String>,
    /// What the daemon was told.
    told: Option<VipView>,
    environment: Vec<(&'static str, String)>,
}

impl Address {
    /// Begins to remove what may be left over. `bell` rings when there is something to look at.
    pub(super) fn new(context: &Context, bell: Arc<EventFd>) -> std::io::Result<Address> {
        let (jobs, to_do) = channel::<(Hook, Ending)>();
        let (word, words) = channel();
        std::thread::Builder::new()
            .name("vip".into())
            .spawn(move || {
                let tell = |said| {
                    // Both fail only when the process ends.
                    let _ = word.send(said);
                    let _ = bell.write(1);
                };
                for (hook, ending) in to_do {
                    let ran = run(&hook, &ending, &mut |line| {
                        tell(Word::Said(line.to_owned()))
                    });
                    tell(Word::Ended(ran));
                }
            })?;
        Ok(Address {
            keeper: Keeper::new(now(), context.vip.clone()),
            jobs,
            words,
            ending: Ending::default(),
            name: String::new(),
            unsaid: Vec::new(),
            told: None,
            environment: context.hook_environment(),
        })
    }

    /// A daemon is heard, and has this to say of it.
    pub(super) fn configure(&mut self, context: &Context) {
        self.keeper.configure(context.vip.clone());
        // Whoever is new has been told nothing.
        self.told = None;
    }

    /// Serving ends, or has ended.
    pub(super) fn leave(&mut self, run: Option<RunId>) {
        self.keeper.leave(now(), run);
        self.go_on();
    }

    /// Clients are admitted in this run, says the daemon; it may be late.
    pub(super) fn admit(&mut self, run: RunId, view: &GuardView) {
        if view.run == Some(run) && view.serving.is_some() && !view.fencing {
            self.keeper.admit(run);
        }
    }

    /// Until when the end of serving is to be kept back.
    pub(super) fn holds_until(&self) -> Option<Instant> {
        self.keeper.holds_until(now())
    }

    /// Nothing is under way and nothing to be done.
    pub(super) fn is_idle(&self) -> bool {
        self.keeper.is_idle()
    }

    /// Begins what is to be done.
    fn go_on(&mut self) {
        while let Some(todo) = self.keeper.poll(now()) {
            match todo {
                Do::End => self.ending.end(),
                Do::Begin(change, vip) => self.begin(change, &vip),
            }
        }
    }

    fn begin(&mut self, change: Change, vip: &Vip) {
        self.ending = Ending::default();
        self.name = format!("{} {}", change.name(), vip.ip);
        let hook = Hook {
            line: vip.line(change),
            environment: self.environment.clone(),
            limit: Some(LIMIT),
        };
        // The thread ends with the process only.
        let _ = self.jobs.send((hook, self.ending.clone()));
    }
}

impl Process {
    /// Takes in what the thread told, goes on, and tells the daemon.
    pub(super) fn look_at_address(&mut self) {
        let words: Vec<Word> = self.address.words.try_iter().collect();
        for word in words {
            let name = &self.address.name;
            let text = match &word {
                Word::Said(line) => format!("{name}: {line}"),
                Word::Ended(ran) => format!("{name} {ran}"),
            };
            self.address.unsaid.push(text);
            if let Word::Ended(ran) = &word {
                self.address.keeper.ended(ran);
            }
        }
        self.address.go_on();
        if self.address.keeper.gives_up_waiting(now()) {
            let text = format!(
                "{} has not ended yet, and is waited for no longer",
                self.address.name
            );
            self.address.unsaid.push(text);
        }
        if self.stage == Stage::Guarding {
            for text in std::mem::take(&mut self.address.unsaid) {
                self.tell(&GuardReply::Explain(text));
            }
        }
        let view = self.address.keeper.view();
        if self.link.is_some() && self.stage == Stage::Guarding && view != self.address.told {
            self.address.told.clone_from(&view);
            self.tell(&GuardReply::Vip(view));
        }
    }
}
