use async_graphql::Pos;

/// Finds the lines and columns of places in a text. Places that come in the order of the text cost
/// no more than reading it once.
pub(crate) struct Positions<'t> {
    text: &'t str,
    offset: usize,
    found: Pos,
}

impl<'t> Positions<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, offset: 0, found: Pos { line: 1, column: 1 } }
    }

    /// Returns the line and the column, both from 1, of a place that is `offset` bytes from the
    /// start.
    pub(crate) fn at(&mut self, offset: usize) -> Pos {
        if offset < self.offset {
            *self = Self::new(self.text);
        }
        let mut chars = self.text.get(self.offset..offset).unwrap_or_default().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                // The line ends with the line feed that follows.
                '\r' if chars.peek() == Some(&'\n') => {}
                '\n' | '\r' => self.found = Pos { line: self.found.line + 1, column: 1 },
                _ => self.found.column += 1,
            }
        }
        self.offset = offset;
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_line_and_a_column_in_whatever_order_it_is_asked_for() {
        let text = "a\né b\r\n\nc\rd";
        let mut positions = Positions::new(text);
        for (found, line, column) in
            [("a", 1, 1), ("é", 2, 1), ("b", 2, 3), ("c", 4, 1), ("d", 5, 1)]
        {
            let offset = text.find(found).unwrap();
            assert_eq!(positions.at(offset), Pos { line, column }, "{found}");
            assert_eq!(Positions::new(text).at(offset), Pos { line, column }, "{found}");
        }
        assert_eq!(positions.at(4), Pos { line: 2, column: 2 });
        assert_eq!(positions.at(text.len()), Pos { line: 5, column: 2 });
    }
}
