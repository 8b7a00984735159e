//! Keeps some rows below everything else that a terminal shows, without asking the terminal anything.
//!
//! The cursor rests at the begin of the first row. So what is above scrolls as ever, a terminal that breaks lines anew
//! when its width changes takes the cursor along, and to clear everything below the cursor removes the view and nothing
//! else. Each change is one write that the terminal is asked to show at once.

use std::io::{self, Write};

use crossterm::Command;
use crossterm::cursor::{MoveDown, MoveUp};
use crossterm::style::{Attribute, Color, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{self, Modifier};
use ratatui::text::Span;

/// Paints rows on a terminal.
#[derive(Debug)]
pub struct Painter<W> {
    out: W,
    shown: Vec<String>,
    size: (u16, u16),
}

impl<W: Write> Painter<W> {
    /// A painter that has painted nothing yet.
    pub fn new(out: W) -> Self {
        Self {
            out,
            shown: Vec::new(),
            size: (0, 0),
        }
    }

    /// Paints what is in the buffer; where as many rows are shown already, only those that changed.
    ///
    /// `size` is the terminal's: in another one nothing is where it was.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn paint(&mut self, buffer: &Buffer, size: (u16, u16)) -> io::Result<()> {
        let rows = rows(buffer);
        let mut update = String::new();
        if size == self.size && rows.len() == self.shown.len() {
            for (y, row) in (0u16..).zip(&rows) {
                if *row != self.shown[usize::from(y)] {
                    put_row(&mut update, y, row);
                }
            }
        } else {
            remove(&mut update);
            put(&mut update, &rows);
        }
        self.size = size;
        self.shown = rows;
        self.write(&update)
    }

    /// Writes a text, which may be of several lines, above the rows.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn above(&mut self, text: &str) -> io::Result<()> {
        let mut update = String::new();
        remove(&mut update);
        for line in text.split('\n') {
            update += line;
            update += "\r\n";
        }
        put(&mut update, &self.shown);
        self.write(&update)
    }

    /// Takes the rows away. The cursor is then where the next line belongs.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn take_down(&mut self) -> io::Result<()> {
        let mut update = String::new();
        remove(&mut update);
        self.shown.clear();
        self.write(&update)
    }

    fn write(&mut self, update: &str) -> io::Result<()> {
        if update.is_empty() {
            return Ok(());
        }
        let mut whole = String::new();
        say(&mut whole, BeginSynchronizedUpdate);
        whole += update;
        say(&mut whole, EndSynchronizedUpdate);
        self.out.write_all(whole.as_bytes())?;
        self.out.flush()
    }
}

fn say(update: &mut String, command: impl Command) {
    // Only writing to a string that refuses it could fail; none does.
    let _ = command.write_ansi(update);
}

/// Removes the rows; the cursor is at the first.
fn remove(update: &mut String) {
    update.push('\r');
    say(update, Clear(ClearType::FromCursorDown));
}

/// Writes the rows from the cursor on, and goes back to the first.
fn put(update: &mut String, rows: &[String]) {
    // A terminal that has just become narrower cuts rows off rather than break them.
    say(update, DisableLineWrap);
    *update += &rows.join("\r\n");
    say(update, EnableLineWrap);
    if rows.len() > 1 {
        say(update, MoveUp(rows.len() as u16 - 1));
    }
    update.push('\r');
}

/// Writes one row, so many below the first, and goes back to the first.
fn put_row(update: &mut String, below: u16, row: &str) {
    update.push('\r');
    if below > 0 {
        say(update, MoveDown(below));
    }
    say(update, DisableLineWrap);
    *update += row;
    say(update, Clear(ClearType::UntilNewLine));
    say(update, EnableLineWrap);
    if below > 0 {
        say(update, MoveUp(below));
    }
    update.push('\r');
}

/// The rows of a buffer, with their colours and without the blanks at their ends.
fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    buffer.content.chunks(width).map(row).collect()
}

fn row(cells: &[Cell]) -> String {
    let blank = |cell: &Cell| cell.symbol() == " " || cell.symbol().is_empty();
    let end = cells.iter().rposition(|cell| !blank(cell)).map_or(0, |last| last + 1);
    let mut text = String::new();
    let mut style = (style::Color::Reset, Modifier::empty());
    let mut hidden = 0;
    for cell in &cells[..end] {
        if hidden > 0 {
            // The cell behind a wide character.
            hidden -= 1;
            continue;
        }
        if style != (cell.fg, cell.modifier) {
            style = (cell.fg, cell.modifier);
            set(&mut text, cell);
        }
        text += cell.symbol();
        hidden = Span::raw(cell.symbol()).width().saturating_sub(1);
    }
    if style != (style::Color::Reset, Modifier::empty()) {
        say(&mut text, SetAttribute(Attribute::Reset));
    }
    text
}

/// The colours that the view uses; crossterm leaves them out where `NO_COLOR` is set.
fn set(text: &mut String, cell: &Cell) {
    say(text, SetAttribute(Attribute::Reset));
    let colour = match cell.fg {
        style::Color::Green => Some(Color::DarkGreen),
        style::Color::Red => Some(Color::DarkRed),
        style::Color::Yellow => Some(Color::DarkYellow),
        style::Color::Cyan => Some(Color::DarkCyan),
        _ => None,
    };
    if let Some(colour) = colour {
        say(text, SetForegroundColor(colour));
    }
    if cell.modifier.contains(Modifier::BOLD) {
        say(text, SetAttribute(Attribute::Bold));
    }
    if cell.modifier.contains(Modifier::DIM) {
        say(text, SetAttribute(Attribute::Dim));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    /// A terminal that shows what was written to it.
    struct Screen(vt100::Parser);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.process(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn some(number: u16) -> NonZero<u16> {
        NonZero::new(number).unwrap()
    }

    fn painter(rows: u16, columns: u16) -> Painter<Screen> {
        Painter::new(Screen(vt100::Parser::new(some(rows), some(columns), 1_000)))
    }

    impl Painter<Screen> {
        fn show(&mut self, rows: &[&str]) {
            let (height, width) = self.out.0.screen().size();
            self.paint(&Buffer::with_lines(rows.iter().copied()), (width.get(), height.get()))
                .unwrap();
        }

        /// All that the terminal shows and that has scrolled out of it, from the first line on.
        fn everything(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            let screen = self.out.0.screen_mut();
            let width = screen.size().1.get();
            screen.set_scrollback(usize::MAX);
            for above in (1..=screen.scrollback()).rev() {
                screen.set_scrollback(above);
                lines.extend(screen.rows(0, width).next());
            }
            screen.set_scrollback(0);
            lines.extend(screen.rows(0, width));
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            lines
        }
    }

    #[test]
    fn lines_scroll_away_above_the_rows_and_each_is_there_once() {
        let mut painter = painter(6, 20);
        let mut expected = Vec::new();
        for n in 0..30 {
            painter.show(&["view", &format!("tick {n}"), "end"]);
            painter.above(&format!("line {n}")).unwrap();
            expected.push(format!("line {n}"));
        }
        expected.extend(["view", "tick 29", "end"].map(str::to_owned));
        assert_eq!(painter.everything(), expected);
        painter.take_down().unwrap();
        painter.out.write_all(b"verdict\r\n").unwrap();
        expected.truncate(30);
        expected.push("verdict".into());
        assert_eq!(painter.everything(), expected);
    }

    #[test]
    fn rows_that_come_and_go_leave_nothing_behind() {
        let mut painter = painter(8, 20);
        painter.above("before").unwrap();
        for count in [1, 5, 2, 6, 1, 0, 3] {
            let rows: Vec<String> = (0..count).map(|row| format!("row {row} of {count}")).collect();
            painter.show(&rows.iter().map(String::as_str).collect::<Vec<_>>());
            let mut expected = vec!["before".to_owned()];
            expected.extend(rows);
            assert_eq!(painter.everything(), expected);
        }
    }

    #[test]
    fn a_row_that_became_shorter_is_wiped_and_the_others_are_not_written_again() {
        let mut painter = painter(8, 20);
        painter.show(&["first      ", "second long", "third      "]);
        painter.out.write_all(b"F").unwrap();
        painter.show(&["first      ", "2nd        ", "third      "]);
        assert_eq!(painter.everything(), ["First", "2nd", "third"]);
    }

    #[test]
    fn a_resized_terminal_is_painted_anew() {
        let mut painter = painter(8, 20);
        painter.above("a line").unwrap();
        painter.show(&["a wide row of view", "second"]);
        painter.out.0.screen_mut().set_size(some(5), some(10));
        painter.show(&["narrow", "second"]);
        painter.above("another").unwrap();
        assert_eq!(painter.everything(), ["a line", "another", "narrow", "second"]);
    }

    #[test]
    fn a_text_of_several_lines_that_are_broken_stays_above() {
        let mut painter = painter(6, 10);
        painter.show(&["view"]);
        painter.above("0123456789abc\nnext").unwrap();
        assert_eq!(painter.everything(), ["0123456789", "abc", "next", "view"]);
    }

    #[test]
    fn the_cursor_is_where_a_line_from_elsewhere_does_the_least_harm() {
        let mut painter = painter(6, 20);
        painter.above("before").unwrap();
        painter.show(&["view", "second"]);
        assert_eq!(painter.out.0.screen().cursor_position(), (1, 0));
        assert!(!painter.out.0.screen().hide_cursor());
    }
}
