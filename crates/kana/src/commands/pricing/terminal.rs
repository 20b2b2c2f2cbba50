//! Text on a terminal: its styles, and lines that end where the terminal does.

use std::io::IsTerminal as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The width of a terminal that does not say how wide it is.
const DEFAULT_WIDTH: usize = 80;
/// The smallest width that lines are fitted to.
const WIDTH_MIN: usize = 40;

/// A terminal on standard output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub(super) width: usize,
    pub(super) has_colour: bool,
}

impl Terminal {
    /// Returns `None` if standard output is no terminal.
    pub(super) fn of_stdout() -> Option<Self> {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return None;
        }
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
        let width = if columns == 0 { DEFAULT_WIDTH } else { usize::from(columns) };
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Some(Self { width: width.max(WIDTH_MIN), has_colour: !no_colour && !is_dumb })
    }

    /// Appends spans as one line to `out`. What does not fit goes on in further lines, `indent`
    /// columns from the left.
    pub(super) fn write(self, out: &mut String, spans: &[Span], indent: usize) {
        let mut line = Line { terminal: self, out, style: Style::Plain, column: 0, spaces: 0 };
        for span in spans {
            for piece in span.text.split_inclusive(' ') {
                let word = piece.trim_end_matches(' ');
                if !word.is_empty() {
                    line.word(word, span.style, indent);
                }
                line.spaces += piece.len() - word.len();
            }
        }
        line.style(Style::Plain);
        line.out.push('\n');
    }
}

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Added,
    Changed,
    Removed,
    Warning,
    Error,
}

impl Style {
    /// The parameters of the escape sequence that begins it.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Added => "32",
            Self::Changed => "33",
            Self::Removed => "31",
            Self::Warning => "1;33",
            Self::Error => "1;31",
        }
    }
}

/// A text in one style.
#[derive(Debug, Clone)]
pub(super) struct Span {
    style: Style,
    text: String,
}

/// Creates a span. Characters that would move the cursor or reverse the text are replaced.
pub(super) fn span(style: Style, text: impl AsRef<str>) -> Span {
    let visible = |c: char| if c.is_control() || is_bidirectional(c) { '\u{fffd}' } else { c };
    Span { style, text: text.as_ref().chars().map(visible).collect() }
}

/// Returns true for the characters that change the direction of text. They could make a plan look
/// like another one.
fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The number of columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// Shortens a text to a number of columns.
pub(super) fn cut(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += c.width().unwrap_or(0);
        taken < columns_max
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A line that is being written.
struct Line<'a> {
    terminal: Terminal,
    out: &'a mut String,
    style: Style,
    column: usize,
    /// The spaces before the next word, which are not written at the end of a line.
    spaces: usize,
}

impl Line<'_> {
    fn word(&mut self, word: &str, style: Style, indent: usize) {
        let width = columns(word);
        if self.column > indent && self.column + self.spaces + width > self.terminal.width {
            self.style(Style::Plain);
            self.out.push('\n');
            self.column = 0;
            self.spaces = indent;
        }
        if self.style != style {
            self.style(Style::Plain);
        }
        self.out.extend(std::iter::repeat_n(' ', self.spaces));
        self.style(style);
        self.out.push_str(word);
        self.column += self.spaces + width;
        self.spaces = 0;
    }

    fn style(&mut self, style: Style) {
        if !self.terminal.has_colour || self.style == style {
            return;
        }
        if self.style != Style::Plain {
            self.out.push_str("\u{1b}[0m");
        }
        if style != Style::Plain {
            self.out.push_str("\u{1b}[");
            self.out.push_str(style.code());
            self.out.push('m');
        }
        self.style = style;
    }
}

/// Replaces characters that would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: usize, has_colour: bool, spans: &[Span], indent: usize) -> String {
        let mut out = String::new();
        Terminal { width, has_colour }.write(&mut out, spans, indent);
        out
    }

    #[test]
    fn a_long_line_goes_on_below_its_indentation() {
        let spans = [span(Style::Plain, "  ~ pro  "), span(Style::Plain, "one two three four")];
        assert_eq!(written(20, false, &spans, 9), "  ~ pro  one two\n         three four\n");
    }

    #[test]
    fn a_word_that_is_wider_than_the_terminal_is_kept_whole() {
        let word = "x".repeat(50);
        let spans = [span(Style::Plain, format!("  {word} y"))];
        assert_eq!(written(40, false, &spans, 4), format!("  {word}\n    y\n"));
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let spans = [span(Style::Plain, "プロプロプロ プロプロプロ プロプロプロ プロ")];
        assert_eq!(
            written(40, false, &spans, 2),
            "プロプロプロ プロプロプロ プロプロプロ\n  プロ\n"
        );
        assert_eq!(cut("プロプロ", 5), "プロ…");
        assert_eq!(cut("Pro", 3), "Pro");
    }

    #[test]
    fn a_style_ends_with_its_text_and_with_the_line() {
        let spans = [span(Style::Error, "[ERROR] a"), span(Style::Plain, " b")];
        assert_eq!(written(40, true, &spans, 0), "\u{1b}[1;31m[ERROR] a\u{1b}[0m b\n");
        let spans = [span(Style::Added, "aa bb")];
        assert_eq!(written(3, true, &spans, 1), "\u{1b}[32maa\u{1b}[0m\n \u{1b}[32mbb\u{1b}[0m\n");
    }

    #[test]
    fn text_cannot_move_the_cursor_or_reverse_itself() {
        let spans = [span(Style::Plain, "a\u{1b}[2Jb\u{202e}c\rd")];
        assert_eq!(written(40, true, &spans, 0), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\n");
    }
}
