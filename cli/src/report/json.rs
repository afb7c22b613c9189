//! JSON lines on stdout: the engine's events as they are, and the results of the commands.
//!
//! A result is one line among them, told apart by its kind, with what it is about and for whom:
//!
//! ```json
//! {"v":1,"kind":"result","of":"list","data":[{"guid":"x1"}]}
//! ```

use serde_json::{Map, Value, json};
use tenant_kit::secret::Redactor;
use tenant_workflow::event::{Event, Sink, VERSION};

use super::printer::Printer;

/// Writes events and results as JSON lines.
pub struct Json {
    printer: Printer,
}

impl Json {
    /// Writes to the printer's stdout.
    pub fn new(printer: Printer) -> Self {
        Self { printer }
    }

    /// The result of a command, with secrets masked: `of` says which (`status`, `plan`, `list`, …), `guid`
    /// whose, if it is about one tenant.
    pub fn result(&self, of: &str, guid: Option<&str>, data: Value) {
        self.hand_over(of, guid, masked(self.printer.redactor(), data));
    }

    /// As [`Json::result`], but with the secrets that are in it: for what the reader was promised, the
    /// tenant's user data.
    pub fn hand_over(&self, of: &str, guid: Option<&str>, data: Value) {
        let mut document = Map::from_iter([
            ("v".to_owned(), json!(VERSION)),
            ("kind".to_owned(), json!("result")),
            ("of".to_owned(), json!(of)),
        ]);
        document.extend(guid.map(|guid| ("guid".to_owned(), json!(guid))));
        document.insert("data".to_owned(), data);
        self.printer.data(&Value::Object(document).to_string());
    }
}

impl Sink for Json {
    fn emit(&self, event: &Event) {
        let event = serde_json::to_value(event).expect("an event consists of texts and numbers");
        self.printer.data(&masked(self.printer.redactor(), event).to_string());
    }
}

/// A document with the known secrets masked in its texts. Done before it is written out: escaped for JSON, a
/// secret with a quote or a line break would not be recognised.
fn masked(redactor: &Redactor, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redactor.clean(&text).into_owned()),
        Value::Array(list) => list.into_iter().map(|value| masked(redactor, value)).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (redactor.clean(&key).into_owned(), masked(redactor, value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use secrecy::SecretString;
    use tenant_workflow::event::EventKind;

    use super::*;
    use crate::report::{
        printer::{Format, Verbosity},
        script::{self, Screen, TERMINAL},
    };

    #[test]
    fn events_are_lines_of_json_on_stdout_and_nothing_else() {
        let screen = Screen::new(TERMINAL, Verbosity::Normal, Format::Json);
        screen.play(&["x1"], &script::failure());
        assert_snapshot!("json_failure", screen.stdout());
        assert_eq!(screen.stderr(), "");
    }

    #[test]
    fn events_pass_unchanged_where_there_is_nothing_to_mask() {
        let screen = Screen::new(TERMINAL, Verbosity::Quiet, Format::Json);
        let events = script::success();
        screen.play(&["x1"], &events);
        let expected: String =
            events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
        assert_eq!(screen.stdout(), expected);
    }

    #[test]
    fn results_are_lines_too() {
        let screen = Screen::new(TERMINAL, Verbosity::Normal, Format::Json);
        let json = Json::new(screen.printer.clone());
        json.result("list", None, json!([{"guid": "x1"}]));
        json.result("status", Some("x1"), json!({"state": "present"}));
        assert_snapshot!(screen.stdout(), @r#"
        {"v":1,"kind":"result","of":"list","data":[{"guid":"x1"}]}
        {"v":1,"kind":"result","of":"status","guid":"x1","data":{"state":"present"}}
        "#);
    }

    #[test]
    fn secrets_are_masked_even_if_json_escapes_them() {
        let screen = Screen::new(TERMINAL, Verbosity::Normal, Format::Json);
        let secret = "say \"hunter22\"\nto enter";
        screen.printer.redactor().learn(&SecretString::from(secret));
        let text = format!("password: {secret}");
        screen.play(&["x1"], &[script::event(0, "x1", Some("gitea-user"), EventKind::StepNote { text })]);
        let json = Json::new(screen.printer.clone());
        json.result("status", None, json!({"details": [secret], secret: 1}));
        json.hand_over("user-data", Some("x1"), json!({"password": secret}));
        assert_snapshot!(screen.stdout(), @r#"
        {"v":1,"at_ms":0,"guid":"x1","step":"gitea-user","kind":"step-note","text":"password: ***"}
        {"v":1,"kind":"result","of":"status","data":{"details":["***"],"***":1}}
        {"v":1,"kind":"result","of":"user-data","guid":"x1","data":{"password":"say \"hunter22\"\nto enter"}}
        "#);
    }
}
