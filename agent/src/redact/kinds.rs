//! The kinds of secret we know, as data.
//!
//! Each kind has a *needle*, a literal that must occur, and a pattern anchored at it. One automaton finds
//! all needles in one pass; a pattern runs only where its needle stands, over a bounded window, so the
//! cost stays linear in the text whatever the text contains. Prefixes come from the issuers' own
//! documentation (GitHub, GitLab, Slack, Stripe and so on publish theirs for exactly this use).

/// One kind of secret.
#[derive(Debug)]
pub(super) struct Kind {
    /// Name in the placeholder and in metrics.
    pub(super) name: &'static str,
    /// Literals, compared without case; any of them starts a look at the pattern.
    pub(super) needles: &'static [&'static str],
    /// Pattern, matched at the needle. The group `s` is what is removed; without one, the whole match.
    pub(super) pattern: &'static str,
    /// What stands before the needle.
    pub(super) before: Before,
    /// Whether the value still has to look like a secret ([`super::plausible`]): for patterns that rest
    /// on a name such as `password` and not on the shape of the value.
    pub(super) judge: bool,
}

/// Condition on the character before the needle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Anything: the needle may be the end of a longer name (`DB_PASSWORD`).
    Any,
    /// Not a letter, digit, `_` or `-`: the needle starts a token.
    Edge,
}

const fn token(name: &'static str, needles: &'static [&'static str], pattern: &'static str) -> Kind {
    Kind { name, needles, pattern, before: Before::Edge, judge: false }
}

const fn within(name: &'static str, needles: &'static [&'static str], pattern: &'static str) -> Kind {
    Kind { name, needles, pattern, before: Before::Any, judge: false }
}

const fn named(name: &'static str, needles: &'static [&'static str], pattern: &'static str) -> Kind {
    Kind { name, needles, pattern, before: Before::Any, judge: true }
}

/// Order is precedence: where two kinds match at one place, the first names the secret.
pub(super) const KINDS: &[Kind] = &[
    // Key material.
    within(
        "private-key",
        &["-----begin "],
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    token("age-key", &["age-secret-key-1"], r"(?i)AGE-SECRET-KEY-1[0-9A-Z]{40,80}"),
    // Source forges.
    token("github-token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"gh[pousr]_[A-Za-z0-9]{30,}"),
    token("github-fine-grained", &["github_pat_"], r"github_pat_[A-Za-z0-9_]{40,}"),
    token(
        "gitlab-token",
        &["glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "gloas-"],
        r"gl(?:pat|ptt|dt|rt|cbt|oas)-[A-Za-z0-9_.\-]{18,}",
    ),
    within(
        "gitea-token",
        &["authorization: token ", "authorization\":\"token ", "authorization\": \"token "],
        r#"(?i)authorization"?: ?"?token (?P<s>[^\s"',;]{6,})"#,
    ),
    // Clusters and clouds.
    token("openshift-token", &["sha256~"], r"sha256~[A-Za-z0-9_\-]{30,60}"),
    token("jwt", &["eyj"], r"eyJ[A-Za-z0-9_\-]{8,}\.(?:eyJ)?[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"),
    token("aws-access-key-id", &["akia", "asia", "abia"], r"A(?:KIA|SIA|BIA)[A-Z2-7]{16}\b"),
    named(
        "aws-secret-key",
        &["aws_secret_access_key", "secretaccesskey", "secret_access_key"],
        r#"(?i)(?:aws_)?secret_?access_?key["']?\s{0,3}(?:=|:)\s{0,3}["']?(?P<s>[A-Za-z0-9/+=]{30,80})"#,
    ),
    named(
        "aws-session-token",
        &["aws_session_token", "sessiontoken"],
        r#"(?i)(?:aws_session_token|sessiontoken)["']?\s{0,3}(?:=|:)\s{0,3}["']?(?P<s>[A-Za-z0-9/+=]{30,})"#,
    ),
    token("google-api-key", &["aiza"], r"AIza[0-9A-Za-z_\-]{30,45}"),
    token("google-oauth-token", &["ya29."], r"ya29\.[0-9A-Za-z_\-.]{20,}"),
    token("google-client-secret", &["gocspx-"], r"GOCSPX-[0-9A-Za-z_\-]{20,60}"),
    within(
        "azure-storage-key",
        &["accountkey=", "sharedaccesskey="],
        r"(?i)(?:AccountKey|SharedAccessKey)=(?P<s>[A-Za-z0-9+/=]{30,})",
    ),
    within("azure-sas", &["sig="], r"(?i)sig=(?P<s>(?:[A-Za-z0-9+/]|%[0-9A-F]{2}){30,}=?)"),
    token("digitalocean-token", &["dop_v1_", "doo_v1_"], r"do[op]_v1_[a-f0-9]{50,80}"),
    token("vault-token", &["hvs.", "hvb."], r"hv[sb]\.[A-Za-z0-9_\-]{20,}"),
    within("terraform-token", &[".atlasv1."], r"\.atlasv1\.[A-Za-z0-9_\-=]{40,}"),
    token("databricks-token", &["dapi"], r"dapi[a-f0-9]{32}(?:-\d)?\b"),
    token("alibaba-key-id", &["ltai"], r"LTAI[A-Za-z0-9]{12,30}\b"),
    // Models.
    token("anthropic-key", &["sk-ant-"], r"sk-ant-[A-Za-z0-9_\-]{20,}"),
    token("openai-key", &["sk-"], r"sk-(?:proj-|svcacct-|or-v1-)?[A-Za-z0-9_\-]{16,}"),
    token("huggingface-token", &["hf_"], r"hf_[A-Za-z0-9]{30,60}"),
    token("groq-key", &["gsk_"], r"gsk_[A-Za-z0-9]{40,60}"),
    // Registries and package indexes.
    within(
        "docker-config",
        &["\"auth\"", "\"identitytoken\""],
        r#"(?i)"(?:auth|identitytoken)"\s{0,4}:\s{0,4}"(?P<s>[A-Za-z0-9+/=_\-.]{8,})""#,
    ),
    token("docker-hub-token", &["dckr_pat_", "dckr_oat_"], r"dckr_[po]at_[A-Za-z0-9_\-]{20,60}"),
    token("npm-token", &["npm_"], r"npm_[A-Za-z0-9]{30,60}\b"),
    within("npm-auth", &["_authtoken=", "_auth="], r#"(?i)_auth(?:token)?=\s{0,2}"?(?P<s>[^\s"]{8,})"#),
    token("pypi-token", &["pypi-age"], r"pypi-AgE[A-Za-z0-9_\-]{40,}"),
    token("rubygems-key", &["rubygems_"], r"rubygems_[a-f0-9]{40,60}"),
    token("crates-token", &["cio"], r"cio[A-Za-z0-9]{32}\b"),
    token("nuget-key", &["oy2"], r"oy2[a-z0-9]{43}\b"),
    // Messaging and services.
    token(
        "slack-token",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-"],
        r"xox[bpars]-[A-Za-z0-9\-]{10,}|xapp-[A-Za-z0-9\-]{10,}",
    ),
    within(
        "slack-webhook",
        &["hooks.slack.com/"],
        r"hooks\.slack\.com/(?P<s>(?:services|workflows|triggers)/[A-Za-z0-9/_\-]{20,})",
    ),
    within("discord-webhook", &["/api/webhooks/"], r"/api/webhooks/(?P<s>\d{10,25}/[A-Za-z0-9_\-]{30,})"),
    within(
        "teams-webhook",
        &[".webhook.office.com/"],
        r"\.webhook\.office\.com/(?P<s>[A-Za-z0-9@/_\-]{30,})",
    ),
    token(
        "stripe-key",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
    ),
    token("stripe-webhook-secret", &["whsec_"], r"whsec_[A-Za-z0-9+/=]{20,80}"),
    token("sendgrid-key", &["sg."], r"SG\.[A-Za-z0-9_\-]{16,40}\.[A-Za-z0-9_\-]{30,60}"),
    token("mailgun-key", &["key-"], r"key-[0-9a-f]{32}\b"),
    token("shopify-token", &["shpat_", "shpss_", "shpca_", "shppa_"], r"shp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}"),
    token(
        "grafana-token",
        &["glsa_", "glc_"],
        r"(?:glsa_[A-Za-z0-9]{32}_[a-fA-F0-9]{8}|glc_[A-Za-z0-9+/=]{32,})",
    ),
    token("newrelic-key", &["nrak-", "nrra-"], r"NR(?:AK|RA)-[A-Za-z0-9]{27,42}"),
    token("postman-key", &["pmak-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    token("linear-key", &["lin_api_"], r"lin_api_[A-Za-z0-9]{32,48}"),
    token("twilio-key", &["sk"], r"SK[0-9a-f]{32}\b"),
    within("telegram-token", &[":aa"], r":(?P<s>AA[A-Za-z0-9_\-]{32,34})\b"),
    token("sentry-token", &["sntrys_", "sntryu_"], r"sntry[su]_[A-Za-z0-9+/=_]{30,}"),
    // Headers and addresses.
    within(
        "authorization-header",
        &["bearer ", "basic ", "negotiate "],
        r"(?i)(?:bearer|negotiate) {1,2}(?P<s>[A-Za-z0-9_\-.~+/=]{16,})|(?i)basic {1,2}(?P<s2>[A-Za-z0-9+/]{8,}={0,2})\b",
    ),
    within(
        "cookie",
        &["cookie:", "cookie\":"],
        r#"(?i)cookie"?:\s{0,3}"?(?P<s>[A-Za-z0-9_.\-]{1,80}=[^\r\n"]{6,})"#,
    ),
    within(
        "database-url",
        &[
            "postgres://",
            "postgresql://",
            "mysql://",
            "mariadb://",
            "mongodb://",
            "mongodb+srv://",
            "redis://",
            "rediss://",
            "amqp://",
            "amqps://",
            "sqlserver://",
        ],
        r#"(?i)[a-z+]{4,12}://[^\s:/@"'<>]{0,80}:(?P<s>[^\s@"'<>]+)@"#,
    ),
    within("url-password", &["://"], r#"://[^\s:/@"'<>]{0,80}:(?P<s>[^\s@/"'<>]+)@"#),
    within("url-user-token", &["://"], r"://(?P<s>[A-Za-z0-9_\-]{30,})@"),
    named(
        "query-token",
        &[
            "?token=",
            "&token=",
            "?access_token=",
            "&access_token=",
            "?api_key=",
            "&api_key=",
            "?apikey=",
            "&apikey=",
            "&x-amz-signature=",
            "&x-goog-signature=",
            "?key=",
            "&key=",
        ],
        r#"(?i)[?&][a-z_\-]{3,20}=(?P<s>[^\s&"'<>#]{12,})"#,
    ),
    // Names that announce a value.
    named(
        "password",
        &["password", "passwd", "passphrase", "pwd"],
        r#"(?i)(?:password|passwd|passphrase|pwd)["'\]]{0,2}\s{0,3}(?:=>|:=|=|:)\s{0,3}(?:"(?P<s>[^"\r\n]{3,})"|'(?P<s2>[^'\r\n]{3,})'|(?P<s3>[^\s"',;&]{3,}))"#,
    ),
    named(
        "cli-password",
        &["--password ", "--token ", "--api-key ", "--client-secret "],
        r#"(?i)--(?:password|token|api-key|client-secret) {1,3}["']?(?P<s>[^\s"']{6,})"#,
    ),
    within("sshpass", &["sshpass -p"], r#"(?i)sshpass -p ?["']?(?P<s>[^\s"']{3,})"#),
    within("docker-login", &["login -u "], r#"(?i)login -u {1,2}\S+ {1,2}-p {0,2}["']?(?P<s>[^\s"']{3,})"#),
    named(
        "netrc",
        &["machine "],
        r"(?i)machine\s{1,4}\S+\s{1,8}login\s{1,4}\S+\s{1,8}password\s{1,4}(?P<s>\S{3,})",
    ),
    token(
        "password-hash",
        &["$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$apr1$", "$argon2"],
        r"\$(?:2[aby]|5|6|y|apr1|argon2(?:id|i|d))\$[A-Za-z0-9./$=,+]{20,}",
    ),
    named(
        "named-secret",
        &[
            "token",
            "secret",
            "api_key",
            "apikey",
            "api-key",
            "access_key",
            "private_key",
            "client_key",
            "credential",
            "encryption_key",
            "signing_key",
            "master_key",
            "creds_key",
        ],
        r#"(?i)(?:token|secret|api[_-]?key|access_key|private_key|client_key|credentials?|(?:encryption|signing|master|creds)_key)(?:_(?:id|hash|value|base64))?["'\]]{0,2}\s{0,3}(?:=>|:=|=|:)\s{0,3}(?:"(?P<s>[^"\r\n]{8,})"|'(?P<s2>[^'\r\n]{8,})'|(?P<s3>[^\s"',;&]{8,}))"#,
    ),
];
