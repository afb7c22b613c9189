//! Answers nobody can read as they are: each of A22 (agent reference, section 5.9), on every turn.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::case::Case,
    answer::{Answer, diagnosis},
    prompt::Question,
};

const PAGE: &str =
    "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>";

pub(super) fn answer(question: &Question, case: Option<&Case>) -> Answer {
    let diagnosis = diagnosis(question, case);
    let json = diagnosis.to_string();
    let half: String = json.chars().take(json.chars().count() / 2).collect();
    let submit = |arguments: Value| Answer::calls(&[("submit_diagnosis", arguments)]);
    match question.way(14) {
        0 => submit(json!(half)),
        1 => Answer::Message {
            message: json!({"role": "assistant", "content": format!("```json\n{half}")}),
            finish: "length",
        },
        2 => Answer::text(format!("```json\n{}\n```", json.replace('}', ",}").replace(']', ",]"))),
        3 => submit(json!({"cause": {"text": 17}, "category": [], "fixes": 3, "quotes": {"text": null}})),
        4 => Answer::call("diagnose_pipeline", &diagnosis),
        5 => submit(Value::Null),
        6 => Answer::NoChoice,
        7 => Answer::Page(StatusCode::OK, PAGE),
        8 => Answer::text(""),
        9 => Answer::text(format!("<think>It could be that {json}")),
        10 => Answer::text(json.replace('"', "'")),
        11 => Answer::Page(StatusCode::BAD_GATEWAY, PAGE),
        12 => submit(diagnosis),
        _ => Answer::Message {
            message: json!({"role": "assistant", "tool_calls": [{"function": null}]}),
            finish: "stop",
        },
    }
}
