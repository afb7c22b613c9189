//! User data: what the person who ordered gets to see, and the files a platform reads it from.
//!
//! The shapes are those of AgnosticD's action plugin `agnosticd_user_info`: messages, bodies, a map of global
//! data, and a map per user. [`files`] writes them byte for byte as the plugin does, [`result`] as one JSON file
//! for a playbook that hands them to the plugin itself.

use serde_json::{Map, Value, json};

pub mod files;
pub mod pyyaml;
pub mod result;

/// Everything to be reported about one tenant.
///
/// Data is merged shallowly, later wins; nested maps and lists are replaced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserData {
    messages: Vec<String>,
    bodies: Vec<String>,
    data: Map<String, Value>,
    users: Map<String, Value>,
    user_messages: Vec<(String, String)>,
    user_bodies: Vec<(String, String)>,
}

impl UserData {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message for everyone.
    pub fn message(&mut self, text: impl Into<String>) {
        self.messages.push(text.into());
    }

    /// Adds a body (longer text) for everyone.
    pub fn body(&mut self, text: impl Into<String>) {
        self.bodies.push(text.into());
    }

    /// Merges global data. A map under `users` is taken for data of those users, as the upstream role that
    /// seeds user data does.
    pub fn merge(&mut self, data: impl IntoIterator<Item = (String, Value)>) {
        for (key, value) in data {
            match value {
                Value::Object(users) if key == "users" => {
                    for (user, data) in users {
                        if let Value::Object(data) = data {
                            self.merge_user(&user, data);
                        }
                    }
                }
                value => drop(self.data.insert(key, value)),
            }
        }
    }

    /// Merges data of one user, who is known from then on even without any.
    pub fn merge_user(&mut self, user: &str, data: impl IntoIterator<Item = (String, Value)>) {
        if let Value::Object(known) = self.users.entry(user).or_insert_with(|| json!({})) {
            known.extend(data);
        }
    }

    /// Adds a message for one user. Use one at most: the platform keeps only the last of several.
    pub fn user_message(&mut self, user: &str, text: impl Into<String>) {
        self.merge_user(user, Map::new());
        self.user_messages.push((user.to_owned(), text.into()));
    }

    /// Adds a body for one user.
    pub fn user_body(&mut self, user: &str, text: impl Into<String>) {
        self.merge_user(user, Map::new());
        self.user_bodies.push((user.to_owned(), text.into()));
    }

    /// The messages for everyone.
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The bodies for everyone.
    pub fn bodies(&self) -> &[String] {
        &self.bodies
    }

    /// The global data.
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// The users and their data, without messages.
    pub fn users(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.users.iter().filter_map(|(user, data)| Some((user.as_str(), data.as_object()?)))
    }

    /// The messages for one user.
    pub fn messages_for<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a str> {
        self.user_messages.iter().filter(move |(owner, _)| owner == user).map(|(_, text)| text.as_str())
    }

    /// The bodies for one user.
    pub fn bodies_for<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a str> {
        self.user_bodies.iter().filter(move |(owner, _)| owner == user).map(|(_, text)| text.as_str())
    }

    /// Whether there is nothing for the data file.
    fn has_no_data(&self) -> bool {
        self.data.is_empty() && self.users.is_empty()
    }

    /// `into` with our data merged in: users under `users`, their messages joined by line breaks under `msg`
    /// and their bodies under `body`.
    fn merged_into(&self, mut into: Map<String, Value>) -> Map<String, Value> {
        into.extend(self.data.clone());
        if self.users.is_empty() {
            return into;
        }
        let users = into.entry("users").or_insert_with(|| json!({}));
        if !users.is_object() {
            *users = json!({});
        }
        for (user, data) in &self.users {
            let known = &mut users[user];
            match (known.as_object_mut(), data.as_object()) {
                (Some(known), Some(data)) => known.extend(data.clone()),
                _ => *known = data.clone(),
            }
        }
        for (key, texts) in [("msg", &self.user_messages), ("body", &self.user_bodies)] {
            for (user, text) in texts {
                let joined = match users[user][key].as_str() {
                    Some(before) => format!("{before}\n{text}"),
                    None => text.clone(),
                };
                users[user][key] = Value::from(joined);
            }
        }
        into
    }
}

#[cfg(test)]
mod tests;
