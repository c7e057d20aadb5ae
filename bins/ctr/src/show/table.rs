//! Tables as docker prints them: columns at least ten wide, three spaces between them.

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Lays rows out in columns, the first row being the head. Widths count characters. The last column is not padded.
pub fn render(rows: &[Vec<String>]) -> String {
    render_with(rows, MIN_WIDTH)
}

/// As [`render`], with columns of at least `min` characters.
pub fn render_with(rows: &[Vec<String>], min: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or(0) + PADDING).max(min)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if i + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[i] - cell.chars().count()));
            }
        }
        text.push('\n');
    }
    text
}

/// Shortens to `length` characters; the last one is then an ellipsis, as with docker.
pub fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_laid_out_as_docker_does() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let text = render(&[row(["REPOSITORY", "TAG", "SIZE"]), row(["web", "latest", "7.97MB"])]);
        assert_eq!(text, "REPOSITORY   TAG       SIZE\nweb          latest    7.97MB\n");
    }

    #[test]
    fn long_text_is_shortened_by_characters() {
        assert_eq!(ellipsis("/bin/sh -c 'python app.py'", 20), "/bin/sh -c 'python …");
        assert_eq!(ellipsis("äöü", 3), "äöü");
    }
}
