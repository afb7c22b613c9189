//! Logs that were never meant to be read.

use std::fmt::Write as _;

use super::{super::grade::plain, Ground, Play, Wrong, named, reported};

/// No issue is larger (`agent/src/issue.rs`).
const LARGEST: usize = 60 * 1024;
/// So many lines of the same kind.
const MANY: usize = 1_000_000;

pub(super) fn plays(ground: Ground<'_>, quick: bool) -> Vec<(String, Play<'_>)> {
    let mut plays = vec![
        named(
            "A11 a million identical lines before the cause",
            changed(ground, |log| format!("{}{log}", "npm warn tar entry ignored\n".repeat(MANY))),
        ),
        named(
            "A11 ten thousand different errors after the cause",
            changed(ground, |log| format!("{log}{}", errors())),
        ),
        named("A12 binary garbage and NUL around the cause", changed(ground, garbage)),
        named("A12 a log in UTF-16, as the server passes it on", changed(ground, wide)),
        named("A12 progress bars and carriage returns", changed(ground, progress)),
        named("A13 an empty log", empty(ground)),
        named("A14 the pod is deleted", deleted(ground)),
        named("A17 failures that differ in one word", similar(ground)),
        named("A35 compilers that speak Chinese, Japanese, German and Arabic", tongues(ground)),
    ];
    if !quick {
        let giant = |log: &str| format!("{}\n{log}", "x".repeat(20_000_000));
        plays.push(named("A11 a line of 20 MB before the cause", changed(ground, giant)));
    }
    plays
}

/// A mistyped package, whatever is around it.
async fn changed(ground: Ground<'_>, change: impl Fn(&str) -> String) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let mut scene = bench.scene(ground.case("F04")?)?;
    scene.logs.values_mut().for_each(|log| *log = change(log));
    let (record, issue) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    wrong.unless(issue.contains("fastapii"), || "the package is not named".to_owned());
    wrong.unless(issue.len() <= LARGEST, || format!("the issue has {} bytes", issue.len()));
    let hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    wrong.unless(!issue.contains(hidden), || "the issue has control characters".to_owned());
    Ok(wrong.0)
}

fn errors() -> String {
    (0..10_000).fold(String::new(), |mut text, number| {
        let name: String =
            format!("{number:04}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "error: unit {name} cannot be linked against {name}{name}");
        text
    })
}

/// Bytes of all values, as text that JSON can carry.
fn garbage(log: &str) -> String {
    let bytes: Vec<u8> = (0..4_096_u32).map(|n| (n * 197 + n / 7).to_le_bytes()[0]).collect();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    format!("{text}\n{}\n{text}", log.replace('\n', "\0\n"))
}

/// Two bytes a letter, read as if it were UTF-8.
fn wide(log: &str) -> String {
    let bytes: Vec<u8> = [0xfeff].into_iter().chain(log.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn progress(log: &str) -> String {
    let bar = (0..100).fold(String::new(), |mut text, share| {
        let _ = write!(text, "\r\u{1b}[2K\u{1b}[32m{share:>3}% {}\u{1b}[0m", "█".repeat(share / 5));
        text
    });
    log.lines().fold(String::new(), |text, line| text + &bar + "\r\u{1b}[2K" + line + "\r\n")
}

async fn empty(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let mut scene = bench.scene(ground.case("F04")?)?;
    scene.logs.values_mut().for_each(String::clear);
    let (record, issue) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless(plain(&issue).contains("is empty"), || {
        format!("it does not say that the log is empty: {issue}")
    });
    wrong.unless(record["diagnosis"]["step"] == "build", || "the step is not named".to_owned());
    Ok(wrong.0)
}

async fn deleted(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let mut scene = bench.scene(ground.case("F04")?)?;
    scene.objects.retain(|(kind, _), _| kind != "Pod");
    scene.logs.clear();
    let (record, issue) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless(record["diagnosis"]["step"] == "build", || "the step is not named".to_owned());
    let said = plain(&issue);
    wrong.unless(said.contains("not found") && said.contains("-pod"), || {
        format!("it does not say what is missing: {issue}")
    });
    Ok(wrong.0)
}

/// Same pipeline, task and step, nearly the same line.
async fn similar(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let mut wrong = Wrong::default();
    for (id, from, to) in
        [("F04", "fastapii", "fastapij"), ("F10", "3.99", "3.98"), ("F07", "test_price", "test_prices")]
    {
        bench.tracker.clear();
        let first = bench.scene(ground.case(id)?)?;
        let mut second = first.clone();
        second.logs.values_mut().for_each(|log| *log = log.replace(from, to));
        let mut again = first.clone();
        for (number, scene) in [&first, &mut second, &mut again].into_iter().enumerate() {
            let mut scene = scene.clone();
            scene.report["idempotency_key"] = serde_json::json!(format!("{id} {number}"));
            let (record, _) = reported(&bench, &scene).await?;
            wrong.unless_outcome(&record, if number == 2 { "recurred" } else { "created" });
        }
        wrong.unless_issues(&bench, 2);
    }
    Ok(wrong.0)
}

/// Messages as the tools' own translations have them: gcc's, GNU make's and bash's.
async fn tongues(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    const LINES: [(&str, &str); 4] = [
        ("main.c:3:12: 错误：‘total’ 未声明（在此函数内第一次使用）", "compile"),
        ("main.c:3:12: エラー: ‘total’ が宣言されていません (この関数内での最初の使用)", "compile"),
        ("main.c:3:12: Fehler: »total« nicht deklariert (erste Benutzung in dieser Funktion)", "compile"),
        ("خطأ فادح: تعذر فتح الملف main.c", ""),
    ];
    let bench = ground.bench(None, &[]).await?;
    let mut wrong = Wrong::default();
    for (line, category) in LINES {
        let mut scene = bench.scene(ground.case("F08")?)?;
        let log = format!("cc -c -o main.o main.c\n{line}\nmake: *** [Makefile:2: main.o] Fehler 1\n");
        scene.logs.values_mut().for_each(|own| own.clone_from(&log));
        let (record, issue) = reported(&bench, &scene).await?;
        wrong.unless_outcome(&record, "created");
        wrong.unless(issue.contains(line), || format!("{line:?} is not in the issue"));
        if !category.is_empty() {
            wrong.unless_category(&record, category);
        }
    }
    Ok(wrong.0)
}
