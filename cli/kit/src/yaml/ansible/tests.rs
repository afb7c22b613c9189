use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn fault(text: &str) -> String {
    read_map(text).map_or_else(|error| error.to_string(), |entries| format!("read as {entries:?}"))
}

#[test]
fn scalars_keep_their_yaml_1_1_meaning() {
    let text = "a: no\nb: 'no'\nc: 0644\nd: 1e3\ne: 1_000\nf: ~\ng: 12.50\nh: 2026-01-31\ni: !!str 5\n";
    assert_eq!(
        read(text).unwrap(),
        json!({"a": false, "b": "no", "c": 420, "d": "1e3", "e": 1000, "f": null, "g": 12.5,
               "h": "2026-01-31", "i": "5"})
    );
}

#[test]
fn top_level_keys_remember_their_line_and_spelling() {
    let entries = read_map("---\n# comment\nguid: 0123\n\nother:\n  nested: 1\n").unwrap();
    let seen: Vec<_> =
        entries.iter().map(|(key, entry)| (key.as_str(), entry.line, entry.written.as_deref())).collect();
    assert_eq!(seen, [("guid", 3, Some("0123")), ("other", 5, None)]);
}

#[test]
fn json_is_yaml() {
    let text = "{\"a\":{\"b\":[1,true,null,\"x: y # z\"]},\"c\":\"tab\\tnew\\nline \\u00e9\"}";
    assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn anchors_and_merge_keys_work_as_in_yaml_1_1() {
    let text = "base: &b {x: 1, y: 2}\nover: &o {y: 3}\nboth: {<<: [*o, *b], z: 4}\nsame: *b\n";
    let value = read(text).unwrap();
    assert_eq!(value["both"], json!({"z": 4, "y": 3, "x": 1}));
    assert_eq!(value["same"], json!({"x": 1, "y": 2}));
}

#[test]
fn vaulted_text_keeps_its_header_and_unsafe_text_is_shielded() {
    let text = "a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\nb: !unsafe 'x{{y}}'\nc: !unsafe plain\n";
    let value = read(text).unwrap();
    assert!(value["a"].as_str().unwrap().starts_with(VAULT_HEADER), "got {value}");
    assert_eq!(value["b"], json!("{{ \"x{{y}}\" }}"));
    assert_eq!(value["c"], json!("plain"));
}

#[test]
fn an_empty_document_is_an_empty_map() {
    for text in ["", "---\n", "# only a comment\n", "null\n"] {
        assert_eq!(read_map(text).unwrap(), [], "reading {text:?}");
    }
}

#[test]
fn faults_name_their_place_and_remedy() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: key `a` is repeated (first in line 1); keep one"),
        ("x:\n  k: 1\n  k: 2\n", "line 3, column 3: key `k` is repeated (first in line 2); keep one"),
        (
            "- a\n- b\n",
            "line 1, column 1: a map of variables is expected here, not a list; write `name: value` lines",
        ),
        (
            "hello\n",
            "line 1, column 1: a map of variables is expected here, not text; write `name: value` lines",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "line 2, column 1: a second YAML document starts here; variables must be in one document",
        ),
        ("[a]: 1\n", "line 1, column 1: a list or map cannot be the name of a value"),
        ("a: !include x.yml\n", "line 1, column 13: the tag `!include` is not supported"),
        ("a: {<<: 5}\n", "line 1, column 9: `<<` merges maps only"),
    ] {
        assert_eq!(fault(text), expected, "reading {text:?}");
    }
    let syntax = fault("a: [1, 2\nb: 3\n");
    assert!(syntax.contains("broken YAML") && syntax.starts_with("line "), "got {syntax}");
}

#[test]
fn hostile_documents_are_refused() {
    let deep = format!("a: {}1{}", "[".repeat(100), "]".repeat(100));
    assert!(fault(&deep).contains("deeper than"), "got {}", fault(&deep));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let previous = format!("*a{}", level - 1);
        let items = vec![previous; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(fault(&bomb).contains("once aliases are expanded"), "got {}", fault(&bomb));
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(text in "[-a-c0-9:{}\\[\\],&*!<|>'\"#%~@` \n\t]{0,60}|\\PC{0,40}") {
        let _ = read(&text);
        let _ = read_map(&text);
    }

    #[test]
    fn json_reads_as_itself(value in any_json()) {
        let text = value.to_string();
        proptest::prop_assert_eq!(read(&text).map_err(|error| error.to_string()), Ok(value));
    }
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z !:]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
