//! The picture on a terminal, and keys from it. Whatever happens, the terminal is afterwards as it was before.

use super::text::{Line, Tone};
use crate::demo::Said;
use crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use crossterm::style::{Attribute, Color, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while the picture is on it.
pub(super) struct Terminal {
    /// What is on it now.
    shown: Vec<Line>,
    size: (u16, u16),
}

/// Whether there is one that can show a picture, and somebody at its keys.
pub fn is_there() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    let can_draw = !term.is_empty() && term != "dumb";
    can_draw && io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Terminal {
    /// Takes the terminal; dropping it gives the terminal back.
    ///
    /// # Errors
    /// It cannot be taken.
    pub(super) fn enter() -> Said<Terminal> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            // What a panic says belongs on the terminal as it was.
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        // Before anything is changed, so that a half-taken terminal is given back too.
        TAKEN.store(true, Ordering::Relaxed);
        let terminal = Terminal {
            shown: Vec::new(),
            size: (0, 0),
        };
        let taken = enable_raw_mode()
            .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide));
        said(taken)?;
        Ok(terminal)
    }

    /// The keys pressed since the last time.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn keys(&mut self) -> Said<Vec<KeyEvent>> {
        let mut keys = Vec::new();
        while said(event::poll(Duration::ZERO))? {
            match said(event::read())? {
                Event::Key(key) if key.kind != KeyEventKind::Release => keys.push(key),
                _ => {} // a new size is seen at the next drawing
            }
        }
        Ok(keys)
    }

    /// Shows what `draw` makes for this many columns and rows; only lines that changed are written.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn show(&mut self, draw: impl FnOnce(usize, usize) -> Vec<Line>) -> Said<()> {
        let size = said(size())?;
        let lines = draw(size.0.into(), size.1.into());
        said(self.write(lines, size))
    }

    fn write(&mut self, lines: Vec<Line>, size: (u16, u16)) -> io::Result<()> {
        let mut out = io::stdout().lock();
        queue!(out, BeginSynchronizedUpdate)?;
        if size != self.size {
            self.size = size;
            self.shown.clear();
            queue!(out, Clear(ClearType::All))?;
        }
        for (row, line) in (0_u16..).zip(&lines) {
            if self.shown.get(usize::from(row)) == Some(line) {
                continue;
            }
            // Cleared before: after a line that fills its row the cursor stands on its last column.
            queue!(out, cursor::MoveTo(0, row), Clear(ClearType::CurrentLine))?;
            for (tone, text) in &line.pieces {
                let (attribute, colour) = look(*tone);
                // The colour first: where NO_COLOR is set, crossterm writes a reset instead.
                queue!(
                    out,
                    SetForegroundColor(colour),
                    SetAttribute(attribute),
                    Print(text),
                    SetAttribute(Attribute::Reset)
                )?;
            }
        }
        self.shown = lines;
        queue!(out, EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes the terminal what it was; once, since a second time the cursor would go back over what was printed meanwhile.
fn give_back() {
    if !TAKEN.swap(false, Ordering::Relaxed) {
        return;
    }
    // A terminal that is gone needs nothing.
    let _ = execute!(
        io::stdout(),
        EndSynchronizedUpdate,
        cursor::Show,
        LeaveAlternateScreen
    );
    let _ = disable_raw_mode();
}

/// Where `NO_COLOR` is set crossterm leaves the colours out: what matters is told by words and weight as well.
fn look(tone: Tone) -> (Attribute, Color) {
    match tone {
        Tone::Plain => (Attribute::NormalIntensity, Color::Reset),
        Tone::Strong => (Attribute::Bold, Color::Reset),
        Tone::Faint => (Attribute::Dim, Color::Reset),
        Tone::Good => (Attribute::NormalIntensity, Color::Green),
        Tone::Warning => (Attribute::NormalIntensity, Color::Yellow),
        Tone::Bad => (Attribute::Bold, Color::Red),
        Tone::Frozen => (Attribute::Bold, Color::Cyan),
        Tone::Key => (Attribute::Reverse, Color::Reset),
    }
}

fn said<T>(result: io::Result<T>) -> Said<T> {
    result.map_err(|e| format!("the terminal: {e}"))
}
