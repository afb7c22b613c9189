//! The stand-in against the published description of the real proxy, over HTTP.
//!
//! `openapi.json` beside this file holds the facts, taken from a running LiteLLM.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Litellm, launch};
use crate::platform::{Fault, Faults, StandIn};

type Fields = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Published {
    requests: BTreeMap<String, Fields>,
    list_size: BTreeMap<String, usize>,
    responses: BTreeMap<String, Fields>,
}

fn published() -> Published {
    serde_json::from_str(include_str!("openapi.json")).unwrap()
}

fn has_type(value: &Value, types: &str) -> bool {
    types.split('|').any(|name| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the fixture names an unknown type {other:?}"),
    })
}

/// A value of every type a field may have.
fn samples(types: &str) -> Vec<Value> {
    let sample = |name| match name {
        "string" => json!("1h"),
        "number" | "integer" => json!(1),
        "boolean" => json!(true),
        "array" => json!(["a"]),
        "object" => json!({ "a": "b" }),
        _ => Value::Null,
    };
    types.split('|').map(sample).collect()
}

struct Running {
    litellm: Litellm,
    faults: Arc<Faults>,
    client: Client,
    _stop: DropGuard,
}

impl Running {
    async fn start() -> Self {
        let (faults, shutdown) = (Arc::new(Faults::default()), CancellationToken::new());
        let litellm = launch(faults.clone(), shutdown.clone()).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { litellm, faults, client, _stop: shutdown.drop_guard() }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.litellm.url));
        request = request.bearer_auth(&self.litellm.master_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn answers_have_published_fields_of_published_types() {
    let running = Running::start().await;
    let published = published();
    let body = json!({ "key_alias": "a", "models": ["m"], "duration": "30d", "metadata": { "guid": "x1" } });
    let made = running.send(Method::POST, "/key/generate", Some(body)).await.1;
    let listed = running.send(Method::GET, "/key/list?key_alias=a", None).await.1;
    for (endpoint, answer) in [("POST /key/generate", made), ("GET /key/list", listed)] {
        let fields = &published.responses[endpoint];
        for (name, value) in answer.as_object().unwrap() {
            let types = fields.get(name).unwrap_or_else(|| panic!("{endpoint}: {name} is not published"));
            assert!(has_type(value, types), "{endpoint}: {name} is {value}, not {types}");
        }
    }
}

#[tokio::test]
async fn published_fields_are_taken_in_all_their_types() {
    let running = Running::start().await;
    for (endpoint, fields) in published().requests {
        let Some(path) = endpoint.strip_prefix("POST ") else { continue };
        for (name, types) in fields {
            for value in samples(&types) {
                let body = json!({ (name.as_str()): value });
                let (status, answer) = running.send(Method::POST, path, Some(body.clone())).await;
                let of_wrong_type = answer["detail"][0]["type"] == "json_invalid";
                assert!(!of_wrong_type, "{endpoint} refused {body}: {status} {answer}");
            }
        }
        let (status, answer) =
            running.send(Method::POST, path, Some(json!({ "models": 1, "keys": 1 }))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{endpoint}: {answer}");
        assert!(answer["detail"].is_array(), "{endpoint}: {answer}");
    }
}

#[tokio::test]
async fn a_page_has_the_published_default_and_maximum() {
    let running = Running::start().await;
    let size = published().list_size;
    for _ in 0..=size["default"] {
        running.send(Method::POST, "/key/generate", Some(json!({}))).await;
    }
    let listed = running.send(Method::GET, "/key/list", None).await.1;
    assert_eq!(listed["keys"].as_array().unwrap().len(), size["default"], "{listed}");
    let path = format!("/key/list?size={}", size["maximum"]);
    assert_eq!(running.send(Method::GET, &path, None).await.0, StatusCode::OK);
    let path = format!("/key/list?size={}", size["maximum"] + 1);
    assert_eq!(running.send(Method::GET, &path, None).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn strangers_get_401_in_litellms_shape() {
    let running = Running::start().await;
    let list = format!("{}/key/list", running.litellm.url);
    for bearer in [None, Some("sk-unknown")] {
        let mut request = running.client.get(&list);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "bearer {bearer:?}");
        let error = answer.json::<Value>().await.unwrap()["error"].clone();
        assert_eq!(error["code"], "401", "{error}");
        assert!(error["message"].as_str().unwrap().starts_with("Authentication Error, "), "{error}");
    }
}

#[tokio::test]
async fn a_virtual_key_sees_its_models_and_itself_and_nothing_else() {
    let running = Running::start().await;
    let body = json!({ "key_alias": "mine", "models": ["only-this"] });
    let made = running.send(Method::POST, "/key/generate", Some(body)).await.1;
    let key = made["key"].as_str().unwrap();
    let ask = async |path: &str| {
        let request = running.client.get(format!("{}{path}", running.litellm.url)).bearer_auth(key);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (_, models) = ask("/v1/models").await;
    assert_eq!(
        (models["data"].as_array().unwrap().len(), &models["data"][0]["id"]),
        (1, &json!("only-this"))
    );
    assert_eq!(ask("/key/info").await.1["info"]["key_alias"], "mine");
    assert_eq!(ask("/key/info?key=sk-other").await.0, 403);
    assert_eq!(ask("/key/list").await.0, 401);
}

#[tokio::test]
async fn faults_reach_only_the_subject_they_name() {
    let running = Running::start().await;
    let generate = async |alias: &str| {
        running.send(Method::POST, "/key/generate", Some(json!({ "key_alias": alias }))).await
    };
    let made = generate("virtkey-x1").await.1;
    let fault = |behaviour: &str| Fault {
        stand_in: StandIn::Litellm,
        behaviour: behaviour.parse().unwrap(),
        only: Some("x1".to_owned()),
    };
    running.faults.set(fault("wrong"));
    let by_hash = json!({ "keys": [made["token"]] });
    let answer = running.send(Method::POST, "/key/delete", Some(by_hash)).await;
    assert_eq!(answer, (StatusCode::OK, json!({ "status": "success" })));
    assert_eq!(running.litellm.keys(), ["virtkey-x1"], "a lie deletes nothing");
    assert_eq!(generate("virtkey-x2").await.0, StatusCode::OK);
    running.faults.set(fault("absent"));
    let url = format!("{}/key/list?key_alias=virtkey-x1", running.litellm.url);
    assert!(running.client.get(url).bearer_auth(&running.litellm.master_key).send().await.is_err());
}
