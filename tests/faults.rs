//! A fault, its return, and what the clients saw of it.

use crate::Said;
use crate::scene::Scene;
use nix::sys::signal::Signal;
use std::time::Instant;
use yoke::demo::node::Part;
use yoke::demo::picture::Serving;
use yoke::demo::stage::{PATIENCE, Stage};

/// All of a node.
pub const ALL: [Part; 3] = [Part::Daemon, Part::Guard, Part::Postgres];

impl Scene {
    /// The primary's node is hit; the other takes over; the node returns as a standby without a word from anybody.
    ///
    /// # Errors
    /// What did not come.
    pub async fn primary_hit(&mut self, parts: &[Part], signal: Signal) -> Said<()> {
        self.stage.settled().await;
        let before = self.serving().await?;
        let begun = Instant::now();
        println!("{}", self.stage.node(before.node).signal(parts, signal)?);
        self.other_serves(before).await?;
        self.writes(50).await?;
        self.return_of(before.node, parts, signal).await?;
        let after = self.healthy().await?;
        if after.serving().map(|s| s.node) != Some(Stage::other(before.node)) {
            return Err("the role moved a second time when the old primary returned".to_owned());
        }
        self.report("primary", parts, signal, begun);
        Ok(())
    }

    /// Another node than the primary's is hit; the primary serves on, and the node returns.
    ///
    /// # Errors
    /// What did not come, or that the role moved.
    pub async fn other_hit(&mut self, node: usize, parts: &[Part], signal: Signal) -> Said<()> {
        let before = self.serving().await?;
        let begun = Instant::now();
        println!("{}", self.stage.node(node).signal(parts, signal)?);
        // Also waits for the fault to be noticed, where writes wait for the node.
        self.writes(100).await?;
        self.return_of(node, parts, signal).await?;
        let after = self.healthy().await?;
        let reign = |s: Serving| (s.node, s.timeline);
        if after.serving().map(reign) != Some(reign(before)) {
            return Err("the role moved although the primary could serve".to_owned());
        }
        let who = if node == 2 { "monitor" } else { "standby" };
        self.report(who, parts, signal, begun);
        Ok(())
    }

    /// Who serves; while a gate is being changed, who does once it is.
    ///
    /// # Errors
    /// Nobody does in time.
    pub async fn serving(&mut self) -> Said<Serving> {
        let picture = self.until("served", |p| p.serving().is_some()).await?;
        picture.serving().ok_or_else(|| "nobody serves".to_owned())
    }

    /// Waits until the other node with data serves.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn other_serves(&mut self, before: Serving) -> Said<()> {
        let other = Stage::other(before.node);
        self.until("the other node serves", |p| {
            p.serving().is_some_and(|s| s.node == other)
        })
        .await?;
        Ok(())
    }

    /// Undoes the fault: a daemon that hangs goes on, one that ended is started again, as a service manager would.
    async fn return_of(&mut self, node: usize, parts: &[Part], signal: Signal) -> Said<()> {
        let node = self.stage.node(node);
        if signal == Signal::SIGSTOP {
            println!("{}", node.signal(parts, Signal::SIGCONT)?);
            return Ok(());
        }
        if parts.contains(&Part::Daemon) || parts.contains(&Part::Guard) {
            // Without its guard a daemon ends by itself.
            node.wait_ended(PATIENCE).await?;
            node.start()?;
        }
        Ok(())
    }

    fn report(&self, who: &str, parts: &[Part], signal: Signal, begun: Instant) {
        let gap = self.stage.writers.ledger().gap(begun, Instant::now());
        let parts: Vec<String> = parts.iter().map(Part::to_string).collect();
        println!(
            "GAP {:.3} s: {signal} to the {who}'s {}",
            gap.length.as_secs_f64(),
            parts.join(", ")
        );
    }
}
