//! Without `--script`: a person breaks things. In a terminal a live picture and keys; else lines, and commands to copy.
//!
//! | file | its one idea |
//! | --- | --- |
//! | `lines` | no terminal: a line for each change of state, until Ctrl-C |
//! | `model` | what the picture shows, as plain values |
//! | `gather` | the model from what runs |
//! | `reasons` | the newest lines of the daemons' logs |
//! | `story` | what was done, and what the clients saw of it |
//! | `keys` | which keys do something now |
//! | `hand` | doing it, and mending all of it at the end |
//! | `draw`, `text` | the model as styled lines, for any width and height |
//! | `terminal` | the lines on the terminal, the keys from it, and the terminal as it was before |

mod draw;
mod gather;
mod hand;
mod keys;
mod lines;
mod model;
mod reasons;
mod story;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

pub use hand::Hand;
pub use lines::live as lines;
pub use story::Story;
pub use terminal::is_there as terminal_is_there;

use super::Said;
use super::stage::Stage;
use gather::Gatherer;
use keys::{Act, act_of};
use std::time::Duration;
use terminal::Terminal;

/// Between two looks for keys.
const LOOK: Duration = Duration::from_millis(50);
/// The picture is drawn anew every so many looks, and after a key at once.
const DRAW: u32 = 3;

/// Shows the picture and does what the keys say, until the one that ends it. The terminal is as before afterwards,
/// however this ends.
///
/// # Errors
/// The terminal cannot be written or read.
pub async fn picture(stage: &mut Stage, hand: &mut Hand, story: &mut Story) -> Said<()> {
    let mut terminal = Terminal::enter()?;
    let mut gatherer = Gatherer::of(&stage.cluster);
    let mut model = gatherer.look(stage, hand, story);
    for turn in 0_u32.. {
        let mut pressed = false;
        for key in terminal.keys()? {
            pressed = true;
            match act_of(key, &model) {
                None => {}
                Some(Act::Quit) => return Ok(()),
                Some(Act::Choose(host)) => gatherer.chosen = host,
                Some(act) => {
                    gatherer.message = hand.act(act, gatherer.chosen, stage, story).await.err()
                }
            }
            model = gatherer.look(stage, hand, story);
        }
        if pressed || turn % DRAW == 0 {
            model = gatherer.look(stage, hand, story);
            terminal.show(|columns, rows| draw::draw(&model, columns, rows))?;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
