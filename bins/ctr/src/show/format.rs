//! `--format`: rows as a table, as JSON, or by a template.

use super::table;
use super::template::{Data, Error, Shape, Template, to_json};
use anyhow::Result;
use layout::exit;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A column of a table: a row's key, and what stands above it.
pub type Column = (&'static str, &'static str);

/// One row: what templates can name.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Its fields.
    pub fields: Value,
    /// What `{{.Label "KEY"}}` finds.
    pub labels: BTreeMap<String, String>,
}

impl Row {
    /// A row of fields alone.
    pub fn new(fields: Value) -> Row {
        Row { fields, labels: BTreeMap::new() }
    }
}

/// What a command lists.
#[derive(Debug)]
pub struct Listing {
    /// Go's type of a row in docker, for errors.
    pub type_name: &'static str,
    /// A head for each key.
    pub columns: &'static [Column],
    /// What docker puts before an error in the template's form, and before one in filling it in.
    pub words: [&'static str; 2],
}

/// What docker puts before errors of templates, with most commands.
pub const TEMPLATE_ERROR: [&str; 2] = ["template parsing error", "template parsing error"];

/// How rows are printed.
#[derive(Debug)]
pub struct Format {
    listing: &'static Listing,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A table of the command's own columns.
    Table,
    /// One JSON object a line.
    Json,
    /// A template for each row; `table TEMPLATE` lays it out below a head.
    Template { template: Template, as_table: bool },
}

impl Format {
    /// Reads the argument of `--format`; without one, `-q` asks for ids.
    pub fn choose(listing: &'static Listing, format: Option<&str>, quiet: bool) -> Result<Format> {
        let text = match format.map(str::trim) {
            None | Some("") if quiet => "{{.ID}}",
            None | Some("" | "table") => return Ok(Format { listing, kind: Kind::Table }),
            Some("json") => return Ok(Format { listing, kind: Kind::Json }),
            Some(text) => text,
        };
        let as_table = text.starts_with("table") && !text.starts_with("tableau");
        let text = if as_table { text["table".len()..].trim() } else { text };
        let parsed = Template::parse(&unescape(text));
        let template = parsed.map_err(|error| exit::coded(1, format!("{}: {error}", listing.words[0])))?;
        Ok(Format { listing, kind: Kind::Template { template, as_table } })
    }

    /// Whether the table of the command's own columns is wanted.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table)
    }

    /// Whether it shows this field, beside the table's own columns: what costs something is then found out.
    pub fn uses(&self, field: &str) -> bool {
        match &self.kind {
            Kind::Table => false,
            Kind::Json => true,
            Kind::Template { template, .. } => template.uses(field),
        }
    }

    /// Prints the rows; a table without a template is of the columns `shown`.
    pub fn print(&self, shown: &[&str], rows: &[Row]) -> Result<()> {
        print!("{}", self.render(shown, rows)?);
        Ok(())
    }

    /// What [`Format::print`] prints.
    pub fn render(&self, shown: &[&str], rows: &[Row]) -> Result<String> {
        let heads: BTreeMap<&str, &str> = self.listing.columns.iter().copied().collect();
        let mut out = String::new();
        match &self.kind {
            Kind::Table => {
                let cell = |row: &Row, key: &&str| row.fields[*key].as_str().unwrap_or_default().to_owned();
                let mut lines = vec![shown.iter().map(|key| (*heads.get(key).unwrap_or(key)).to_owned()).collect()];
                lines.extend(rows.iter().map(|row| shown.iter().map(|key| cell(row, key)).collect()));
                out = table::render(&lines);
            }
            Kind::Json => {
                for row in rows {
                    let sorted: BTreeMap<_, _> = row.fields.as_object().into_iter().flatten().collect();
                    out.push_str(&to_json(&serde_json::to_value(sorted)?, true));
                    out.push('\n');
                }
            }
            Kind::Template { template, as_table } => {
                let heads =
                    Value::Object(heads.iter().map(|(key, head)| ((*key).to_owned(), (*head).into())).collect());
                let head = Row::new(heads);
                let mut lines = Vec::new();
                if *as_table {
                    lines.push(self.line(template, &head, true)?);
                }
                for row in rows {
                    lines.push(self.line(template, row, false)?);
                }
                if rows.is_empty() {
                    // A template that cannot be right is told of, also where there is nothing to show.
                    self.line(template, &head, false)?;
                }
                let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
                match as_table {
                    true => {
                        out = table::render(
                            &lines.iter().flat_map(|text| text.split('\n')).map(cells).collect::<Vec<_>>(),
                        )
                    }
                    false => lines.iter().for_each(|line| out.extend([line, "\n"])),
                }
            }
        }
        Ok(out)
    }

    fn line(&self, template: &Template, row: &Row, heads: bool) -> Result<String> {
        let sorted;
        // `{{json .}}` is sorted by key.
        let fields = match row.fields.as_object() {
            Some(fields) => {
                let by_key: BTreeMap<&String, &Value> = fields.iter().collect();
                sorted = Value::Object(by_key.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>());
                &sorted
            }
            None => &row.fields,
        };
        let data = Data {
            fields,
            type_name: Some(self.listing.type_name),
            labels: Some(&row.labels),
            shape: |_| Shape::Map,
            absent: |_| None,
            document: None,
            heads,
        };
        let failed = |error: Error| exit::coded(1, format!("{}: {error}", self.listing.words[1]));
        template.render(&data).map_err(failed)
    }
}

/// In `--format`, `\t` and `\n` stand for themselves as well.
pub fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

/// Labels in one cell: `a=b,c=d`.
pub fn labels_cell(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static LISTING: Listing =
        Listing { type_name: "*x.Row", columns: &[("ID", "IMAGE ID"), ("By", "BY")], words: TEMPLATE_ERROR };

    fn rendered(format: &str) -> String {
        let row = Row { fields: json!({"ID": "1", "By": "<x>"}), labels: [("a.b-c".into(), "v".into())].into() };
        Format::choose(&LISTING, Some(format), false).and_then(|format| format.render(&["ID"], &[row])).unwrap()
    }

    #[test]
    fn rows_are_printed_as_docker_prints_them() {
        assert_eq!(rendered(""), "IMAGE ID\n1\n");
        assert_eq!(rendered("json"), "{\"By\":\"\\u003cx\\u003e\",\"ID\":\"1\"}\n");
        assert_eq!(rendered("{{json .}}"), "{\"By\":\"\\u003cx\\u003e\",\"ID\":\"1\"}\n");
        assert_eq!(rendered("{{json .By}}\\t{{.ID}}"), "\"<x>\"\t1\n");
        assert_eq!(rendered("table {{.ID}}\\t{{upper .By}}"), "IMAGE ID   BY\n1          <X>\n");
        assert_eq!(rendered("table {{.Label \"a.b-c\"}}"), "b c\nv\n");
        assert_eq!(rendered("table{{pad .ID 1 2}}"), "IMAGE ID\n 1  \n");
        assert_eq!(rendered(r#"{{.Label "a.b-c"}}{{.Label "no"}}|"#), "v|\n");
        assert!(Format::choose(&LISTING, Some("table {{.By}}"), false).unwrap().uses("By"));
        assert!(!Format::choose(&LISTING, Some("{{.By}}"), false).unwrap().uses("ID"));
        assert!(Format::choose(&LISTING, None, true).unwrap().uses("ID"));
    }

    #[test]
    fn a_field_that_is_not_there_is_an_error_also_without_rows() {
        let format = Format::choose(&LISTING, Some("{{.Nosuch}}"), false).unwrap();
        let error = format.render(&[], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "template parsing error: template: :1:2: executing \"\" at <.Nosuch>: can't evaluate field Nosuch in type *x.Row"
        );
        assert_eq!(exit::code_of(&error), 1);
    }
}
