//! "Did you mean": the nearest known word to a mistyped one.

use std::collections::BTreeMap;

/// Containerfile instructions (containers/buildah `docs/containerfile.5`).
const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Python packages that service code asks for most; for typing slips only, not a registry.
const PACKAGES: &[&str] = &[
    "aiohttp",
    "ansible",
    "anthropic",
    "beautifulsoup4",
    "boto3",
    "celery",
    "click",
    "cryptography",
    "django",
    "fastapi",
    "flask",
    "gunicorn",
    "httpx",
    "jinja2",
    "jsonschema",
    "kubernetes",
    "langchain",
    "litellm",
    "matplotlib",
    "mcp",
    "numpy",
    "openai",
    "pandas",
    "pillow",
    "psycopg2",
    "psycopg2-binary",
    "pydantic",
    "pytest",
    "pytest-asyncio",
    "python-dotenv",
    "pyyaml",
    "redis",
    "requests",
    "scikit-learn",
    "scipy",
    "setuptools",
    "sqlalchemy",
    "starlette",
    "tensorflow",
    "torch",
    "tqdm",
    "transformers",
    "urllib3",
    "uvicorn",
    "wheel",
];

/// A better spelling for what the signature complains of, if one is near.
pub(super) fn for_signature(id: &str, variables: &BTreeMap<String, String>) -> Option<&'static str> {
    match id {
        "containerfile-unknown-instruction" => {
            nearest(&variables.get("token")?.to_ascii_uppercase(), INSTRUCTIONS)
        }
        "pip-no-such-package" => {
            let package = variables.get("package")?.to_ascii_lowercase();
            let bare = package.split('[').next().unwrap_or(&package);
            nearest(bare, PACKAGES).filter(|better| *better != bare)
        }
        _ => None,
    }
}

/// The nearest word within a third of its length (Damerau-Levenshtein distance).
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(word, k), *k))
        .filter(|(distance, k)| *distance <= (k.len() / 3).max(1))
        .min()
        .map(|(_, k)| k)
}
