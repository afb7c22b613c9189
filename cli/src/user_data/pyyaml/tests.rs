use proptest::prelude::*;
use serde_json::json;
use tenant_kit::yaml::ansible;

use super::*;

/// Values and what PyYAML 6.0.3 made of them. To make them anew, replace each `yaml` by
/// `yaml.safe_dump(value, explicit_start=True)` of its `value`.
const GOLDEN: &str = include_str!("golden.json");

#[test]
fn documents_are_those_of_pyyaml() {
    let cases: Vec<Value> = serde_json::from_str(GOLDEN).expect("the golden cases are a JSON list");
    assert!(cases.len() > 100, "only {} golden cases", cases.len());
    for case in cases {
        let value = case["value"].as_object().expect("values are maps");
        let expected = case["yaml"].as_str().expect("documents are text");
        assert_eq!(dump(value), expected, "dumping {}", case["value"]);
    }
}

#[test]
fn messages_are_written_as_python_writes_json() {
    for (text, expected) in [
        ("plain", "\"plain\""),
        ("a \"b\" \\ c/d\n\t", "\"a \\\"b\\\" \\\\ c/d\\n\\t\""),
        ("ü 😀", "\"\\u00fc \\ud83d\\ude00\""),
        ("\u{7f}\u{1}", "\"\u{7f}\\u0001\""),
    ] {
        assert_eq!(json_text(text), expected);
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,12}",
        "[a-c:#' \n]{0,40}",
        "([a-z]{1,12} {1,2}){8,20}",
        Just("no".to_owned()),
        "[-+0-9._:eExob]{1,10}",
        proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers only", |x| x.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Any reader of YAML 1.1 gets the same values back.
    #[test]
    fn documents_read_back_as_they_were(map in proptest::collection::btree_map(text(), value(), 1..4)) {
        let map: Map<String, Value> = map.into_iter().collect();
        let text = dump(&map);
        prop_assert!(text.is_ascii(), "not ASCII: {text}");
        let read = ansible::read(&text).map_err(|error| TestCaseError::fail(format!("{error} in {text}")))?;
        prop_assert_eq!(read, Value::Object(map), "{}", text);
    }
}
