use serde_json::json;

use super::*;

fn scope(variables: Value) -> Arc<Scope> {
    let Value::Object(map) = variables else { panic!("a map of variables is expected, got {variables}") };
    let variables = map
        .into_iter()
        .enumerate()
        .map(|(index, (name, value))| {
            let origin = Origin::File { path: "order.yml".into(), line: index + 1 };
            (name, Variable { value, origin, written: None })
        })
        .collect();
    let environment = BTreeMap::from([("GUID".to_owned(), "env1".to_owned())]);
    Arc::new(Scope { variables, environment })
}

/// What `template` renders to among the variables of a realistic order.
fn rendered(template: &str) -> Result<Option<Value>, TemplateError> {
    let scope = scope(json!({
        "guid": "test01",
        "username": "user-{{ guid }}",
        "count": 3,
        "yes": true,
        "nothing": null,
        "empty": "",
        "broken": "{{ nowhere }}",
        "models": ["a", "{{ guid }}-b"],
        "gitea": {"sandbox_openshift_namespace": "sandbox-{{ guid }}-gitea", "depth": {"x": "{{ count }}"}},
        "asked": template,
    }));
    render(&scope, "asked")
}

fn value(template: &str) -> Value {
    match rendered(template) {
        Ok(Some(value)) => value,
        other => panic!("{template:?} gave {other:?}"),
    }
}

fn refusal(template: &str) -> String {
    match rendered(template) {
        Err(error) => error.to_string(),
        Ok(value) => panic!("{template:?} gave {value:?}"),
    }
}

/// Results printed by `ansible localhost -m debug` of ansible-core 2.19 with the same variables.
#[test]
fn templates_render_as_in_ansible() {
    for (template, expected) in [
        ("plain", json!("plain")),
        ("user-{{ guid }}", json!("user-test01")),
        ("{{ username }}-x", json!("user-test01-x")),
        ("{{ 'a' ~ guid ~ 1 }}", json!("atest011")),
        ("{{ 'a' + guid }}", json!("atest01")),
        ("{{ count }}", json!(3)),
        ("{{ count }} ", json!("3 ")),
        ("{{ yes }}/{{ nothing }}/{{ models }}", json!("True//['a', 'test01-b']")),
        ("{{ models }}", json!(["a", "test01-b"])),
        ("{{ models | join(',') }}", json!("a,test01-b")),
        ("{{ gitea }}", json!({"sandbox_openshift_namespace": "sandbox-test01-gitea", "depth": {"x": 3}})),
        ("{{ gitea.sandbox_openshift_namespace }}", json!("sandbox-test01-gitea")),
        ("{{ gitea['depth'].x + 1 }}", json!(4)),
        ("{{ {'a': guid} }}", json!({"a": "test01"})),
        ("{{ (guid | hash('md5'))[:12] }}", json!("0e698a8ffc1a")),
        ("Mcp{{ (guid | hash('sha256'))[:8] }}!", json!("Mcp678e82d9!")),
        ("{{ (guid[:5] | hash('md5') | int(base=16) | b64encode)[:8] }}", json!("MzI4MjU3")),
        ("{{ guid | hash }}", json!("c25a79c57906ba7027b36d380230db92bbc0fd64")),
        ("{{ 'aGk=' | b64decode }}", json!("hi")),
        ("{{ '12' | int }}{{ 'x' | int }}{{ 'x' | int(7) }}{{ '0x1f' | int(base=16) }}", json!("120731")),
        ("{{ 'Yes' | bool }}", json!(true)),
        ("{{ 'off' | bool }}", json!(false)),
        ("{{ true | string }}", json!("True")),
        ("{{ guid | upper | lower | trim | length }}", json!(6)),
        ("{{ guid | replace('test', 't') }}", json!("t01")),
        ("{{ (count > 2) | ternary('many', 'few') }}", json!("many")),
        ("{{ 'a' if count == 3 else 'b' }}", json!("a")),
        ("{% if yes %}on{% else %}off{% endif %}", json!("on")),
        ("{% for m in models %}{{ m }};{% endfor %}", json!("a;test01-b;")),
        (
            "{% for a in models %}{% for b in models %}{{ b }}{% endfor %}{% endfor %}",
            json!("atest01-batest01-b"),
        ),
        ("{{ lookup('env', 'GUID') }}{{ lookup('env', 'NONE') }}", json!("env1")),
        ("{{ lookup('env', 'NONE', default='x') }}", json!("x")),
        ("{{ lookup('vars', 'guid') }}", json!("test01")),
        ("{{ lookup('ansible.builtin.vars', 'nowhere', default='x') }}", json!("x")),
        ("{{ vars['guid'] }}", json!("test01")),
        ("{{ 'depth' in gitea and 'other' not in gitea }}", json!(true)),
        ("line\n", json!("line\n")),
        ("{{ guid }}\n", json!("test01\n")),
    ] {
        assert_eq!(value(template), expected, "rendering {template:?}");
    }
}

#[test]
fn default_and_defined_look_after_missing_values() {
    for (template, expected) in [
        ("{{ nowhere | default('x') }}", json!("x")),
        ("{{ nowhere | d }}", json!("")),
        ("{{ nowhere.deep.er | default('x') }}", json!("x")),
        ("{{ gitea.none | default('x') }}", json!("x")),
        ("{{ gitea['none'] | default('x') }}", json!("x")),
        ("{{ gitea.none.deeper | default('x') }}", json!("x")),
        ("{{ empty | default('x') }}", json!("")),
        ("{{ empty | default('x', true) }}", json!("x")),
        ("{{ empty | default('x', boolean=True) }}", json!("x")),
        ("{{ nothing | default(nowhere | default('x'), true) }}", json!("x")),
        ("{{ nowhere is defined }}", json!(false)),
        ("{{ nowhere is undefined and guid is defined }}", json!(true)),
        ("{{ 'a' if nowhere is defined else 'b' }}", json!("b")),
        ("{{ nowhere if nowhere is defined else guid }}", json!("test01")),
        ("{{ broken | default('x') }}", json!("x")),
        ("{{ guid | default(nowhere) }}", json!("test01")),
        ("{{ models[7] | default('x') }}", json!("x")),
        ("{{ broken is defined }}", json!(false)),
        ("{{ true | ternary('a', nowhere) }}", json!("a")),
        ("{{ lookup('vars', 'nowhere') | default('x') }}", json!("x")),
    ] {
        assert_eq!(value(template), expected, "rendering {template:?}");
    }
}

#[test]
fn omitted_values_are_not_there() {
    assert_eq!(rendered("{{ nowhere | default(omit) }}"), Ok(None));
    assert_eq!(rendered("{{ omit }}"), Ok(None));
    let scope = scope(json!({"a": "{{ b }}", "b": "{{ x | default(omit) }}", "c": {"k": "{{ b }}", "l": 1}}));
    assert_eq!(render(&scope, "a"), Ok(None), "also through a reference");
    assert_eq!(render(&scope, "c"), Ok(Some(json!({"l": 1}))), "also inside of a map");
    assert!(refusal("x{{ omit }}").contains("`omit` must be the whole value"));
}

#[test]
fn missing_names_are_reported_wherever_they_are_used() {
    for template in [
        "{{ nowhere }}",
        "user-{{ nowhere }}",
        "{{ nowhere ~ 'x' }}",
        "{{ nowhere + 'x' }}",
        "{{ nowhere | trim }}",
        "{{ nowhere | hash('md5') }}",
        "{{ nowhere | upper | replace('a', 'b') }}",
        "{{ nowhere | int }}",
        "{{ nowhere | bool }}",
        "{{ nowhere | ternary(1, 2) }}",
        "{{ nowhere | length }}",
        "{{ nowhere[:5] }}",
        "{{ nowhere == 'x' }}",
        "{{ 'x' == nowhere }}",
        "{{ 1 if nowhere else 2 }}",
        "{{ not nowhere }}",
        "{{ nowhere and true }}",
        "{{ [nowhere] }}",
        "{{ {'a': nowhere} }}",
        "{{ [nowhere, 'a'] | join(',') }}",
        "{% for x in nowhere %}{{ x }}{% endfor %}",
        "{{ 'a' in nowhere }}",
        "{{ range(nowhere) | list }}",
        "{{ lookup('env', nowhere) }}",
        "{{ 'x' | default(nowhere) ~ nowhere }}",
        "{{ nowhere | default(nowhere) }}",
        "{{ false | ternary('a', nowhere) }}",
        "{{ nowhere is defined or nowhere == 'x' }}",
    ] {
        let error = refusal(template);
        assert!(error.starts_with("`nowhere` is not defined, but needed by `asked`"), "{template}: {error}");
    }
    let inner = refusal("{{ gitea.none }}");
    assert!(
        inner.starts_with("`gitea.none` is not defined, but needed by `asked` (order.yml:10)"),
        "got {inner}"
    );
    assert!(refusal("{{ models[7] }}").contains("is not defined"), "got {}", refusal("{{ models[7] }}"));
}

#[test]
fn a_missing_name_is_reported_with_the_way_to_it() {
    let scope =
        scope(json!({"a": "{{ b }}", "b": "{{ c }}-x", "c": {"k": "{{ nowhere }}"}, "d": "{{ c.k }}"}));
    assert_eq!(
        render(&scope, "d").unwrap_err().to_string(),
        "`nowhere` is not defined, but needed by `c.k` (order.yml:3), used by `d`; set it, or write `nowhere | \
         default(…)`"
    );
    let error = render(&scope, "a").unwrap_err().to_string();
    assert!(error.contains("needed by `c.k` (order.yml:3), used by `b`, used by `a`"), "got {error}");
}

#[test]
fn circles_are_named() {
    let scope = scope(json!({
        "a": "{{ b }}", "b": "x{{ c }}", "c": "{{ a | default('x') }}", "self": "{{ self }}",
        "m": {"x": "{{ m.y }}", "y": "{{ m['x'] }}"},
    }));
    for (name, expected) in [
        ("a", "`a` → `b` → `c` → `a` (order.yml:1)"),
        ("self", "`self` → `self` (order.yml:4)"),
        ("m", "`m.x` → `m.y` → `m.x` (order.yml:5)"),
    ] {
        let error = render(&scope, name).unwrap_err().to_string();
        assert_eq!(error, format!("variables refer to each other in a circle: {expected}"));
    }
}

#[test]
fn what_only_ansible_can_do_is_said_so() {
    for (template, expected) in [
        ("{{ guid | ipaddr }}", "filter ipaddr in `asked`"),
        ("{{ guid is match('t') }}", "test match in `asked`"),
        ("{{ now() }}", "`now` is not defined"),
        ("{{ lookup('file', '/etc/passwd') }}", "lookup('file') in `asked`"),
        ("{{ query('pipe', 'id') }}", "lookup('pipe') in `asked`"),
        ("{{ lookup('password', '/dev/null length=8') }}", "another password at every reading"),
        ("{{ lookup('unvault_string', 'x') }}", "encrypted by ansible-vault"),
        ("$ANSIBLE_VAULT;1.1;AES256\n61", "encrypted by ansible-vault"),
        ("{{ guid", "cannot be parsed"),
        ("{{ guid | }}", "cannot be parsed"),
        ("{% if guid %}", "cannot be parsed"),
        ("{{ 1 / 0 }}", "failed"),
    ] {
        let error = refusal(template);
        assert!(error.contains(expected), "{template}: {error}");
    }
}

#[test]
fn values_are_rendered_only_when_asked_for() {
    let scope = scope(
        json!({"bad": "{{ nowhere }}", "good": "{{ map.fine }}", "map": {"fine": 1, "bad": "{{ bad }}"}}),
    );
    assert_eq!(render(&scope, "good"), Ok(Some(json!(1))));
    assert_eq!(render(&scope, "map.fine"), Ok(Some(json!(1))));
    assert_eq!(render(&scope, "map.none"), Ok(None));
    assert_eq!(render(&scope, "none"), Ok(None));
    assert!(render(&scope, "map").is_err(), "the whole map needs its broken part");
}

#[test]
fn secret_values_do_not_leak_into_parser_messages() {
    let scope = scope(json!({"litellm_master_key": "{{ hunter2 hunter3 }}"}));
    let error = render(&scope, "litellm_master_key").unwrap_err().to_string();
    assert!(!error.contains("hunter"), "got {error}");
}

#[test]
fn endless_and_huge_templates_are_stopped() {
    let mut variables = serde_json::Map::new();
    variables.insert("v0".to_owned(), json!("0123456789".repeat(10)));
    for level in 1..30 {
        let below = format!("{{{{ v{} }}}}", level - 1);
        variables.insert(format!("v{level}"), json!(below.repeat(4)));
    }
    for level in 0..100 {
        variables.insert(format!("deep{level}"), json!(format!("{{{{ deep{} }}}}x", level + 1)));
    }
    let scope = scope(Value::Object(variables));
    let error = |name: &str| render(&scope, name).unwrap_err().to_string();
    assert!(error("v29").contains("too much"), "got {}", error("v29"));
    assert!(error("deep0").contains("too deep"), "got {}", error("deep0"));
    let endless = refusal("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}");
    assert!(endless.contains("too much"), "got {endless}");
}

proptest::proptest! {
    #[test]
    fn garbage_never_panics(parts in proptest::collection::vec(
        proptest::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", "|", "(", ")", "[", "]", ":", ".", ",", "'", "\"", " ", "guid",
            "gitea", "nowhere", "default", "int", "hash", "b64encode", "ternary", "omit", "lookup", "'env'",
            "if", "else", "for", "in", "is", "defined", "not", "1", "-1", "0", "999999999999", "~", "+", "-",
            "*", "/", "//", "%", "**", "==", "x", "é", "set", "=", "base=16", "true", "none", "models", "range",
        ]), 0..24))
    {
        let template = parts.concat();
        let _ = rendered(&template);
        let _ = rendered(&format!("{{{{ {template} }}}}"));
    }
}
