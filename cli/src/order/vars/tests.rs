use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::*;

/// Variables of one file, read as a whole.
fn file(text: &str) -> Vars {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("order.yml");
    std::fs::write(&path, text).unwrap();
    Vars::read(&[Argument::File(path)], BTreeMap::new()).unwrap_or_else(|error| panic!("{error}"))
}

/// The error without the directory the file was in.
fn shown(error: &VarError) -> String {
    let text = error.to_string();
    match (text.find('('), text.find("order.yml")) {
        (Some(open), Some(name)) if open < name => format!("{}{}", &text[..=open], &text[name..]),
        _ => text,
    }
}

#[test]
fn the_first_set_name_wins_and_placeholders_do_not_count() {
    let vars = file("a: ''\nb: unknown\nc: ~\nd: '{{ none | default(omit) }}'\ne: ' x \n '\nf: y\n");
    assert_eq!(vars.text(&["a", "b", "c", "d", "none", "e", "f"]).unwrap().as_deref(), Some("x"));
    assert_eq!(vars.first_set(&["a", "e", "f"]).unwrap(), Some("e"));
    assert_eq!(vars.text(&["a", "b", "c", "d"]).unwrap(), None);
}

#[test]
fn a_dotted_name_looks_into_a_map() {
    let vars = file("guid: x1\ngitea: {sandbox_openshift_namespace: 'ns-{{ guid }}'}\n");
    assert_eq!(vars.text(&["gitea.sandbox_openshift_namespace"]).unwrap().as_deref(), Some("ns-x1"));
    assert_eq!(vars.text(&["gitea.none"]).unwrap(), None);
    assert_eq!(vars.text(&["guid.none"]).unwrap(), None);
}

#[test]
fn numbers_are_text_only_as_far_as_they_are_written_so() {
    let vars = file("plain: 12345\nversion: 1.5\noctal: 0123\nlong: 1_000\nflag: no\nquoted: '0123'\n");
    assert_eq!(vars.text(&["plain"]).unwrap().as_deref(), Some("12345"));
    assert_eq!(vars.text(&["version"]).unwrap().as_deref(), Some("1.5"));
    assert_eq!(vars.text(&["quoted"]).unwrap().as_deref(), Some("0123"));
    for (name, found) in [("octal", "another number"), ("long", "another number"), ("flag", "a boolean")] {
        let error = vars.text(&[name]).unwrap_err();
        assert!(matches!(&error, VarError::Unquoted { found: was, .. } if was == found), "{name}: {error}");
    }
}

#[test]
fn flags_and_integers_are_understood_in_every_spelling() {
    let vars = file("a: yes\nb: 'No'\nc: 1\nd: 'off'\ne: maybe\nf: '42'\ng: 42\nh: 1.5\n");
    for (name, expected) in [("a", true), ("b", false), ("c", true), ("d", false)] {
        assert_eq!(vars.flag(&[name]).unwrap(), Some(expected), "flag {name}");
    }
    assert_eq!(
        shown(&vars.flag(&["e"]).unwrap_err()),
        "`e` (order.yml:5) must be a boolean (true or false), but is text"
    );
    assert_eq!(vars.integer(&["f"]).unwrap(), Some(42));
    assert_eq!(vars.integer(&["g"]).unwrap(), Some(42));
    assert_eq!(
        shown(&vars.integer(&["h"]).unwrap_err()),
        "`h` (order.yml:8) must be a whole number, but is a number with a fraction"
    );
}

#[test]
fn lists_come_as_lists_as_text_and_from_templates() {
    let vars = file("a: [x, '{{ b }}', 3]\nb: y\nc: x, y,\nd: '[\"x\", \"y\"]'\ne: '{{ a }}'\nf: {x: 1}\n");
    assert_eq!(vars.text_list(&["a"]).unwrap().unwrap(), ["x", "y", "3"]);
    assert_eq!(vars.text_list(&["c"]).unwrap().unwrap(), ["x", "y"]);
    assert_eq!(vars.text_list(&["d"]).unwrap().unwrap(), ["x", "y"]);
    assert_eq!(vars.text_list(&["e"]).unwrap().unwrap(), ["x", "y", "3"]);
    assert_eq!(
        shown(&vars.text_list(&["f"]).unwrap_err()),
        "`f` (order.yml:6) must be a list of texts, but is a map"
    );
}

#[derive(Debug, PartialEq, Deserialize)]
struct Repository {
    name: String,
    #[serde(default, deserialize_with = "lenient::flag")]
    private: bool,
}

#[test]
fn typed_values_name_the_item_that_does_not_fit() {
    let vars = file(
        "guid: x1\nrepos:\n- {name: 'mcp-{{ guid }}', private: 'no'}\n- {nam: other}\nmap: {name: a}\nempty: {}\n",
    );
    assert_eq!(
        shown(&vars.list::<Repository>(&["repos"]).unwrap_err()),
        "`repos[1]` (order.yml:2) cannot be used: missing field `name`"
    );
    let map = vars.map::<Repository>(&["map"]).unwrap();
    assert_eq!(map, Some(Repository { name: "a".into(), private: false }));
    assert_eq!(vars.map::<Repository>(&["empty"]).unwrap(), None, "an empty map is not set");
    let text = Vars::from_iter([("repos".to_owned(), json!("[{\"name\": \"a\", \"private\": true}]"))]);
    assert_eq!(text.list::<Repository>(&["repos"]).unwrap().unwrap()[0].name, "a", "`-e` gives text only");
}

#[test]
fn missing_variables_name_all_their_synonyms() {
    let error = Vars::default().required_secret(&["litellm_master_key", "other"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`litellm_master_key` is not set; give it with `-e litellm_master_key=…` or in a variables file (also \
         read from other)"
    );
}

#[test]
fn secrets_are_trimmed_and_never_shown() {
    let vars =
        file("cluster_admin_agnosticd_sa_token: \"sha256~hunter2\\n\"\nlitellm_master_key: {a: hunter2}\n");
    let token = vars.secret(&["cluster_admin_agnosticd_sa_token"]).unwrap().unwrap();
    assert_eq!(token.expose_secret(), "sha256~hunter2");
    let error = vars.secret(&["litellm_master_key"]).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "got {error}");
}

#[test]
fn flags_of_the_command_line_win_and_defaults_lose() {
    let defaults = json!({"guid": "default", "other": "{{ guid }}"});
    let vars = file("guid: file\n").with_defaults(defaults.as_object().unwrap().clone()).with(
        "guid",
        "flag",
        Origin::Flag("--guid"),
    );
    assert_eq!(vars.text(&["other"]).unwrap().as_deref(), Some("flag"));
    assert_eq!(vars.origin("guid").unwrap().to_string(), "--guid");
}

#[test]
fn near_misses_are_named_once_and_only_where_the_right_name_is_missing() {
    let vars = file("litellm_ulr: x\nlitellm_master_kay: x\nlitellm_master_key: y\nworker_count: 3\n");
    let warnings = vars.near_misses();
    assert_eq!(warnings.len(), 1, "got {warnings:?}");
    assert!(
        warnings[0].contains(":1) is not a variable known here; did you mean `litellm_url`?"),
        "{warnings:?}"
    );
}

proptest::proptest! {
    #[test]
    fn any_file_gives_values_or_one_line(text in "([a-d]: (\\PC{0,16}|'\\{\\{ [a-d](\\.[a-d])? \\}\\}'|\\[[a-d, ]{0,6}\\])\n){0,6}") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order.yml");
        std::fs::write(&path, &text).unwrap();
        let one_line = |text: String| assert!(!text.contains('\n'), "more than one line: {text:?}");
        match Vars::read(&[Argument::File(path)], BTreeMap::new()) {
            Err(error) => one_line(error.to_string()),
            Ok(vars) => for name in ["a", "b", "c", "d", "a.b"] {
                let _ = vars.text(&[name]).map_err(|error| one_line(error.to_string()));
                let _ = vars.flag(&[name]).map_err(|error| one_line(error.to_string()));
                let _ = vars.integer(&[name]).map_err(|error| one_line(error.to_string()));
                let _ = vars.text_list(&[name]).map_err(|error| one_line(error.to_string()));
                let _ = vars.list::<Repository>(&[name]).map_err(|error| one_line(error.to_string()));
                let _ = vars.map::<Repository>(&[name]).map_err(|error| one_line(error.to_string()));
            },
        }
    }
}
