//! `--format`: rows as a table, as JSON, or by a template.
//!
//! Of Go's templates this knows what is used most: `{{.Field}}`, `{{.Field.Sub}}`, `{{json .Field}}` and `{{json .}}`.

use super::table;
use anyhow::{Result, bail};
use serde_json::{Map, Value};

/// One row: what templates can name.
pub type Row = Map<String, Value>;

/// A column of a table: a row's key, and what stands above it.
pub type Column = (&'static str, &'static str);

/// How rows are printed.
#[derive(Debug)]
pub enum Format {
    /// A table of the command's own columns.
    Table,
    /// One JSON object a line.
    Json,
    /// A template for each row; `table TEMPLATE` lays it out below a head.
    Template { parts: Vec<Part>, as_table: bool },
}

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// A field, by the names that lead to it; none is the row itself.
    Field { path: Vec<String>, as_json: bool },
}

impl Format {
    /// Reads the argument of `--format`.
    pub fn parse(text: Option<&str>) -> Result<Format> {
        let text = match text.map(str::trim) {
            None | Some("" | "table") => return Ok(Format::Table),
            Some("json") => return Ok(Format::Json),
            Some(text) => text,
        };
        let (text, as_table) = text.strip_prefix("table ").map_or((text, false), |rest| (rest, true));
        Ok(Format::Template { parts: parse(&text.replace("\\t", "\t").replace("\\n", "\n"))?, as_table })
    }

    /// Prints the rows; `columns` has a head for each key, and the table is of those of `shown`.
    pub fn print(&self, columns: &[Column], shown: &[&str], rows: &[Row]) -> Result<()> {
        let head = |key: &str| columns.iter().find(|(known, _)| *known == key).map_or(key, |(_, head)| head).to_owned();
        match self {
            Format::Table => {
                let cell = |row: &Row, key: &str| row.get(key).map_or_else(String::new, text_of);
                let mut lines = vec![shown.iter().map(|key| head(key)).collect::<Vec<_>>()];
                lines.extend(rows.iter().map(|row| shown.iter().map(|key| cell(row, key)).collect()));
                table::print(&lines, false);
            }
            Format::Json => rows.iter().for_each(|row| println!("{}", to_json(&Value::Object(sorted(row))))),
            Format::Template { parts, as_table: false } => {
                for row in rows {
                    println!("{}", render(parts, &Value::Object(row.clone()))?);
                }
            }
            Format::Template { parts, as_table: true } => {
                let heads = parts.iter().map(|part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Field { path, .. } => path.last().map_or_else(String::new, |key| head(key)),
                });
                let mut lines = vec![heads.collect::<String>()];
                for row in rows {
                    lines.push(render(parts, &Value::Object(row.clone()))?);
                }
                let cells = |line: &String| line.split('\t').map(str::to_owned).collect();
                table::print(&lines.iter().map(cells).collect::<Vec<_>>(), false);
            }
        }
        Ok(())
    }
}

/// Reads a template.
pub fn parse(text: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((action, after)) = after.split_once("}}") else {
            bail!("template parsing error: {{{{ without }}}} in {text:?}");
        };
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(field(action.trim().trim_matches('-').trim())?);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

fn field(action: &str) -> Result<Part> {
    let (as_json, path) = match action.split_once(char::is_whitespace) {
        Some(("json", path)) => (true, path.trim()),
        _ => (false, action),
    };
    let names =
        path.strip_prefix('.').filter(|names| names.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_')));
    let Some(names) = names else {
        bail!("template parsing error: {{{{{action}}}}}: only fields, {{{{.Name}}}} and {{{{json .Name}}}}, are known");
    };
    let path = names.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Part::Field { path, as_json })
}

/// Fills a template in.
pub fn render(parts: &[Part], row: &Value) -> Result<String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Field { path, as_json } => {
                let mut value = row;
                for name in path {
                    value = match value.get(name) {
                        Some(value) => value,
                        None => bail!("template: can't evaluate field {name}"),
                    };
                }
                text.push_str(&if *as_json { to_json(value) } else { text_of(value) });
            }
        }
    }
    Ok(text)
}

/// By its keys, as Go writes a map.
fn sorted(row: &Row) -> Row {
    let mut fields: Vec<(String, Value)> = row.clone().into_iter().collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.into_iter().collect()
}

/// A value as Go prints it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Array(values) => format!("[{}]", values.iter().map(text_of).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key}:{}", text_of(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// JSON as Go writes it: what HTML would take for a tag is escaped.
fn to_json(value: &Value) -> String {
    let mut escaped = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' => escaped.push_str(&format!("\\u{:04x}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_filled_in() {
        let row = json!({"ID": "1", "Of": {"Names": ["a", "b"]}, "By": "<x>"});
        let rendered = |text: &str| render(&parse(text).unwrap(), &row).unwrap();
        assert_eq!(rendered("{{.ID}}: {{ .Of.Names }}\t{{json .Of}}"), "1: [a b]\t{\"Names\":[\"a\",\"b\"]}");
        assert_eq!(rendered("{{json .By}}"), "\"\\u003cx\\u003e\"");
        assert!(render(&parse("{{.Nosuch}}").unwrap(), &row).is_err());
        for bad in ["{{.ID", "{{range .}}", "{{len .ID}}", "{{}}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let table = Format::parse(Some("table {{.ID}}\\t{{.By}}")).unwrap();
        assert!(matches!(table, Format::Template { parts, as_table: true } if parts[1] == Part::Text("\t".to_owned())));
    }
}
