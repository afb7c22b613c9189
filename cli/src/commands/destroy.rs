//! `tenant destroy`.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, ready};
use tenant_workflow::{
    plan::{Plan, Selection},
    report::{Ended, Report},
    step::{Failure, Step, StepError},
};

use super::many::{self, Ended as Outcome};
use crate::{
    args::DestroyArgs,
    cluster::Cluster,
    exit::ExitCode,
    facts::Facts,
    names::Findings,
    opening::{Purpose, Reached, Read, Workplace},
    order::workloads::Direction,
    problem::Problem,
    record::Record,
    services::litellm::LiteLlm,
    settings::Settings,
    steps::litellm_key::{LiteLlmKey, Parts},
    user_data::UserData,
};

/// Removes tenants, whatever state they are in.
///
/// # Errors
///
/// Whatever keeps the run from starting; what is left behind is told by its events and the exit code.
pub async fn destroy(workplace: &Workplace, args: &DestroyArgs) -> Result<ExitCode, Problem> {
    let guids = many::guids(&args.change.tenants)?;
    if let [] | [_] = guids.as_slice() {
        return Ok(one(workplace, args, guids.first().map(String::as_str)).await?.code);
    }
    let args = Arc::new(args.clone());
    let work = |workplace: Workplace, guid: String| {
        let args = Arc::clone(&args);
        async move { one(&workplace, &args, Some(&guid)).await }
    };
    Ok(many::each(workplace, &guids, args.change.tenants.parallel, work).await)
}

async fn one(workplace: &Workplace, args: &DestroyArgs, guid: Option<&str>) -> Result<Outcome, Problem> {
    let read = workplace.read(guid, &args.change.order, args.change.run.recipe.as_ref())?;
    let results =
        super::results::Results::prepare(workplace, &args.change.results, &read.vars, "destroy", &read.guid)?;
    let ended = match workplace.reach(&args.change.cluster, &read.vars).await? {
        (_, Reached::Cluster(cluster)) => {
            destroy_on(workplace, args, &read, cluster.patient(args.change.run.wait_timeout)).await?
        }
        (access, Reached::Gone(error)) => {
            let lost =
                if error.is_unauthorized() { "knows our token no more" } else { "does not exist any more" };
            workplace.printer.warning(&format!(
                "{} {lost}: nothing is removed there; what is left goes with the cluster",
                access.describe()
            ));
            destroy_without(workplace, args, &read).await?
        }
    };
    results.write(&UserData::default())?;
    workplace.account(Some(&read.guid));
    Ok(ended)
}

async fn destroy_on(
    workplace: &Workplace,
    args: &DestroyArgs,
    read: &Read,
    cluster: Cluster,
) -> Result<Outcome, Problem> {
    let lease = super::take_lease(workplace, &cluster, read, "destroy", &args.change).await?;
    let ended = run(workplace, args, read, cluster).await;
    super::give_back(workplace, lease).await;
    ended
}

async fn run(
    workplace: &Workplace,
    args: &DestroyArgs,
    read: &Read,
    cluster: Cluster,
) -> Result<Outcome, Problem> {
    let opened = workplace.open(read, cluster.clone(), &args.change.cluster, Purpose::Destroy).await?;
    if args.force_finalizers {
        super::force::finalizers(&cluster, &opened.tenant.selector(), &workplace.printer).await?;
    }
    let selection =
        super::selection(workplace, &opened.vars, &args.change.order, &args.change.run, Direction::Destroy)?;
    let plan = super::plan_of(read, &opened.ingredients, &selection)?;
    let report = super::run_of(workplace, &read.guid, &args.change.run).destroy(&plan).await;
    let mut failure = report.worst_failure();
    let (left, gone): (Vec<_>, Vec<_>) =
        report.steps.iter().partition(|step| step.ending.failure().is_some());
    let ids = |steps: Vec<&Ended>| steps.into_iter().map(|step| step.step).collect::<Vec<_>>();
    opened.tenant.record.forget(ids(gone).into_iter(), ids(left).into_iter()).await?;
    // a step that failed left its objects behind, whatever its own reason; only a stop from outside is told apart
    if let Some(Failure::TimedOut | Failure::Service | Failure::Internal) = failure
        && !only_service(&report)
    {
        failure = Some(Failure::Leftover);
    }
    Ok(Outcome::of(&report, super::exit(failure)))
}

/// Whether all that failed is outside of the cluster (the virtual key).
fn only_service(report: &Report) -> bool {
    report.steps.iter().filter(|step| step.ending.failure().is_some()).all(|step| step.step == "litellm-key")
}

/// What can be removed when the cluster is gone: the virtual key. (agnosticd-compat.md 8 #15: upstream leaks
/// it here.)
async fn destroy_without(workplace: &Workplace, args: &DestroyArgs, read: &Read) -> Result<Outcome, Problem> {
    let settings = Settings::read(&read.vars, &read.guid, &read.recipe, &Findings::default())?;
    let Some((url, key)) = settings.litellm_key.proxy() else {
        workplace.printer.warning(
            "the order does not say where LiteLLM is: a virtual key, if any, lives on until it expires",
        );
        return Ok(Outcome { code: ExitCode::Done, why: String::new() });
    };
    let web = workplace.web(&args.change.cluster, &settings, "")?;
    let litellm = LiteLlm::new(web.litellm(url), key.clone());
    let record = Record::open(None, None, &settings.names, Arc::clone(&workplace.redactor))?;
    let parts = Arc::new(Remains { record, facts: Facts::default() });
    let (guid, alias) = (settings.names.guid().as_str(), settings.names.key_alias());
    let step = LiteLlmKey::new(parts, Some(litellm), settings.litellm_key.clone(), guid, alias);
    let steps: Vec<Arc<dyn Step>> = vec![Arc::new(step)];
    let plan = Plan::new(steps, &Selection::default())?;
    let report = super::run_of(workplace, &read.guid, &args.change.run).destroy(&plan).await;
    Ok(Outcome::of(&report, super::exit(report.worst_failure())))
}

/// What is left of a tenant whose cluster is gone.
struct Remains {
    record: Record,
    facts: Facts,
}

impl Parts for Remains {
    fn record(&self) -> &Record {
        &self.record
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn key_in_use(&self) -> BoxFuture<'_, Result<bool, StepError>> {
        ready(Ok(false)).boxed()
    }
}
