//! User data as one JSON file, for a playbook that hands it to `agnosticd_user_info` itself
//! (`--user-info=result`).
//!
//! `{"messages": [], "body": [], "data": {}, "users": {"<user>": {"data": {}, "msg": []}}}`, readable by its owner
//! only; the playbook removes it after use.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    UserData,
    files::{OutputError, replace},
};

/// The result as JSON.
pub fn json(data: &UserData) -> Value {
    let users: Map<String, Value> = data
        .users()
        .map(|(user, own)| {
            let messages: Vec<&str> = data.messages_for(user).collect();
            let mut share = json!({"data": own, "msg": messages});
            let bodies: Vec<&str> = data.bodies_for(user).collect();
            if !bodies.is_empty() {
                share["body"] = json!(bodies);
            }
            (user.to_owned(), share)
        })
        .collect();
    json!({"messages": data.messages(), "body": data.bodies(), "data": data.data(), "users": users})
}

/// Writes the result, replacing what is there at once.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, data: &UserData) -> Result<(), OutputError> {
    let mut text = json(data).to_string();
    text.push('\n');
    replace(path, text.as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_result_has_every_share_apart() {
        let mut data = UserData::new();
        data.message("hello");
        data.merge([("a".to_owned(), json!(1))]);
        data.user_message("u", "for you");
        data.merge_user("u", [("password".to_owned(), json!("p"))]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        write(&path, &data).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({
                "messages": ["hello"],
                "body": [],
                "data": {"a": 1},
                "users": {"u": {"data": {"password": "p"}, "msg": ["for you"]}},
            })
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
