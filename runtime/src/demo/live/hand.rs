//! The person's hand: does what a key says, knows what it has cut, and mends everything at the end.

use super::keys::Act;
use super::story::Story;
use crate::demo::Said;
use crate::demo::network::Network;
use crate::demo::node::Part;
use crate::demo::stage::Stage;
use nix::sys::signal::Signal;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// What a person has done that can be undone.
#[derive(Debug, Default)]
pub struct Hand {
    network: Option<Network>,
    cut: [bool; 3],
    link_cut: bool,
    hand_over: Option<oneshot::Receiver<Said<String>>>,
}

impl Hand {
    /// With a network that can be cut, if there is one.
    pub fn with(network: Option<Network>) -> Hand {
        Hand {
            network,
            ..Hand::default()
        }
    }

    /// Whether hosts can be cut off.
    pub(super) fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// Whether nothing reaches this host.
    pub(super) fn is_cut(&self, host: usize) -> bool {
        self.cut[host]
    }

    /// Whether the hosts with data do not reach each other.
    pub(super) fn is_link_cut(&self) -> bool {
        self.link_cut
    }

    /// Whether a hand-over is under way.
    pub(super) fn is_handing_over(&self) -> bool {
        self.hand_over.is_some()
    }

    /// What came of the hand-over, once.
    pub(super) fn outcome(&mut self) -> Option<String> {
        let outcome = match self.hand_over.as_mut()?.try_recv() {
            Ok(Ok(said) | Err(said)) => Some(said),
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Closed) => None, // it panicked, and that was said
        };
        self.hand_over = None;
        outcome
    }

    /// Does it to this host, and notes it. Why not, if it cannot be done.
    ///
    /// # Errors
    /// One line for people.
    pub(super) async fn act(
        &mut self,
        act: Act,
        host: usize,
        stage: &mut Stage,
        story: &mut Story,
    ) -> Said<()> {
        let node = stage.node(host);
        let name = node.name;
        let (fault, what) = match act {
            Act::Kill(part) => {
                node.signal(&[part], Signal::SIGKILL)?;
                (true, format!("{part} killed"))
            }
            Act::KillHost => {
                node.kill_all()?;
                (true, "all killed".to_owned())
            }
            Act::FreezeDaemon => {
                node.signal(&[Part::Daemon], Signal::SIGSTOP)?;
                (true, "daemon frozen".to_owned())
            }
            Act::ThawDaemon => {
                node.signal(&[Part::Daemon], Signal::SIGCONT)?;
                (false, "daemon thawed".to_owned())
            }
            Act::FreezeHost => {
                node.freeze_all()?;
                (true, "all frozen".to_owned())
            }
            Act::ThawHost => {
                node.thaw_all().await?;
                (false, "all thawed".to_owned())
            }
            Act::Cut => {
                self.network()?.silence(host)?;
                self.cut[host] = true;
                (true, "network cut".to_owned())
            }
            Act::CutLink => {
                self.network()?.cut(0, &[1])?;
                self.link_cut = true;
                (true, "link cut".to_owned())
            }
            Act::Mend => {
                self.mend(host)?;
                (false, "network mended".to_owned())
            }
            Act::Revive => {
                self.mend(host)?;
                node.thaw_all().await?;
                if !node.is_running() {
                    node.start()?;
                }
                (false, "revived".to_owned())
            }
            Act::HandOver => {
                let demote = stage.demote(host);
                let (tell, told) = oneshot::channel();
                tokio::spawn(async move { tell.send(demote.await) });
                self.hand_over = Some(told);
                (true, "asked to hand over".to_owned())
            }
            Act::Choose(_) | Act::Quit => return Ok(()),
        };
        story.note(fault, format!("{name}: {what}"));
        Ok(())
    }

    /// Brings back what can be brought back without starting anything: at the end.
    ///
    /// # Errors
    /// What cannot be mended.
    pub async fn mend_all(&mut self, stage: &mut Stage) -> Said<()> {
        for host in 0..self.cut.len() {
            self.mend(host)?;
            stage.node(host).thaw_all().await?;
        }
        Ok(())
    }

    /// What was cut at this host passes again.
    fn mend(&mut self, host: usize) -> Said<()> {
        if self.cut[host] {
            self.network()?.heal(host)?;
            self.cut[host] = false;
        }
        if self.link_cut && host < 2 {
            self.network()?.heal(0)?;
            self.link_cut = false;
        }
        Ok(())
    }

    fn network(&self) -> Said<&Network> {
        let without = "the hosts have no network of their own: yoke demo --cuts";
        self.network.as_ref().ok_or_else(|| without.to_owned())
    }
}
