//! An operator's `yokeadm`: who is what, and the hand-over there and back.

use std::time::Instant;
use tests::programs::ask;
use tests::scene::play;

#[test]
fn demote_hands_over_there_and_back() {
    play(async |scene| {
        for _ in 0..2 {
            let before = scene.serving().await?;
            let node = scene.stage.node(before.node);
            let (name, port) = (node.name, node.address.port());
            let begun = Instant::now();
            let said = ask(port, &["demote"]).await?;
            if !said.starts_with(&format!("{name} handed over to ")) {
                return Err(format!("yokeadm demote said: {said}"));
            }
            scene.other_serves(before).await?;
            scene.healthy().await?;
            let gap = scene.stage.writers.ledger().gap(begun, Instant::now());
            println!("GAP {:.3} s: yokeadm demote", gap.length.as_secs_f64());
        }
        Ok(())
    });
}

#[test]
fn a_standby_cannot_hand_over_and_says_who_can() {
    play(async |scene| {
        let standby = scene.stage.node(1).address.port();
        let primary = scene.stage.node(0).address.port();
        match ask(standby, &["demote"]).await {
            Err(why) if why.contains(&format!("-p {primary} demote")) => Ok(()),
            other => Err(format!("yokeadm demote at the standby said: {other:?}")),
        }
    });
}

#[test]
fn list_shows_every_member_and_what_a_failover_would_lose() {
    play(async |scene| {
        let port = scene.stage.node(2).address.port();
        let table = ask(port, &["list"]).await?;
        let json = ask(port, &["list", "--json"]).await?;
        for part in [
            "data1 leads",
            "data2",
            "monitor",
            "would lose nothing: data2 is in sync",
        ] {
            if !table.contains(part) {
                return Err(format!("yokeadm list does not say `{part}`: {table}"));
            }
        }
        if !json.contains("\"failover_possible\": true") {
            return Err(format!("yokeadm list --json said: {json}"));
        }
        Ok(())
    });
}
