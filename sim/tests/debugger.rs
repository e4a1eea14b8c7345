//! The debugger: forwards, back, and what a step changed.

use sim::{How, scenario_of};

fn answers(commands: &str) -> String {
    let mut out = vec![];
    sim::debug(
        &scenario_of(5),
        How::default(),
        commands.as_bytes(),
        &mut out,
    )
    .expect("a vector takes everything");
    String::from_utf8(out).expect("it is text")
}

#[test]
fn it_goes_until_something_is_said_and_shows_what_changed() {
    let text = answers("u elected: leads term 1\n");
    assert!(text.contains("m0 node: elected: leads term 1"), "{text}");
    assert!(text.contains("    m0 node.leader"), "{text}");
}

#[test]
fn back_is_where_it_was() {
    let forth = answers("n 300\ns\n");
    let back = answers("n 340\nb 40\ns\n");
    // Both end with a prompt, all fields of all machines, and the prompt again.
    let end = |text: &str| {
        let from = text.rfind("step 300,").unwrap_or_default();
        let before = text[..from].rfind("step 300,").unwrap_or_default();
        text[before..].to_owned()
    };
    assert!(end(&forth).lines().count() > 100, "{forth}");
    assert_eq!(end(&forth), end(&back));
}

#[test]
fn it_goes_to_a_time_and_to_the_end() {
    let text = answers("u 1.5\nv\n");
    assert!(text.contains(", 1.5"), "{text}");
    assert!(text.contains("at its end"), "{text}");
}
