//! Plays Antora as Showroom's builder uses it: `antora --to-dir=<folder> <playbook>`.
//!
//! Imitates Antora's documentation (docs.antora.org): the playbook's `content.sources` with `start_path`, a component's
//! `antora.yml` (`name`, `version`, `start_page`, `asciidoc.attributes`), pages under `modules/<module>/pages`, and where
//! pages are published: `/<component>[/<version>][/<module>]/<page>.html`, without the module when it is `ROOT`. As in
//! Showroom's image, what is in `/user_data/user_data.yml` can be used as attributes.
//!
//! Of AsciiDoc it knows headings, paragraphs, lists, listings, links and attributes. Not imitated: UI bundles, navigation,
//! includes, remote sources, extensions.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Given;

/// Where Showroom mounts the tenant's user data.
const USER_DATA: &str = "/user_data/user_data.yml";

type Attributes = BTreeMap<String, String>;

pub(super) fn build(given: &Given) -> anyhow::Result<()> {
    let playbook = given.arguments.iter().rfind(|argument| !argument.starts_with('-'));
    let playbook = given.directory.join(playbook.context("antora needs a playbook")?);
    let to = given.flag(&["to-dir"]).unwrap_or("build/site");
    let user_data = given.flag(&["user-data"]).unwrap_or(USER_DATA);
    let mut attributes = Attributes::new();
    match fs::read_to_string(user_data) {
        Ok(text) => take(&mut attributes, &parsed(&text, Path::new(user_data))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("read {user_data}")),
    }
    let pages = Site { to: given.directory.join(to), attributes }.build(&playbook)?;
    tracing::info!("Site generation complete! {pages} pages in {to}");
    Ok(())
}

struct Site {
    to: PathBuf,
    attributes: Attributes,
}

impl Site {
    /// Builds everything; returns the number of pages.
    fn build(&mut self, playbook: &Path) -> anyhow::Result<usize> {
        let missing = || format!("the specified playbook file does not exist: {}", playbook.display());
        let text = fs::read_to_string(playbook).with_context(missing)?;
        let settings = parsed(&text, playbook)?;
        take(&mut self.attributes, &settings["asciidoc"]["attributes"]);
        let base = playbook.parent().unwrap_or(Path::new("."));
        let (mut pages, mut start) = (0, None);
        for source in settings["content"]["sources"].as_array().into_iter().flatten() {
            let url = source["url"].as_str().unwrap_or(".");
            ensure!(!url.contains("://"), "source {url}: only sources beside the playbook are built");
            let root = base.join(url).join(source["start_path"].as_str().unwrap_or_default());
            let (count, first) = self.component(&root)?;
            pages += count;
            start = start.or(first);
        }
        ensure!(pages > 0, "{}: no pages in any source", playbook.display());
        if let Some(start) = start {
            let page =
                format!("<!doctype html><meta http-equiv=refresh content=\"0; url={}\">\n", escaped(&start));
            fs::write(self.to.join("index.html"), page).context("write index.html")?;
        }
        Ok(pages)
    }

    /// Builds a component: its number of pages, and where its start page is.
    fn component(&self, root: &Path) -> anyhow::Result<(usize, Option<String>)> {
        let descriptor = root.join("antora.yml");
        let text =
            fs::read_to_string(&descriptor).with_context(|| format!("read {}", descriptor.display()))?;
        let component = parsed(&text, &descriptor)?;
        let name = component["name"].as_str().context("antora.yml names no component")?;
        let mut attributes = self.attributes.clone();
        take(&mut attributes, &component["asciidoc"]["attributes"]);
        let version = match &component["version"] {
            Value::Null => None,
            Value::String(text) if matches!(text.as_str(), "~" | "master" | "") => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let mut place = name.to_owned();
        if let Some(version) = version {
            let _ = write!(place, "/{version}");
        }
        let mut pages = 0;
        for module in folders(&root.join("modules"))? {
            let below = if module == "ROOT" { place.clone() } else { format!("{place}/{module}") };
            let folder = root.join("modules").join(&module).join("pages");
            for page in sources(&folder)? {
                let source =
                    fs::read_to_string(folder.join(&page)).with_context(|| format!("read {page}"))?;
                let file = self.to.join(&below).join(Path::new(&page).with_extension("html"));
                let directory = file.parent().expect("a page has a folder");
                fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
                fs::write(&file, html(&source, &attributes))
                    .with_context(|| format!("write {}", file.display()))?;
                pages += 1;
            }
        }
        let start = component["start_page"].as_str().unwrap_or("index.adoc");
        let start = start.rsplit(':').next().unwrap_or(start).trim_end_matches(".adoc");
        Ok((pages, (pages > 0).then(|| format!("{place}/{start}.html"))))
    }
}

/// Pages below a folder, as paths within it, sorted; none if there is no such folder.
fn sources(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in listed(folder)? {
        let name = entry.file_name().into_string().ok().context("a page's name is not text")?;
        if entry.path().is_dir() {
            found.extend(sources(&entry.path())?.into_iter().map(|page| format!("{name}/{page}")));
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "adoc") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

fn folders(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = listed(folder)?.into_iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn listed(folder: &Path) -> anyhow::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.and_then(Iterator::collect).with_context(|| format!("list {}", folder.display())),
    }
}

fn parsed(text: &str, path: &Path) -> anyhow::Result<Value> {
    tenant_kit::yaml::from_str(text).with_context(|| format!("read {}", path.display()))
}

/// Adds the scalars of a map.
fn take(attributes: &mut Attributes, map: &Value) {
    for (name, value) in map.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.trim_end_matches('@').to_owned(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => continue,
        };
        attributes.insert(name.clone(), text);
    }
}

/// A page of AsciiDoc as HTML.
fn html(source: &str, attributes: &Attributes) -> String {
    let mut attributes = attributes.clone();
    let (mut title, mut body, mut listing) = (String::new(), String::new(), false);
    for line in source.lines() {
        if line.trim_end() == "----" || line.trim_end() == "...." {
            body += if listing { "</pre>\n" } else { "<pre>" };
            listing = !listing;
        } else if listing {
            body += &escaped(&filled(line, &attributes));
            body += "\n";
        } else if let Some((name, value)) = line.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
            attributes.insert(name.trim_end_matches('!').to_owned(), filled(value.trim(), &attributes));
        } else {
            block(&filled(line, &attributes), &mut title, &mut body);
        }
    }
    format!("<!doctype html><meta charset=utf-8><title>{}</title>\n{body}", escaped(&title))
}

/// A line outside listings.
fn block(line: &str, title: &mut String, body: &mut String) {
    let line = line.trim_end();
    let level = line.bytes().take_while(|&byte| byte == b'=').count();
    if (1..=5).contains(&level) && line[level..].starts_with(' ') {
        let text = line[level..].trim();
        if level == 1 {
            text.clone_into(title);
        }
        let _ = writeln!(body, "<h{level}>{}</h{level}>", linked(text));
    } else if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix(". ")) {
        let _ = writeln!(body, "<li>{}", linked(item));
    } else if line.is_empty() {
        *body += "<p>\n";
    } else if !(line.starts_with("//") || line.starts_with('[') && line.ends_with(']')) {
        *body += &linked(line);
        *body += "\n";
    }
}

/// `{name}` with its value; unknown names stay, as Antora leaves them.
fn filled(line: &str, attributes: &Attributes) -> String {
    let mut parts = line.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').and_then(|(name, rest)| Some((attributes.get(name)?, rest))) {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend(["{", part]),
        }
    }
    filled
}

/// Text with `xref:page.adoc[…]`, `link:…[…]` and `https://…[…]` as links.
fn linked(text: &str) -> String {
    let mut out = String::new();
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            out.push(' ');
        }
        let target = word.strip_prefix("xref:").or_else(|| word.strip_prefix("link:"));
        let target = target.or_else(|| word.contains("://").then_some(word));
        match target.and_then(|target| target.split_once('[')) {
            Some((address, label)) => {
                let address =
                    address.strip_suffix(".adoc").map_or(address.to_owned(), |page| format!("{page}.html"));
                let label = label.split(']').next().unwrap_or(label);
                let _ = write!(out, "<a href=\"{}\">{}</a>", escaped(&address), escaped(label));
            }
            None => out += &escaped(word),
        }
    }
    out
}

/// Text for HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_is_published_where_antora_publishes_it_with_the_tenants_data() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("repo/default-site.yml", "content: {sources: [{url: ., start_path: content}]}\n");
        write(
            "repo/content/antora.yml",
            "name: modules\nversion: ~\nstart_page: ROOT:index.adoc\nasciidoc: {attributes: {lab: MCP}}\n",
        );
        let page = "= Lab {lab}\n\nLog in as {user} < {nobody}, see xref:next.adoc[next]\n\n----\n<{password}>\n----\n";
        write("repo/content/modules/ROOT/pages/index.adoc", page);
        write("repo/content/modules/ROOT/pages/sub/next.adoc", "= Next\n");
        let attributes = [("user", "user-x1"), ("password", "p&w")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let mut site = Site { to: folder.path().join("www"), attributes };
        assert_eq!(site.build(&folder.path().join("repo/default-site.yml")).unwrap(), 2);
        let read = |path: &str| fs::read_to_string(folder.path().join("www").join(path)).unwrap();
        assert!(read("index.html").contains("url=modules/index.html"), "{}", read("index.html"));
        let index = read("modules/index.html");
        for part in [
            "<h1>Lab MCP</h1>",
            "user-x1 &lt; {nobody},",
            "<a href=\"next.html\">next</a>",
            "&lt;p&amp;w&gt;",
        ] {
            assert!(index.contains(part), "{part} is not in {index}");
        }
        assert!(read("modules/sub/next.html").contains("<title>Next</title>"));
        let missing = site.build(&folder.path().join("repo/site.yml")).unwrap_err().to_string();
        assert!(missing.starts_with("the specified playbook file does not exist"), "{missing}");
    }
}
