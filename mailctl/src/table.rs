//! Cells in aligned columns.

/// Text in rows, under titles.
#[derive(Debug)]
pub(crate) struct Table {
    /// One a column.
    pub(crate) titles: Vec<String>,
    /// As many cells each as there are titles.
    pub(crate) rows: Vec<Vec<String>>,
}

/// Which way a table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A title line, then a line a row.
    Rows,
    /// A line a field, its title first.
    Lines,
}

impl Table {
    /// The lines of it. A cell with nothing in it is `-`.
    pub(crate) fn text(&self, layout: Layout) -> String {
        match layout {
            Layout::Rows => aligned(std::iter::once(&self.titles).chain(&self.rows)),
            Layout::Lines => {
                let pairs = |row: &Vec<String>| {
                    let pair = |(title, cell): (&String, &String)| vec![title.clone(), cell.clone()];
                    self.titles.iter().zip(row).map(pair).collect::<Vec<_>>()
                };
                aligned(self.rows.iter().flat_map(pairs).collect::<Vec<_>>().iter())
            }
        }
    }
}

fn aligned<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> String {
    let shown = |cell: &String| if cell.is_empty() { "-".to_owned() } else { safe(cell) };
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(shown).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `text` without what a terminal would obey.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table {
        let words = |row: &[&str]| row.iter().map(|&word| word.to_owned()).collect();
        Table { titles: words(&["name", "value"]), rows: rows.iter().map(|row| words(row)).collect() }
    }

    #[test]
    fn columns_are_aligned_and_nothing_is_a_dash() {
        let text = table(&[&["é", "1"], &["longer", ""]]).text(Layout::Rows);
        assert_eq!(text, "name    value\né       1\nlonger  -\n");
    }

    #[test]
    fn lines_have_their_title_first() {
        assert_eq!(table(&[&["a", "b"]]).text(Layout::Lines), "name   a\nvalue  b\n");
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_cell() {
        assert_eq!(safe("\x1b[2J\r\nü"), "\\u{1b}[2J\\r\\nü");
    }
}
