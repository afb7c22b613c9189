//! Stand-in for gitea-mcp in its three generations (MCP reference, section 2), over issues in memory or a real Gitea.
//!
//! A: one tool per action, results under `Result`, failures as JSON-RPC errors. B: `issue_write` and its kin, slim
//! results. C: as B with `issue_number`, `per_page`, `path`, event streams and `isError`. It offers tools that delete,
//! too: nobody may ever call them.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::mcp::{Dialect, Server, Tools, tool};
use crate::platform::parking::Guarded;

/// Which gitea-mcp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Up to 2026-03-05.
    A,
    /// v1.0.
    B,
    /// v1.8.
    C,
}

/// Where issues are kept.
pub enum Issues {
    /// In memory.
    Memory(Memory),
    /// In a Gitea.
    Gitea {
        /// Its HTTP client.
        http: reqwest::Client,
        /// Its API, `http://…/api/v1`.
        api: String,
        /// A token; empty for none.
        token: String,
    },
}

/// Issues of all repositories together: the agent must only ever write to one.
#[derive(Default)]
pub struct Memory(Guarded<Repository>);

#[derive(Default)]
struct Repository {
    issues: Vec<Value>,
    comments: Vec<Value>,
    labels: Vec<Value>,
}

/// A tracker behind tools.
pub struct Tracker {
    issues: Issues,
    generation: Generation,
}

impl Tracker {
    /// A tracker whose tools somebody else serves.
    pub(crate) fn new(issues: Issues, generation: Generation) -> Self {
        Self { issues, generation }
    }

    /// A tracker and its server.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(issues: Issues, generation: Generation) -> std::io::Result<(Arc<Self>, Server)> {
        let tracker = Arc::new(Self::new(issues, generation));
        let dialect = if generation == Generation::C { Dialect::Stream } else { Dialect::Plain };
        let server = Server::start(Arc::clone(&tracker), dialect).await?;
        Ok((tracker, server))
    }

    /// Issues in memory, oldest first.
    pub fn issues(&self) -> Vec<Value> {
        match &self.issues {
            Issues::Memory(memory) => memory.0.with(|repository| repository.issues.clone()),
            Issues::Gitea { .. } => Vec::new(),
        }
    }

    /// Comments in memory, oldest first.
    pub fn comments(&self) -> Vec<Value> {
        match &self.issues {
            Issues::Memory(memory) => memory.0.with(|repository| repository.comments.clone()),
            Issues::Gitea { .. } => Vec::new(),
        }
    }

    /// Forgets everything in memory.
    pub fn clear(&self) {
        if let Issues::Memory(memory) = &self.issues {
            memory.0.with(|repository| *repository = Repository::default());
        }
    }
}

/// An action by meaning, whatever the generation calls it.
enum Action {
    Create,
    Edit,
    Comment,
    EditComment,
    Label,
    Get,
    Comments,
    List,
    Labels,
    CreateLabel,
    File,
    Other,
}

fn action(name: &str, method: &str) -> Action {
    match (name, method) {
        ("create_issue", _) | ("issue_write", "create") => Action::Create,
        ("edit_issue", _) | ("issue_write", "update") => Action::Edit,
        ("create_issue_comment", _) | ("issue_write", "add_comment") => Action::Comment,
        ("edit_issue_comment", _) | ("issue_write", "edit_comment") => Action::EditComment,
        ("add_issue_labels", _) | ("issue_write", "add_labels") => Action::Label,
        ("get_issue_by_index", _) | ("issue_read", "get") => Action::Get,
        ("get_issue_comments_by_index", _) | ("issue_read", "get_comments") => Action::Comments,
        ("list_repo_issues" | "list_issues", _) => Action::List,
        ("list_repo_labels" | "label_read", _) => Action::Labels,
        ("create_repo_label" | "label_write", _) => Action::CreateLabel,
        ("get_file_content" | "get_file_contents", _) => Action::File,
        _ => Action::Other,
    }
}

impl Tools for Tracker {
    fn list(&self) -> Value {
        if self.generation == Generation::A { flat() } else { dispatched(self.generation) }
    }

    async fn call(&self, name: &str, arguments: &Value) -> Result<String, String> {
        let action = action(name, arguments["method"].as_str().unwrap_or_default());
        let number = arguments["issue_number"].as_u64().or_else(|| arguments["index"].as_u64()).unwrap_or(0);
        let repository = format!(
            "{}/{}",
            arguments["owner"].as_str().unwrap_or_default(),
            arguments["repo"].as_str().unwrap_or_default()
        );
        let value = match &self.issues {
            Issues::Memory(memory) => memory.act(&action, number, &repository, arguments),
            Issues::Gitea { http, api, token } => {
                gitea(http, api, token, &action, number, &repository, arguments).await
            }
        }?;
        Ok(match self.generation {
            Generation::A => json!({"Result": value}).to_string(),
            _ => slim(&value, matches!(action, Action::List)).to_string(),
        })
    }
}

impl Memory {
    fn act(
        &self,
        action: &Action,
        number: u64,
        repository: &str,
        arguments: &Value,
    ) -> Result<Value, String> {
        let at = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        self.0.with(|kept| {
            let missing = || format!("get {repository}/issue/{number} err: issue does not exist");
            Ok(match action {
                Action::Create => {
                    let number = kept.issues.len() + 1;
                    let issue = json!({"id": number, "number": number, "title": arguments["title"],
                        "body": arguments["body"], "state": "open", "comments": 0, "labels": [],
                        "html_url": format!("http://gitea.example/{repository}/issues/{number}")});
                    kept.issues.push(issue.clone());
                    issue
                }
                Action::Edit => {
                    let issue = kept.issues.get_mut(at).ok_or_else(missing)?;
                    for key in ["title", "body", "state"] {
                        if let Some(text) = arguments[key].as_str().filter(|text| !text.is_empty()) {
                            issue[key] = json!(text);
                        }
                    }
                    issue.clone()
                }
                Action::Comment => {
                    let issue = kept.issues.get_mut(at).ok_or_else(missing)?;
                    issue["comments"] = json!(issue["comments"].as_u64().unwrap_or(0) + 1);
                    kept.comments.push(arguments["body"].clone());
                    json!({"id": kept.comments.len(), "body": arguments["body"]})
                }
                Action::Get => kept.issues.get(at).cloned().ok_or_else(missing)?,
                Action::List => {
                    let size = ["per_page", "perPage", "pageSize"]
                        .iter()
                        .find_map(|key| arguments[*key].as_u64())
                        .unwrap_or(30)
                        .clamp(1, 50);
                    let page = arguments["page"].as_u64().unwrap_or(1).max(1);
                    let size = usize::try_from(size).unwrap_or(50);
                    let skip = usize::try_from(page - 1).unwrap_or(0) * size;
                    kept.issues.iter().rev().skip(skip).take(size).cloned().collect()
                }
                Action::Label => {
                    let names: Vec<Value> = arguments["labels"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|id| kept.labels.iter().find(|label| label["id"] == *id).cloned())
                        .collect();
                    kept.issues.get_mut(at).ok_or_else(missing)?["labels"] = json!(names);
                    json!(names)
                }
                Action::Labels => json!(kept.labels),
                Action::CreateLabel => {
                    let label = json!({"id": kept.labels.len() + 1, "name": arguments["name"]});
                    kept.labels.push(label.clone());
                    label
                }
                Action::Comments => json!(kept.comments),
                Action::EditComment => json!({"id": 1}),
                Action::File => return Err("get file err: not found".to_owned()),
                Action::Other => json!({"done": true}),
            })
        })
    }
}

/// The same over Gitea's API.
async fn gitea(
    http: &reqwest::Client,
    api: &str,
    token: &str,
    action: &Action,
    number: u64,
    repository: &str,
    arguments: &Value,
) -> Result<Value, String> {
    let issue = format!("/issues/{number}");
    let page = arguments["page"].as_u64().unwrap_or(1);
    let (method, path, body) = match action {
        Action::Create => (Method::POST, "/issues".to_owned(), pick(arguments, &["title", "body"])),
        Action::Edit => (Method::PATCH, issue, pick(arguments, &["title", "body", "state"])),
        Action::Comment => (Method::POST, format!("{issue}/comments"), pick(arguments, &["body"])),
        Action::Get => (Method::GET, issue, Value::Null),
        Action::Comments => (Method::GET, format!("{issue}/comments"), Value::Null),
        Action::List => {
            (Method::GET, format!("/issues?state=all&type=issues&page={page}&limit=50"), Value::Null)
        }
        Action::Label => (Method::POST, format!("{issue}/labels"), pick(arguments, &["labels"])),
        Action::Labels => (Method::GET, "/labels?limit=50".to_owned(), Value::Null),
        Action::CreateLabel => (Method::POST, "/labels".to_owned(), pick(arguments, &["name", "color"])),
        Action::EditComment => {
            let id = arguments["commentID"].as_u64().unwrap_or(0);
            (Method::PATCH, format!("/issues/comments/{id}"), pick(arguments, &["body"]))
        }
        Action::File => {
            let path = arguments["path"].as_str().or(arguments["filePath"].as_str()).unwrap_or_default();
            let revision = arguments["ref"].as_str().unwrap_or("main");
            (Method::GET, format!("/contents/{path}?ref={revision}"), Value::Null)
        }
        Action::Other => return Err("not implemented by the stand-in".to_owned()),
    };
    let url = format!("{api}/repos/{repository}{path}");
    let mut request = http.request(method, &url);
    if !token.is_empty() {
        request = request.header("authorization", format!("token {token}"));
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let failed = |why: String| format!("call {repository}{path} err: {why}");
    let response = request.send().await.map_err(|error| failed(error.to_string()))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| failed(error.to_string()))?;
    if !status.is_success() {
        return Err(failed(format!("{status} {text}")));
    }
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

fn pick(arguments: &Value, keys: &[&str]) -> Value {
    let chosen = keys.iter().filter(|key| !arguments[**key].is_null());
    chosen.map(|key| ((*key).to_owned(), arguments[*key].clone())).collect::<serde_json::Map<_, _>>().into()
}

/// The keys of the newer generations; lists carry no bodies.
fn slim(value: &Value, list: bool) -> Value {
    let one = |issue: &Value| {
        let mut slim = json!({"number": issue["number"], "title": issue["title"], "state": issue["state"],
            "html_url": issue["html_url"], "comments": issue["comments"], "updated_at": issue["updated_at"]});
        if !list {
            slim["body"] = issue["body"].clone();
        }
        slim
    };
    match value {
        Value::Array(items) if list => items.iter().map(one).collect(),
        Value::Object(map) if map.contains_key("number") => one(value),
        other => other.clone(),
    }
}

const TEXT: &str = "string";
const NUMBER: &str = "number";

fn flat() -> Value {
    let repo = [("owner*", TEXT), ("repo*", TEXT)];
    let with = |name: &str, more: &[(&str, &str)]| tool(name, &[&repo, more].concat());
    json!([
        with("create_issue", &[("title*", TEXT), ("body*", TEXT)]),
        with("get_issue_by_index", &[("index*", NUMBER)]),
        with("list_repo_issues", &[("state", TEXT), ("page", NUMBER), ("pageSize", NUMBER)]),
        with("edit_issue", &[("index*", NUMBER), ("title", TEXT), ("body", TEXT), ("state", TEXT)]),
        with("create_issue_comment", &[("index*", NUMBER), ("body*", TEXT)]),
        with("edit_issue_comment", &[("index*", NUMBER), ("commentID*", NUMBER), ("body*", TEXT)]),
        with("get_issue_comments_by_index", &[("index*", NUMBER)]),
        with("add_issue_labels", &[("index*", NUMBER), ("labels*", "array")]),
        with("list_repo_labels", &[("page", NUMBER), ("pageSize", NUMBER)]),
        with("create_repo_label", &[("name*", TEXT), ("color*", TEXT), ("description", TEXT)]),
        with("get_file_content", &[("ref*", TEXT), ("filePath*", TEXT)]),
        with("delete_file", &[("filePath*", TEXT)]),
        with("create_repo", &[("name*", TEXT)]),
    ])
}

fn dispatched(generation: Generation) -> Value {
    let c = generation == Generation::C;
    let (number, size, path) =
        if c { ("issue_number", "per_page", "path*") } else { ("index", "perPage", "filePath*") };
    let method = |name: &str, methods: &[&str], more: &[(&str, &str)]| {
        let mut tool = tool(name, &[&[("method*", TEXT), ("owner*", TEXT), ("repo*", TEXT)], more].concat());
        tool["inputSchema"]["properties"]["method"]["enum"] = json!(methods);
        tool
    };
    let plain = |name: &str, more: &[(&str, &str)]| {
        tool(name, &[&[("owner*", TEXT), ("repo*", TEXT)], more].concat())
    };
    json!([
        method(
            "issue_write",
            &["create", "update", "add_comment", "edit_comment", "add_labels"],
            &[
                (number, NUMBER),
                ("title", TEXT),
                ("body", TEXT),
                ("state", TEXT),
                ("labels", "array"),
                ("commentID", NUMBER)
            ]
        ),
        method(
            "issue_read",
            &["get", "get_comments", "get_labels"],
            &[(if c { "issue_number*" } else { "index*" }, NUMBER)]
        ),
        plain("list_issues", &[("state", TEXT), ("page", NUMBER), (size, NUMBER)]),
        method("label_read", &["list_repo_labels", "get_repo_label"], &[("page", NUMBER), (size, NUMBER)]),
        method(
            "label_write",
            &["create_repo_label", "delete_repo_label"],
            &[("name", TEXT), ("color", TEXT)]
        ),
        plain("get_file_contents", &[("ref*", TEXT), (path, TEXT)]),
        plain("delete_file", &[(path, TEXT)]),
        plain("create_repo", &[("name*", TEXT)]),
    ])
}
