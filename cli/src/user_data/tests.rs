use super::*;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("a map is expected, got {other}"),
    }
}

#[test]
fn data_is_merged_shallowly_and_later_wins() {
    let mut data = UserData::new();
    data.merge(map(json!({"a": {"x": 1}, "b": [1, 2], "c": 1})));
    data.merge(map(json!({"a": {"y": 2}, "b": [3]})));
    let expected = json!({"old": true, "a": {"y": 2}, "b": [3], "c": 1});
    assert_eq!(Value::Object(data.merged_into(map(json!({"old": true, "a": 0})))), expected);
}

#[test]
fn users_have_their_own_share() {
    let mut data = UserData::new();
    data.merge_user("u", map(json!({"a": {"x": 1}, "b": 1})));
    data.merge_user("u", map(json!({"a": {"y": 2}})));
    data.user_message("u", "one");
    data.user_message("u", "two");
    data.user_body("v", "body");
    let merged = data.merged_into(map(json!({"users": {"u": {"old": 1, "msg": "zero"}, "w": {}}})));
    assert_eq!(
        Value::Object(merged),
        json!({"users": {
            "u": {"old": 1, "a": {"y": 2}, "b": 1, "msg": "zero\none\ntwo"},
            "v": {"body": "body"},
            "w": {},
        }})
    );
}

#[test]
fn a_seed_with_users_is_spread_over_them() {
    let mut data = UserData::new();
    data.merge(map(json!({"a": 1, "users": {"u": {"b": 2}}})));
    assert_eq!(data.data(), &map(json!({"a": 1})));
    assert_eq!(data.users().collect::<Vec<_>>(), [("u", &map(json!({"b": 2})))]);
}
