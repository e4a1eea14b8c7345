//! The virtual address in a real guard's keeping: it leaves before the role does, and a fence does not wait for it.

mod support;

use std::time::{Duration, Instant};
use support::{A, Host, eventually, initdb, now};
use yoke::guard::{GuardReply, GuardRequest};
use yoke::hooks::Vip;
use yoke_core::permission::Lasts;
use yoke_core::postgres::{Doors, StopMode};
use yoke_core::step::Step;

/// A host with a database, whose commands write a line each; removing takes so long.
async fn host(seconds: &'static str) -> Host {
    let host = Host::of(A, |context, dir| {
        let log = dir.join("log").display().to_string();
        context.vip = Some(Vip {
            ip: "1.2.3.4".into(),
            add_command: format!("f() {{ echo add $1 >>{log}; }}; f"),
            remove_command: Some(format!(
                "f() {{ echo leaves >>{log}; sleep {seconds}; echo remove $1 >>{log}; }}; f"
            )),
        });
    })
    .await;
    initdb(&host.context, "scram-sha-256");
    host
}

fn log(host: &Host) -> Vec<String> {
    let text = std::fs::read_to_string(host.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The address is here: its first removal is over, and the primary admits clients.
async fn serving(seconds: &'static str, lasts: Lasts) -> Host {
    let mut host = host(seconds).await;
    host.start(1).await;
    let run = host.view.run.expect("a run");
    // A standby has no clients to admit, whatever is said.
    host.guard.send(GuardRequest::Admits { run });
    host.promote(1, lasts).await;
    host.apply(1, Some(vec![]), Doors::Open).await;
    assert!(
        !log(&host).contains(&"add 1.2.3.4".to_owned()),
        "{:?}",
        log(&host)
    );
    host.guard.send(GuardRequest::Admits { run });
    eventually("the address", || {
        log(&host).last().is_some_and(|l| l == "add 1.2.3.4")
    })
    .await;
    host
}

fn for_long() -> Lasts {
    Lasts::Until(now() + yoke_core::Duration::secs(600))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_left_over_goes_before_the_guard_says_anything() {
    let host = host("0.2").await;
    assert_eq!(log(&host), ["leaves", "remove 1.2.3.4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_is_answered_once_the_address_has_left() {
    let mut host = serving("0.5", for_long()).await;
    // Another daemon changes nothing.
    host.new_daemon().await;
    let run = host.view.run.expect("a run");
    host.guard.send(GuardRequest::Admits { run });
    host.done(1, Step::Stop(StopMode::Clean)).await;
    assert_eq!(
        log(&host),
        [
            "leaves",
            "remove 1.2.3.4",
            "add 1.2.3.4",
            "leaves",
            "remove 1.2.3.4"
        ]
    );
    assert_eq!(host.view.run, None);
}

/// R10: at the permission's end everything is killed at once; that it is gone is told after the address has left.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_fence_does_not_wait_and_the_address_leaves_with_it() {
    let mut host = serving("0.7", for_long()).await;
    let end = now() + yoke_core::Duration::millis(100);
    host.permit(1, Lasts::Until(end));
    let processes = host.processes();
    eventually("the fence", || processes.find().is_empty()).await;
    assert!(now() < end + yoke_core::Duration::millis(500));
    // It is about to leave, or on its way.
    assert_ne!(
        log(&host).last().map(String::as_str),
        Some("remove 1.2.3.4")
    );
    host.until_view("everything is gone", |view| view.run.is_none())
        .await;
    assert_eq!(
        log(&host).last().map(String::as_str),
        Some("remove 1.2.3.4")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_hangs_is_waited_for_a_second() {
    let mut host = serving("1000", for_long()).await;
    let begun = Instant::now();
    host.done(1, Step::Stop(StopMode::Now)).await;
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    while !host
        .explained
        .iter()
        .any(|t| t.contains("waited for no longer"))
    {
        host.hear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_told_to_end_takes_the_address_along() {
    let mut host = serving("0.3", for_long()).await;
    host.dismiss().await;
    assert_eq!(
        log(&host).last().map(String::as_str),
        Some("remove 1.2.3.4")
    );
}

/// The new daemon is told where the address is, and what went wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_is_told() {
    let mut host = Host::of(A, |context, _| {
        context.vip = Some(Vip {
            ip: "1.2.3.4".into(),
            add_command: "true".into(),
            remove_command: Some("echo no device; exit 2; :".into()),
        });
    })
    .await;
    loop {
        match host.hear().await {
            Some(GuardReply::Vip(Some(vip))) => {
                let failed = vip.failed.unwrap_or_default();
                assert!(
                    failed.starts_with("remove_command failed (exit 2) after "),
                    "{failed}"
                );
                assert!(failed.ends_with(": no device"), "{failed}");
                return;
            }
            Some(_) => {}
            None => panic!("{:?}", host.explained),
        }
    }
}
