//! Plays `MongoDB` 8 for LibreChat's stand-in.
//!
//! Imitates of the image `docker.io/library/mongo`: arguments (`--dbpath`, `--port`; others are accepted), port 27017,
//! `/data/db`, and that every user may log in until `MONGO_INITDB_ROOT_USERNAME` and `…_PASSWORD` are set when the
//! directory is empty. What is written is on the disk before it is confirmed, and there after a restart.
//!
//! Does not imitate `MongoDB`'s wire protocol: one JSON object a line asks ([`Request`]), one answers. Only
//! [`Documents`], here, speaks it. Queries are equality of fields.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{Given, bind};
use crate::platform::parking::Guarded;

/// Longest line, in bytes: a document.
const LONGEST: u64 = 1024 * 1024;

/// What a client may ask; a `name` is a collection's.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    /// Must come first when there is a root user.
    Login { user: String, password: String },
    /// Adds a document, unless one has the same value in a field of `unique`.
    Insert { database: String, name: String, document: Map<String, Value>, unique: Vec<String> },
    /// Documents that have all these values.
    Find { database: String, name: String, filter: Map<String, Value> },
}

/// A user's name and password.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Root {
    user: String,
    password: String,
}

/// Collections in files, one document a line.
struct Store {
    directory: PathBuf,
    root: Option<Root>,
    collections: Guarded<BTreeMap<String, Vec<Value>>>,
}

pub(super) async fn serve(given: &Given) -> anyhow::Result<()> {
    let directory = PathBuf::from(given.flag(&["dbpath"]).unwrap_or("/data/db"));
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, given.port(&["port"], 27017)?));
    let root =
        match (given.variable("MONGO_INITDB_ROOT_USERNAME"), given.variable("MONGO_INITDB_ROOT_PASSWORD")) {
            (Some(user), Some(password)) => {
                Some(Root { user: user.to_owned(), password: password.to_owned() })
            }
            (None, None) => None,
            _ => bail!("MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD belong together"),
        };
    let store = Arc::new(Store::open(&directory, root)?);
    let listener = bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await.context("accept a connection")?;
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            if let Err(error) = converse(&store, stream).await {
                tracing::debug!("connection ended: {error:#}");
            }
        });
    }
}

async fn converse(store: &Store, mut stream: TcpStream) -> anyhow::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).take(LONGEST);
    let mut trusted = store.root.is_none();
    loop {
        let mut line = String::new();
        lines.set_limit(LONGEST);
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(Request::Login { user, password }) => {
                trusted = store.root.as_ref().is_none_or(|root| *root == Root { user, password });
                if trusted { Ok(Value::Null) } else { Err("Authentication failed.".to_owned()) }
            }
            Ok(_) if !trusted => Err("Command requires authentication".to_owned()),
            Ok(request) => store.act(request).map_err(|error| format!("{error:#}")),
            Err(error) => Err(format!("not a request: {error}")),
        };
        let answer = match answer {
            Ok(value) => json!({"ok": value}),
            Err(why) => json!({"error": why}),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
}

impl Store {
    fn open(directory: &Path, root: Option<Root>) -> anyhow::Result<Self> {
        let listed = fs::read_dir(directory).with_context(|| format!("open {}", directory.display()))?;
        let mut collections = BTreeMap::new();
        for entry in listed {
            let path = entry.context("list the data directory")?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if let Some(name) = name.strip_suffix(".jsonl") {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                // a line that was being written when the machine went down was never confirmed
                let documents = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
                collections.insert(name.to_owned(), documents);
            }
        }
        // as the image's entry point: the root user is made on an empty directory, and kept
        let kept = directory.join("root.json");
        let root = if let Ok(text) = fs::read_to_string(&kept) {
            serde_json::from_str(&text).context("read the root user")?
        } else {
            let text = serde_json::to_string(&root).context("write the root user")?;
            fs::write(&kept, text).with_context(|| format!("write {}", kept.display()))?;
            root
        };
        Ok(Self { directory: directory.to_owned(), root, collections: Guarded::new(collections) })
    }

    fn act(&self, request: Request) -> anyhow::Result<Value> {
        match request {
            Request::Login { .. } => Ok(Value::Null),
            Request::Insert { database, name, document, unique } => {
                self.insert(&full(&database, &name)?, document, &unique)
            }
            Request::Find { database, name, filter } => {
                let name = full(&database, &name)?;
                let found = |document: &&Value| filter.iter().all(|(key, value)| document[key] == *value);
                Ok(self.collections.with(|collections| {
                    collections.get(&name).into_iter().flatten().filter(found).cloned().collect()
                }))
            }
        }
    }

    fn insert(
        &self,
        name: &str,
        mut document: Map<String, Value>,
        unique: &[String],
    ) -> anyhow::Result<Value> {
        self.collections.with(|collections| {
            let documents = collections.entry(name.to_owned()).or_default();
            for field in unique {
                let value = document.get(field).unwrap_or(&Value::Null);
                if documents.iter().any(|other| other[field] == *value) {
                    bail!("E11000 duplicate key error collection: {name} dup key: {{ {field}: {value} }}");
                }
            }
            document.insert("_id".to_owned(), crate::random_text()[..24].into());
            let document = Value::Object(document);
            let path = self.directory.join(format!("{name}.jsonl"));
            let failed = || format!("write {}", path.display());
            let mut file: File =
                OpenOptions::new().create(true).append(true).open(&path).with_context(failed)?;
            file.write_all(format!("{document}\n").as_bytes()).with_context(failed)?;
            file.sync_data().with_context(failed)?;
            documents.push(document.clone());
            Ok(document["_id"].clone())
        })
    }
}

/// A collection's full name, which is also its file's: names that are no plain words are refused.
fn full(database: &str, name: &str) -> anyhow::Result<String> {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if !plain(database) || !plain(name) {
        bail!("Invalid namespace specified '{database}.{name}'");
    }
    Ok(format!("{database}.{name}"))
}

/// The documents behind a `MONGO_URI`.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    address: String,
    database: String,
    root: Option<Root>,
}

impl Documents {
    /// Reads `mongodb://[user:password@]host[:port][/database][?options]`; the database is `test` where none is named,
    /// as `MongoDB`'s drivers have it.
    pub(super) fn at(uri: &str) -> anyhow::Result<Self> {
        let uri = reqwest::Url::parse(uri).ok().filter(|uri| uri.scheme() == "mongodb");
        let uri = uri.context("MONGO_URI is no mongodb:// address")?;
        let host = uri.host_str().context("MONGO_URI names no host")?;
        let decoded = |text: &str| {
            let pair = format!("v={text}");
            // form decoding is what is at hand; a plus sign is itself in an address, and a blank in a form
            let mut pairs = reqwest::Url::parse("http://h/").ok()?;
            pairs.set_query(Some(&pair.replace('+', "%2B")));
            pairs.query_pairs().next().map(|(_, value)| value.into_owned())
        };
        let root = match (uri.username(), uri.password()) {
            ("", _) => None,
            (user, password) => Some(Root {
                user: decoded(user).unwrap_or_default(),
                password: decoded(password.unwrap_or_default()).unwrap_or_default(),
            }),
        };
        let database = uri.path().trim_matches('/');
        Ok(Self {
            address: format!("{host}:{}", uri.port().unwrap_or(27017)),
            database: if database.is_empty() { "test" } else { database }.to_owned(),
            root,
        })
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the database answers, and lets us in.
    pub(super) async fn ping(&self) -> anyhow::Result<()> {
        self.find("users", &json!({"email": null})).await.map(drop)
    }

    /// Documents with all these values.
    pub(super) async fn find(&self, name: &str, filter: &Value) -> anyhow::Result<Vec<Value>> {
        let filter = filter.as_object().cloned().unwrap_or_default();
        let request = Request::Find { database: self.database.clone(), name: name.to_owned(), filter };
        Ok(self.ask(&request).await?.as_array().cloned().unwrap_or_default())
    }

    /// Adds a document and returns its id.
    pub(super) async fn insert(&self, name: &str, document: Value, unique: &[&str]) -> anyhow::Result<Value> {
        let Value::Object(document) = document else { bail!("a document is an object") };
        let unique = unique.iter().map(|&field| field.to_owned()).collect();
        let (database, name) = (self.database.clone(), name.to_owned());
        self.ask(&Request::Insert { database, name, document, unique }).await
    }

    async fn ask(&self, request: &Request) -> anyhow::Result<Value> {
        let address = &self.address;
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        let mut stream = BufReader::new(stream);
        let login = self.root.clone().map(|Root { user, password }| Request::Login { user, password });
        let mut answer = Value::Null;
        for request in login.iter().chain([request]) {
            let line = serde_json::to_string(request).context("write a request")?;
            stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.context("ask MongoDB")?;
            let mut line = String::new();
            stream.read_line(&mut line).await.context("read MongoDB's answer")?;
            answer = serde_json::from_str(&line).context("MongoDB answered what it should not")?;
            if let Some(why) = answer["error"].as_str() {
                bail!("MongoDB at {address}: {why}");
            }
        }
        Ok(answer["ok"].take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(store: &Store, email: &str) -> anyhow::Result<Value> {
        let document = json!({"email": email}).as_object().cloned().unwrap();
        let (database, name) = ("LibreChat".to_owned(), "users".to_owned());
        store.act(Request::Insert { database, name, document, unique: vec!["email".to_owned()] })
    }

    fn find(store: &Store, filter: Value) -> usize {
        let Value::Object(filter) = filter else { panic!("{filter}") };
        let (database, name) = ("LibreChat".to_owned(), "users".to_owned());
        store.act(Request::Find { database, name, filter }).unwrap().as_array().unwrap().len()
    }

    #[test]
    fn documents_are_unique_and_outlive_a_restart_and_half_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), None).unwrap();
        insert(&store, "a@b.example").unwrap();
        let refused = insert(&store, "a@b.example").unwrap_err().to_string();
        assert!(refused.starts_with("E11000"), "{refused}");
        let file = directory.path().join("LibreChat.users.jsonl");
        OpenOptions::new().append(true).open(file).unwrap().write_all(b"{\"email\": \"torn").unwrap();
        let store = Store::open(directory.path(), None).unwrap();
        assert_eq!((find(&store, json!({"email": "a@b.example"})), find(&store, json!({}))), (1, 1));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert!(full("..", "users").is_err() && full("LibreChat", "a/b").is_err());
        assert_eq!(full("LibreChat", "users").unwrap(), "LibreChat.users");
    }

    #[test]
    fn an_address_says_host_database_and_user() {
        let plain = Documents::at("mongodb://librechat-mongodb.ns.svc:27017/LibreChat").unwrap();
        assert_eq!((plain.address(), &*plain.database), ("librechat-mongodb.ns.svc:27017", "LibreChat"));
        let full = Documents::at("mongodb://root:a%40b+c@db/?authSource=admin").unwrap();
        assert_eq!(full.root, Some(Root { user: "root".to_owned(), password: "a@b+c".to_owned() }));
        assert_eq!((full.address(), &*full.database), ("db:27017", "test"));
        assert!(Documents::at("http://db/").is_err());
    }
}
