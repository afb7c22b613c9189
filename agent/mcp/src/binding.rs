//! Capabilities, and the tools that provide them in the servers that exist.
//!
//! Candidates and argument spellings come from the tool lists of kubernetes-mcp-server 0.0.5x to 0.0.67,
//! the OpenShift fork, and Gitea MCP before v1.0, v1.0 and v1.8.

use serde_json::{Map, Value};

use crate::tools::{Schema, ToolIndex};

/// What the agent needs done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "each name says what it does")]
pub enum Capability {
    PodLog,
    PodFind,
    ResourceGet,
    ResourceList,
    Events,
    IssueCreate,
    IssueUpdate,
    IssueComment,
    IssueEditComment,
    IssueList,
    IssueGet,
    IssueComments,
    LabelList,
    LabelCreate,
    LabelAdd,
    FileRead,
}

/// One way to provide a capability.
struct Candidate {
    tool: &'static str,
    /// Value of the `method` argument of method-dispatched tools.
    method: Option<&'static str>,
    /// Arguments we can fill; a tool that requires others is not ours.
    fills: &'static [&'static str],
    /// One of each group must be in the schema.
    needs: &'static [&'static [&'static str]],
}

const NUMBER: &[&str] = &["issue_number", "index"];
const OWNER: &[&str] = &["owner"];
const REPO: &[&str] = &["repo"];

macro_rules! candidate {
    ($tool:literal, [$($fill:literal),*], [$($need:expr),*]) => {
        Candidate { tool: $tool, method: None, fills: &[$($fill),*], needs: &[$($need),*] }
    };
    ($tool:literal => $method:literal, [$($fill:literal),*], [$($need:expr),*]) => {
        Candidate { tool: $tool, method: Some($method), fills: &["method", $($fill),*], needs: &[$($need),*] }
    };
}

impl Capability {
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn candidates(self) -> &'static [Candidate] {
        match self {
            Self::PodLog => {
                const { &[candidate!("pods_log", ["name", "namespace"], [&["name"], &["namespace"]])] }
            }
            Self::PodFind => {
                const {
                    &[
                        candidate!("pods_list_in_namespace", ["namespace"], [&["namespace"]]),
                        candidate!("resources_list", ["apiVersion", "kind"], [&["namespace"], &["kind"]]),
                    ]
                }
            }
            Self::ResourceGet => {
                const {
                    &[candidate!(
                        "resources_get",
                        ["apiVersion", "kind", "name", "namespace"],
                        [&["apiVersion"], &["kind"], &["name"]]
                    )]
                }
            }
            Self::ResourceList => {
                const {
                    &[candidate!(
                        "resources_list",
                        ["apiVersion", "kind", "namespace"],
                        [&["apiVersion"], &["kind"]]
                    )]
                }
            }
            Self::Events => const { &[candidate!("events_list", ["namespace"], [&["namespace"]])] },
            Self::IssueCreate => {
                const {
                    &[
                        candidate!("issue_write" => "create", ["owner", "repo"], [OWNER, REPO, &["title"], &["body"]]),
                        candidate!(
                            "create_issue",
                            ["owner", "repo", "title", "body"],
                            [OWNER, REPO, &["title"]]
                        ),
                    ]
                }
            }
            Self::IssueUpdate => {
                const {
                    &[
                        candidate!("issue_write" => "update", ["owner", "repo"], [OWNER, REPO, NUMBER]),
                        candidate!("edit_issue", ["owner", "repo", "index", "title"], [OWNER, REPO, NUMBER]),
                    ]
                }
            }
            Self::IssueComment => {
                const {
                    &[
                        candidate!("issue_write" => "add_comment", ["owner", "repo"], [OWNER, REPO, NUMBER, &["body"]]),
                        candidate!(
                            "create_issue_comment",
                            ["owner", "repo", "index", "body"],
                            [NUMBER, &["body"]]
                        ),
                    ]
                }
            }
            Self::IssueEditComment => {
                const {
                    &[
                        candidate!("issue_write" => "edit_comment", ["owner", "repo"], [&["commentID", "comment_id"], &["body"]]),
                        candidate!(
                            "edit_issue_comment",
                            ["owner", "repo", "commentID", "body"],
                            [&["commentID", "comment_id"]]
                        ),
                    ]
                }
            }
            Self::IssueList => {
                const {
                    &[
                        candidate!("list_issues", ["owner", "repo"], [OWNER, REPO]),
                        candidate!("list_repo_issues", ["owner", "repo"], [OWNER, REPO]),
                    ]
                }
            }
            Self::IssueGet => {
                const {
                    &[
                        candidate!("issue_read" => "get", ["owner", "repo", "index", "issue_number"], [NUMBER]),
                        candidate!("get_issue_by_index", ["owner", "repo", "index"], [NUMBER]),
                    ]
                }
            }
            Self::IssueComments => {
                const {
                    &[
                        candidate!("issue_read" => "get_comments", ["owner", "repo", "index", "issue_number"], [NUMBER]),
                        candidate!("get_issue_comments_by_index", ["owner", "repo", "index"], [NUMBER]),
                    ]
                }
            }
            Self::LabelList => {
                const {
                    &[
                        candidate!("label_read" => "list_repo_labels", ["owner", "repo"], [OWNER, REPO]),
                        candidate!("list_repo_labels", ["owner", "repo"], [OWNER, REPO]),
                    ]
                }
            }
            Self::LabelCreate => {
                const {
                    &[
                        candidate!("label_write" => "create_repo_label", ["owner", "repo"], [OWNER, REPO, &["name"]]),
                        candidate!(
                            "create_repo_label",
                            ["owner", "repo", "name", "color"],
                            [OWNER, REPO, &["name"]]
                        ),
                    ]
                }
            }
            Self::LabelAdd => {
                const {
                    &[
                        candidate!("issue_write" => "add_labels", ["owner", "repo"], [NUMBER, &["labels"]]),
                        candidate!(
                            "add_issue_labels",
                            ["owner", "repo", "index", "labels"],
                            [NUMBER, &["labels"]]
                        ),
                    ]
                }
            }
            Self::FileRead => {
                const {
                    &[
                        candidate!(
                            "get_file_contents",
                            ["owner", "repo", "ref", "filePath", "path"],
                            [&["path", "filePath"]]
                        ),
                        candidate!(
                            "get_file_content",
                            ["owner", "repo", "ref", "filePath", "path"],
                            [&["path", "filePath"]]
                        ),
                    ]
                }
            }
        }
    }
}

/// One argument by meaning.
#[derive(Clone, Debug)]
pub struct Arg {
    spellings: &'static [&'static str],
    value: Value,
    required: bool,
}

impl Arg {
    /// An argument that must reach the server, under the first spelling its schema has.
    pub fn must(spellings: &'static [&'static str], value: impl Into<Value>) -> Self {
        Self { spellings, value: value.into(), required: true }
    }

    /// An argument that is left out where the schema has none of the spellings.
    pub fn may(spellings: &'static [&'static str], value: impl Into<Value>) -> Self {
        Self { spellings, value: value.into(), required: false }
    }
}

/// A capability bound to a tool of one connection.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Tool name.
    pub tool: String,
    method: Option<&'static str>,
    schema: Schema,
}

impl Binding {
    /// The first candidate the server really offers with a schema we can fill.
    pub fn find(capability: Capability, tools: &ToolIndex) -> Option<Self> {
        capability.candidates().iter().find_map(|c| {
            let schema = tools.get(c.tool)?;
            let has_method = c.method.is_none_or(|m| schema.allows("method", m));
            let has_all = c.needs.iter().all(|group| group.iter().any(|n| schema.has(n)));
            let fits = has_method && has_all && schema.requires_only(c.fills);
            fits.then(|| Self { tool: c.tool.to_owned(), method: c.method, schema: schema.clone() })
        })
    }

    /// The arguments as this tool spells them.
    ///
    /// # Errors
    ///
    /// The first spelling of a required argument the schema does not have: unknown arguments are ignored
    /// silently by these servers, so sending them anyway would do something else than asked.
    pub fn arguments(&self, wanted: &[Arg]) -> Result<Map<String, Value>, &'static str> {
        let mut arguments = Map::new();
        if let Some(method) = self.method {
            arguments.insert("method".to_owned(), Value::from(method));
        }
        for arg in wanted {
            match arg.spellings.iter().find(|s| self.schema.has(s)) {
                Some(spelling) => {
                    let value = self.schema.coerce(spelling, arg.value.clone());
                    arguments.insert((*spelling).to_owned(), value);
                }
                None if arg.required => return Err(arg.spellings.first().copied().unwrap_or_default()),
                None => {}
            }
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn index(tools: &[(&str, Value)]) -> ToolIndex {
        ToolIndex::new(tools.iter().map(|(n, s)| ((*n).to_owned(), s.as_object().unwrap().clone())))
    }

    fn schema(required: &[&str], properties: &[&str]) -> Value {
        let properties: Map<_, _> =
            properties.iter().map(|p| ((*p).to_owned(), json!({"type": "string"}))).collect();
        json!({"type": "object", "required": required, "properties": properties})
    }

    fn method(methods: &[&str], rest: &[&str]) -> Value {
        let mut schema = schema(&["method", "owner", "repo"], &[&["owner", "repo"], rest].concat());
        schema["properties"]["method"] = json!({"type": "string", "enum": methods});
        schema
    }

    #[test]
    fn all_generations_of_the_gitea_server_bind() {
        let a = index(&[
            (
                "create_issue",
                schema(&["owner", "repo", "title", "body"], &["owner", "repo", "title", "body"]),
            ),
            (
                "create_issue_comment",
                schema(&["owner", "repo", "index", "body"], &["owner", "repo", "index", "body"]),
            ),
        ]);
        let write = &["create", "update", "add_comment", "edit_comment", "add_labels"];
        let b = index(&[("issue_write", method(write, &["index", "title", "body", "labels"]))]);
        let c = index(&[("issue_write", method(write, &["issue_number", "title", "body", "labels"]))]);
        for (tools, tool, number) in [
            (a, "create_issue_comment", "index"),
            (b, "issue_write", "index"),
            (c, "issue_write", "issue_number"),
        ] {
            assert!(Binding::find(Capability::IssueCreate, &tools).is_some());
            let binding = Binding::find(Capability::IssueComment, &tools).expect("bound");
            assert_eq!(binding.tool, tool);
            let arguments = binding
                .arguments(&[
                    Arg::must(OWNER, "o"),
                    Arg::must(REPO, "r"),
                    Arg::must(NUMBER, 7),
                    Arg::must(&["body"], "b"),
                ])
                .expect("spelled");
            assert_eq!(arguments[number], json!("7"), "coerced to the schema's type");
        }
    }

    #[test]
    fn a_tool_that_wants_more_or_lacks_the_method_is_not_bound() {
        let more = index(&[("pods_log", schema(&["name", "cluster"], &["name", "namespace", "cluster"]))]);
        assert!(Binding::find(Capability::PodLog, &more).is_none());
        let read_only = index(&[("issue_write", method(&["add_comment"], &["index", "title", "body"]))]);
        assert!(Binding::find(Capability::IssueCreate, &read_only).is_none());
    }

    #[test]
    fn an_optional_argument_the_schema_lacks_is_left_out_and_a_required_one_is_an_error() {
        let tools = index(&[("pods_log", schema(&["name"], &["name", "namespace", "tail"]))]);
        let binding = Binding::find(Capability::PodLog, &tools).expect("bound");
        let arguments =
            binding.arguments(&[Arg::may(&["previous"], true), Arg::must(&["tailLines", "tail"], 10)]);
        assert_eq!(arguments.map(|a| a.keys().cloned().collect::<Vec<_>>()), Ok(vec!["tail".to_owned()]));
        assert_eq!(binding.arguments(&[Arg::must(&["container"], "x")]), Err("container"));
    }
}
