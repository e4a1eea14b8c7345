//! What kills or stops a node, each with its return: no acknowledged write is lost, the old primary becomes a standby by
//! itself, and nothing but the loss of the primary moves the role.

use nix::sys::signal::Signal;
use tests::faults::ALL;
use tests::scene::play;
use yoke::demo::node::Part;

const MONITOR: usize = 2;

#[test]
fn the_primarys_processes_are_killed() {
    play(async |scene| {
        for parts in [&[Part::Postgres][..], &[Part::Daemon], &[Part::Guard], &ALL] {
            scene.primary_hit(parts, Signal::SIGKILL).await?;
        }
        Ok(())
    });
}

/// SIGSTOP: the guard fences at the end of the lease, although nobody tells it to.
#[test]
fn the_primarys_daemon_hangs_or_is_stopped() {
    play(async |scene| {
        for signal in [Signal::SIGSTOP, Signal::SIGTERM] {
            scene.primary_hit(&[Part::Daemon], signal).await?;
        }
        Ok(())
    });
}

#[test]
fn the_standbys_processes_are_killed() {
    play(async |scene| {
        for parts in [&[Part::Postgres][..], &[Part::Daemon], &[Part::Guard], &ALL] {
            scene.other_hit(1, parts, Signal::SIGKILL).await?;
        }
        Ok(())
    });
}

#[test]
fn the_standbys_daemon_hangs_or_is_stopped() {
    play(async |scene| {
        for signal in [Signal::SIGSTOP, Signal::SIGTERM] {
            scene.other_hit(1, &[Part::Daemon], signal).await?;
        }
        Ok(())
    });
}

/// The monitor's absence changes nothing.
#[test]
fn the_monitor_is_killed_hangs_or_is_stopped() {
    play(async |scene| {
        for signal in [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM] {
            scene.other_hit(MONITOR, &[Part::Daemon], signal).await?;
        }
        Ok(())
    });
}
