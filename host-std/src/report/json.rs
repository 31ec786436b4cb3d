//! `report.json`: the report without its samples, indented for people, yet one row of a list a line.

use std::io::{self, Write};

use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::Report;

/// Nesting from which values stand on one line: a row of `sides[0].packets`.
const ROW_DEPTH: usize = 5;

impl Report {
    /// Returns the report as JSON. Field names carry their units; samples are left out.
    pub fn to_json(&self) -> String {
        rows(self)
    }
}

/// Writes plain data as JSON, with values as deep as the rows of a report on a line each.
pub(crate) fn rows(report: &impl Serialize) -> String {
    rows_from(ROW_DEPTH, report)
}

/// Writes plain data as JSON, with values `row_depth` deep or deeper on a line each.
pub(crate) fn rows_from(row_depth: usize, report: &impl Serialize) -> String {
    let mut json = Vec::new();
    let formatter = Rows { pretty: PrettyFormatter::new(), compact: CompactFormatter, depth: 0, row_depth };
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
    // Cannot fail: no map key but strings, no error of a Vec, and numbers that are not finite become null.
    report.serialize(&mut serializer).expect("a report is plain data");
    json.push(b'\n');
    String::from_utf8(json).expect("serde_json writes UTF-8")
}

/// Milliseconds, or parts of them, to a microsecond: `61.3`, not `61.300000000000004`.
pub(crate) fn micros<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*value))
}

/// Does the same as [`micros`], where there is a value.
pub(crate) fn maybe_micros<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(round).serialize(serializer)
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

struct Rows<'a> {
    pretty: PrettyFormatter<'a>,
    compact: CompactFormatter,
    depth: usize,
    row_depth: usize,
}

/// Hands a call to the compact formatter within a row, else to the pretty one.
macro_rules! by_depth {
    ($self:ident.$method:ident($($argument:ident),*)) => {
        if $self.depth >= $self.row_depth { $self.compact.$method($($argument),*) } else { $self.pretty.$method($($argument),*) }
    };
}

impl Formatter for Rows<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.depth += 1;
        by_depth!(self.begin_array(w))
    }

    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        let result = by_depth!(self.end_array(w));
        self.depth -= 1;
        result
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        by_depth!(self.begin_array_value(w, first))
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        by_depth!(self.end_array_value(w))
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.depth += 1;
        by_depth!(self.begin_object(w))
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        let result = by_depth!(self.end_object(w));
        self.depth -= 1;
        result
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        by_depth!(self.begin_object_key(w, first))
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        by_depth!(self.begin_object_value(w))
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        by_depth!(self.end_object_value(w))
    }
}
