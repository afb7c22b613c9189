//! The pages in a real browser: what they show, that they change by themselves, that nothing is refused.

use base64::Engine as _;
use serde_json::json;

use crate::browser::Browser;
use crate::double::{Shared, start};
use crate::{agent, body, http, lab, report};

/// Where pictures are kept for people to look at: `AGENT_PICTURES=dir cargo test -p tenant-agent --test it pages`.
fn keep(name: &str, picture: &str) {
    let bytes = base64::engine::general_purpose::STANDARD.decode(picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5_000, "{name} is an empty picture");
    #[expect(clippy::disallowed_methods, reason = "pictures are for whoever asks for them")]
    if let Ok(dir) = std::env::var("AGENT_PICTURES") {
        std::fs::write(format!("{dir}/{name}.png"), bytes).unwrap();
    }
}

/// A browser, or a line that says what is not tested.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        println!("SKIPPED: no chromium on the PATH; the pages are not looked at");
    }
    browser
}

fn away(world: &Shared, away: bool) {
    world.lock().unwrap().away = away;
}

#[tokio::test]
async fn a_report_is_seen_to_change_and_reads_the_same_without_javascript() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    away(&world, true);
    let (agent, _) = agent(&servers, None).await;
    let request = http().post(format!("{agent}/report-failure")).header("prefer", "respond-async");
    let answer = request.json(&body("build-agent-mtkhb0")).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let page = format!("{agent}/reports/{}", answer["report_id"].as_str().unwrap());
    let looked = tokio::task::spawn_blocking(move || {
        let mut browser = browser()?;
        browser.open(&page);
        browser.wait_for("live");
        assert_eq!(browser.evaluate("document.querySelector('.tag').innerText"), "pending");
        browser.evaluate("window.same = true");
        away(&world, false);
        browser.wait_for("requirements.txt is missing");
        browser.wait_for("finished");
        assert_eq!(browser.evaluate("window.same"), true, "the page was changed, not loaded again");
        let text = browser.evaluate("document.querySelector('main').innerText");
        for fact in
            ["issue #1", "COPY requirements.txt", "build-agent-mtkhb0-build-pod-retry2", "build-context"]
        {
            assert!(text.as_str().unwrap().contains(fact), "{fact} is not in\n{text}");
        }
        keep("report", &browser.picture());
        browser.scripts(false);
        browser.open(&page);
        browser.scripts(true);
        assert_eq!(browser.evaluate("document.querySelector('main').innerText"), text);
        browser.ask(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
        );
        keep("report-dark", &browser.picture());
        Some(browser.complaints.clone())
    });
    if let Some(complaints) = looked.await.unwrap() {
        assert_eq!(complaints, Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_list_grows_by_itself_and_what_reporters_say_is_text() {
    let (servers, world) = start(lab("build-agent-mtkhb0")).await;
    let (agent, _) = agent(&servers, None).await;
    let first = report(&agent, &body("build-agent-mtkhb0")).await;
    assert_eq!(first["outcome"], "created", "{first}");
    let hostile = "<img src=x onerror=alert(1)>: no such file or directory\n";
    world.lock().unwrap().logs.values_mut().for_each(|log| *log = format!("Error: {hostile}"));
    let runtime = tokio::runtime::Handle::current();
    let looked = tokio::task::spawn_blocking(move || {
        let mut browser = browser()?;
        browser.open(&format!("{agent}/reports"));
        browser.wait_for("live");
        assert_eq!(browser.evaluate("document.querySelectorAll('.reports li').length"), 1);
        for (namespace, pod) in [("other", "build-agent-mtkhb0-build-pod-retry2"), ("empty", "")] {
            runtime.block_on(report(&agent, &json!({"namespace": namespace, "pod_name": pod})));
        }
        browser.wait_for("other / build-agent");
        browser.wait_for("empty /");
        assert_eq!(browser.evaluate("document.querySelectorAll('img').length"), 0);
        keep("list", &browser.picture());
        browser.ask(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": true}),
        );
        assert_eq!(
            browser.evaluate("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "a telephone need not scroll sideways"
        );
        keep("list-narrow", &browser.picture());
        browser.open(&format!("{agent}/reports?namespace=other"));
        assert_eq!(browser.evaluate("document.querySelectorAll('.reports li').length"), 1);
        Some(browser.complaints.clone())
    });
    if let Some(complaints) = looked.await.unwrap() {
        assert_eq!(complaints, Vec::<String>::new());
    }
}
