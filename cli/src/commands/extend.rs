//! `tenant extend`: lets a tenant live longer (provisioning.md 5.5). The virtual key ends by itself at LiteLLM; the
//! record says the same for people and for whoever clears up.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenant_workflow::step::Failure;

use crate::{
    args::{self, ExtendArgs},
    cluster::Cluster,
    exit::ExitCode,
    lease::{Lease, Request},
    opening::{Opened, Purpose, Read, Workplace},
    order::Vars,
    problem::Problem,
    record::{self, Life},
    report::{json::Json, printer::Format},
    services::litellm::LiteLlm,
    steps::litellm_key,
};

/// How long a life is extended for when nobody says, as upstream's playbook does.
const DEFAULT: &str = "168h";
/// Ends this close together are the same: LiteLLM counts from when it is asked.
const CLOSE: SignedDuration = SignedDuration::from_secs(60);

/// What became of the virtual key.
enum Key {
    /// The tenant has none.
    None,
    /// It lives long enough already, or for ever.
    Enough,
    /// It lives longer now.
    Extended,
}

/// Lets a tenant live longer.
///
/// # Errors
///
/// A moment in the past, a guid without a tenant, and what a cluster or LiteLLM refuses.
pub async fn extend(workplace: &Workplace, args: &ExtendArgs) -> Result<ExitCode, Problem> {
    let read = workplace.read(args.tenant.guid.as_deref(), &args.order, None)?;
    let end = wanted(args, &read.vars, Timestamp::now())?;
    let cluster = workplace.connect(&args.cluster, &read.vars).await?;
    // a guid nobody has is told before anything is written, the Lease included
    if cluster.get(&record::location(&read.guid)).await?.is_none() {
        return Err(unknown(&read.guid));
    }
    let request =
        Request { guid: &read.guid, verb: "extend", patience: args.lock_timeout, found_namespace: false };
    let lease = Lease::take(&cluster, &request, &workplace.printer, workplace.cancel.clone()).await?;
    let code = run(workplace, args, &read, cluster, end).await;
    super::give_back(workplace, lease).await;
    code
}

async fn run(
    workplace: &Workplace,
    args: &ExtendArgs,
    read: &Read,
    cluster: Cluster,
    end: Timestamp,
) -> Result<ExitCode, Problem> {
    let opened = workplace.open(read, cluster, &args.cluster, Purpose::Destroy).await?;
    let record = &opened.tenant.record;
    if !opened.recorded {
        return Err(unknown(&read.guid));
    }
    if record.state().await == Life::Destroying {
        return Err(Problem::usage(format!("tenant {} is partly removed", read.guid))
            .hint(format!("finish that: tenant destroy --guid {}", read.guid)));
    }
    let before = record.end().await;
    let key = extend_key(&opened, end).await?;
    let longer = before.is_none_or(|before| before < end);
    if longer {
        record.extend(end).await?;
    }
    let ends = if longer { end } else { before.unwrap_or(end) };
    let changed = longer || matches!(key, Key::Extended);
    let alias = opened.tenant.names.key_alias();
    let told = match key {
        Key::None => "it has no virtual key".to_owned(),
        Key::Enough => format!("key {alias} lives long enough already"),
        Key::Extended => format!("key {alias} is extended"),
    };
    match workplace.printer.format() {
        Format::Json => {
            let data = json!({
                "ends": ends.to_string(),
                "before": before.map(|before| before.to_string()),
                "changed": changed,
                "key": matches!(key, Key::Enough | Key::Extended).then_some(alias),
                "key_changed": matches!(key, Key::Extended),
            });
            Json::new(workplace.printer.clone()).result("extend", Some(&read.guid), data);
        }
        Format::Text => {
            let word = if changed { "lives" } else { "lives already" };
            workplace.printer.data(&format!("{} {word} until {}", read.guid, ends.strftime("%F %T UTC")));
            workplace.printer.status(&told);
        }
    }
    workplace.account(Some(&read.guid));
    Ok(ExitCode::Done)
}

/// Brings the virtual key to live until `end` at least.
async fn extend_key(opened: &Opened, end: Timestamp) -> Result<Key, Problem> {
    let Some(id) = opened.tenant.record.identity(litellm_key::RECORDED).await else { return Ok(Key::None) };
    let settings = &opened.ingredients.settings.litellm_key;
    let Some((url, master_key)) = settings.proxy() else {
        let missing = settings.missing().unwrap_or_default();
        return Err(Problem::usage(format!("neither the order nor the record sets `{missing}`"))
            .hint("give it with -e @file, as provision was given it"));
    };
    let litellm = LiteLlm::new(opened.tenant.web.litellm(url), master_key.clone());
    let alias = opened.tenant.names.key_alias();
    let gone = || Problem {
        failure: Failure::Service,
        error: format!("LiteLLM knows no key {alias} (any more)").into(),
        hint: Some("`tenant provision` makes a new one".to_owned()),
    };
    let info = litellm.info(&id, alias).await.map_err(tenant_workflow::step::StepError::from)?;
    let info = info.ok_or_else(gone)?;
    let Some(seconds) = lacking(info.ends, end, Timestamp::now()) else { return Ok(Key::Enough) };
    let known = litellm.extend(&id, alias, seconds).await.map_err(tenant_workflow::step::StepError::from)?;
    if known { Ok(Key::Extended) } else { Err(gone()) }
}

/// How long from `now` a key must be given to live until `end`; nothing if it does (a key without an end lives for
/// ever).
fn lacking(ends: Option<Timestamp>, end: Timestamp, now: Timestamp) -> Option<u64> {
    let short = ends.is_some_and(|ends| end.duration_since(ends) > CLOSE);
    // LiteLLM counts whole seconds
    let seconds = u64::try_from(end.duration_since(now).as_secs()).unwrap_or_default() + 1;
    short.then_some(seconds)
}

/// When the life is to end.
fn wanted(args: &ExtendArgs, vars: &Vars, now: Timestamp) -> Result<Timestamp, Problem> {
    if let Some(until) = args.until {
        if until <= now {
            return Err(Problem::usage(format!("{until} is in the past"))
                .hint("a life is never shortened; `tenant destroy` ends it at once"));
        }
        return Ok(until);
    }
    let span = match args.span {
        Some(span) => span,
        None => of_order(vars)?,
    };
    let span = SignedDuration::try_from(span).map_err(Problem::usage)?;
    now.checked_add(span).map_err(Problem::usage)
}

fn of_order(vars: &Vars) -> Result<Duration, Problem> {
    let runtime = litellm_key::runtime(vars)?.unwrap_or_else(|| DEFAULT.to_owned());
    args::life(&runtime).map_err(|problem| {
        Problem::usage(format!("`agnosticd_user_info.runtime` is no number of hours: {problem}"))
            .hint("say how long with --for")
    })
}

fn unknown(guid: &str) -> Problem {
    Problem::usage(format!("there is no record of a tenant with guid {guid}"))
        .hint("`tenant list` tells which there are; `tenant provision` makes the record of one that lost it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_given_what_it_lacks() {
        let (now, end) = (at("2026-11-21T12:00:00Z"), at("2026-11-22T12:00:00Z"));
        assert_eq!(lacking(Some(at("2026-11-21T18:00:00Z")), end, now), Some(86_401));
        assert_eq!(lacking(Some(at("2026-11-20T18:00:00Z")), end, now), Some(86_401), "over already");
        assert_eq!(lacking(Some(at("2026-11-22T11:59:30Z")), end, now), None, "as good as the same");
        assert_eq!(lacking(Some(at("2026-12-24T00:00:00Z")), end, now), None, "longer already");
        assert_eq!(lacking(None, end, now), None, "for ever");
    }
}
