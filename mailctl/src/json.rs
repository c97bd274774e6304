//! A row as one JSON object.

use serde_json::{Map, Value};
use wire::Record;

use crate::view::{Form, form, kind};

/// Its keys are sorted. Numbers are numbers, yes and no are booleans, and a number that
/// is not told is null; what is not UTF-8 in a text is replaced.
pub(crate) fn object(row: &Record) -> Value {
    let kind = kind(row);
    let mut object = Map::new();
    for (field, bytes) in row.fields() {
        let text = String::from_utf8_lossy(bytes);
        object.insert(field.to_owned(), value(&text, form(kind, field)));
    }
    Value::Object(object)
}

fn value(text: &str, form: Form) -> Value {
    match (form, text, text.parse::<u64>()) {
        (Form::Text, _, _) => text.into(),
        (Form::Truth, "yes", _) => true.into(),
        (Form::Truth, "no", _) => false.into(),
        (_, "", _) => Value::Null,
        (_, _, Ok(number)) => number.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::control::Answer;

    #[test]
    fn values_have_their_types() {
        let row = Answer::row("worker").with("pid", "7").with("clients_own", "").with("share", "all\n");
        let row = row.with("unknown", "7");
        assert_eq!(
            object(&row).to_string(),
            r#"{"clients_own":null,"kind":"worker","pid":7,"share":"all\n","unknown":"7"}"#
        );
        let row = Answer::row("master").with("root", "no").with("identity", b"\xff");
        assert_eq!(object(&row).to_string(), r#"{"identity":"�","kind":"master","root":false}"#);
    }
}
