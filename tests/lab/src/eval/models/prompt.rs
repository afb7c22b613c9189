//! What a model reads out of a request: whose failure it is, the evidence in its fences, how far the dialogue is.

use serde_json::Value;

use super::super::case::Case;

/// A request, read.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// Answers of the model so far.
    pub(super) turn: usize,
    /// Whether nothing but the submission is offered.
    pub(super) forced: bool,
    /// All of the first prompt.
    pub(super) text: String,
    /// Namespace of the failure: `<case>-<number>`.
    pub(super) namespace: String,
    /// Evidence: title and lines, without numbers.
    blocks: Vec<(String, Vec<String>)>,
}

impl Question {
    pub(super) fn read(request: &Value) -> Self {
        let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let first = messages.iter().find(|message| message["role"] == "user");
        let text = first.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned();
        let blocks = blocks(&text);
        let namespace = blocks
            .iter()
            .filter(|(title, _)| title == "facts")
            .flat_map(|(_, lines)| lines)
            .find_map(|line| line.strip_prefix("namespace: "))
            .unwrap_or_default()
            .to_owned();
        Self {
            turn: messages.iter().filter(|message| message["role"] == "assistant").count(),
            forced: request["tools"].as_array().is_some_and(|tools| tools.len() == 1),
            text,
            namespace,
            blocks,
        }
    }

    /// Whether the failure is that case's.
    pub(super) fn is_about(&self, id: &str) -> bool {
        self.namespace.rsplit_once('-').is_some_and(|(case, _)| case.eq_ignore_ascii_case(id))
    }

    /// Which of so many ways to take: another one for each report, the same one throughout it.
    pub(super) fn way(&self, of: usize) -> usize {
        let number = self.namespace.rsplit_once('-').and_then(|(_, number)| number.parse::<usize>().ok());
        number.unwrap_or(0) % of.max(1)
    }

    /// The line that shows the cause of a case best: of the expected kind of evidence, with most of its facts.
    pub(super) fn telling(&self, case: &Case) -> Option<&str> {
        let expected = |title: &String| title.split(' ').nth(1) == Some(case.expect.evidence.as_str());
        let lines = self.blocks.iter().filter(|(title, _)| expected(title)).flat_map(|(_, lines)| lines);
        let facts = |line: &str| case.expect.must.iter().filter(|fact| line.contains(fact.as_str())).count();
        let best = lines.filter(|line| !line.is_empty()).rev().max_by_key(|line| facts(line))?;
        Some(best)
    }

    /// The first line of a log that speaks of an error, else of anything.
    pub(super) fn error(&self) -> Option<&str> {
        let log = |title: &String| title.split(' ').nth(1) == Some("log");
        let lines = || self.blocks.iter().filter(|(title, _)| log(title)).flat_map(|(_, lines)| lines);
        let speaks = |line: &&String| line.to_ascii_lowercase().contains("error");
        let first = lines().find(speaks).or_else(|| lines().find(|line| line.len() > 8))?;
        Some(first)
    }

    /// The first lines of every piece of evidence.
    pub(super) fn first_lines(&self, each: usize) -> Vec<&str> {
        let evidence = self.blocks.iter().filter(|(title, _)| title.starts_with('E'));
        evidence.flat_map(|(_, lines)| lines.iter().take(each).map(String::as_str)).collect()
    }
}

/// Fenced parts of a prompt, with the numbers before their lines taken off.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let Some(word) = text.split_once("<<").and_then(|(_, rest)| rest.split_once(">>")).map(|(word, _)| word)
    else {
        return Vec::new();
    };
    let (opening, closing) = (format!("<<{word}>> "), format!("<</{word}>>"));
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    // The first line explains the fences.
    for line in text.lines().skip(1) {
        if let Some(title) = line.strip_prefix(&opening) {
            blocks.push((title.to_owned(), Vec::new()));
            inside = true;
        } else if line == closing {
            inside = false;
        } else if let Some((_, lines)) = blocks.last_mut().filter(|_| inside) {
            lines.push(unnumbered(line).to_owned());
        }
    }
    blocks
}

fn unnumbered(line: &str) -> &str {
    let numbered = line.trim_start().split_once(' ');
    let rest =
        numbered.filter(|(number, _)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    // Lines of facts begin at the margin, numbered ones do not.
    rest.filter(|_| line.starts_with(' ')).map_or(line, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Question;

    #[test]
    fn evidence_and_namespace_are_read_out_of_the_fences() {
        let text = "Fences of this report: <<ab12>> opens, <</ab12>> closes.\n\n<<ab12>> facts\nnamespace: f04-7\n\
                    <</ab12>>\n\n<<ab12>> E1 log p/step-build\n     1 fine\n     2 ERROR: no such thing\n<</ab12>>";
        let request =
            json!({"messages": [{"role": "system", "content": ""}, {"role": "user", "content": text}]});
        let question = Question::read(&request);
        assert_eq!((question.namespace.as_str(), question.turn, question.way(5)), ("f04-7", 0, 2));
        assert!(question.is_about("F04") && !question.is_about("F0"));
        assert_eq!(question.error(), Some("ERROR: no such thing"));
    }
}
