//! The deterministic plan: from whatever a report names to everything a person would look at.
//!
//! Report, pod, `TaskRun`, `PipelineRun`, failed steps, their logs in every attempt, events; where the
//! failure lies in another pod (a rollout), that pod. Each read may fail; what is missing is written down.

use agent_mcp::CallError;
use futures::future::join_all;
use serde_json::Value;

use super::arrival::received;
use super::lookups::{self, Lookup};
use super::objects::{self, FailedStep};
use super::{Evidence, Source};
use crate::cluster::{Cluster, Kind};
use crate::lines::clip;
use crate::redact::Redactor;
use crate::report::Report;
use crate::rules::Category;

/// Lines asked for of the failing step, and of steps of earlier attempts.
const TAIL: u32 = 20_000;
const TAIL_EARLIER: u32 = 2_000;
/// Pods of the application that are followed after a failed rollout.
const FOLLOWED: usize = 3;

/// Why there is no evidence at all.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The cluster cannot be read at the moment: worth another try.
    #[error("read the cluster")]
    Unavailable(#[source] CallError),
    /// The namespace or its objects may not be read, or nothing failed there.
    #[error("{0}")]
    Nothing(String),
}

/// Collect. Everything that ends up in the evidence is redacted.
pub async fn collect(
    cluster: Cluster<'_>,
    report: &Report,
    redactor: &mut Redactor,
) -> Result<Evidence, PlanError> {
    let mut plan = Plan { cluster, evidence: Evidence::default(), redactor, stale: false };
    plan.facts_of(report);
    let mut pod = plan.pod(&report.pod_name).await?;
    let task_run = plan.task_run(report, pod.as_ref()).await?;
    if plan.stale {
        // What an older run's pod says is no evidence about this one.
        plan.evidence
            .items
            .retain(|i| !matches!(&i.source, Source::Status { object, .. } if object == "Pod"));
        pod = None;
    }
    if pod.is_none() && task_run.is_none() {
        let pipeline_run = plan.pipeline_run(report.pipeline_run.clone()).await;
        let reason = plan.evidence.missing.join("; ");
        if pipeline_run.is_none() && plan.events(&[]).await == 0 {
            return Err(PlanError::Nothing(format!("nothing failed in {}: {reason}", cluster.namespace())));
        }
        plan.look_up().await;
        plan.redact_facts();
        return Ok(plan.evidence);
    }
    let run_name = task_run.as_ref().and_then(|t| label(t, "tekton.dev/pipelineRun"));
    let run_name = run_name.or_else(|| pod.as_ref().and_then(|p| label(p, "tekton.dev/pipelineRun")));
    plan.pipeline_run(run_name.clone().or_else(|| report.pipeline_run.clone())).await;
    let steps = plan.steps(task_run.as_ref(), pod.as_ref(), report);
    plan.logs(&steps).await?;
    let about: Vec<String> = [run_name, plan.evidence.run.task_run.clone(), plan.evidence.run.pod.clone()]
        .into_iter()
        .flatten()
        .collect();
    plan.events(&about).await;
    plan.follow_rollout().await;
    plan.look_up().await;
    plan.redact_facts();
    Ok(plan.evidence)
}

struct Plan<'a, 'r> {
    cluster: Cluster<'a>,
    evidence: Evidence,
    redactor: &'r mut Redactor,
    /// The reported pod belongs to an older run than the one that is diagnosed.
    stale: bool,
}

impl Plan<'_, '_> {
    fn facts_of(&mut self, report: &Report) {
        let run = &mut self.evidence.run;
        run.namespace = Some(self.cluster.namespace().to_owned());
        run.pod = Some(report.pod_name.clone()).filter(|p| !p.is_empty());
        run.git_url.clone_from(&report.git_url);
        run.git_revision.clone_from(&report.git_revision);
        run.commit.clone_from(&report.commit);
        run.run_url.clone_from(&report.run_url);
    }

    /// The reported pod, if it exists. Only a server that cannot be reached ends the plan.
    async fn pod(&mut self, name: &str) -> Result<Option<Value>, PlanError> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.cluster.pod(name).await {
            Ok(pod) => {
                let pod = received(pod, self.redactor);
                self.status("Pod", name, &objects::pod_lines(&pod));
                Ok(Some(pod))
            }
            Err(error) => {
                self.note_missing(&format!("pod {name}"), error)?;
                Ok(None)
            }
        }
    }

    /// The `TaskRun` of the pod, or the named one, or the newest failed one of the namespace.
    async fn task_run(&mut self, report: &Report, pod: Option<&Value>) -> Result<Option<Value>, PlanError> {
        let of_pod = pod.and_then(|p| label(p, "tekton.dev/taskRun"));
        let mut candidates: Vec<String> = report.task_run.clone().or(of_pod).into_iter().collect();
        // The caller picks the pod with a pipe of grep and awk: it may be yesterday's.
        match self.cluster.names(Kind::TaskRun, &["False"]).await {
            Ok(names) => candidates.extend(names.into_iter().rev().take(12)),
            Err(error) => self.note_missing("the list of TaskRuns", error)?,
        }
        candidates.dedup();
        let read = join_all(candidates.iter().map(|name| self.cluster.task_run(name))).await;
        let mut found = Vec::new();
        for (name, result) in candidates.iter().zip(read) {
            match result {
                Ok(run) => found.push(received(run, self.redactor)),
                Err(error) => self.note_missing(&format!("TaskRun {name}"), error)?,
            }
        }
        let of_run = report.pipeline_run.as_deref();
        if let Some(wanted) = of_run {
            found.retain(|t| label(t, "tekton.dev/pipelineRun").as_deref() == Some(wanted));
        }
        let named = report.task_run.as_deref().or(of_run).is_some();
        let newest = found.iter().max_by_key(|t| objects::finished(t)).cloned();
        let chosen = match (found.first().cloned(), newest) {
            (Some(first), Some(newest)) if !named && pod.is_some() && objects::newer(&newest, &first) => {
                let note = format!(
                    "The report names pod {}, which belongs to an older run. This is the diagnosis of the newest failed run.",
                    report.pod_name
                );
                self.evidence.notes.push(note);
                self.stale = true;
                self.evidence.run.pod = None;
                Some(newest)
            }
            (Some(first), _) if pod.is_some() || report.task_run.is_some() => Some(first),
            (_, newest) => newest,
        };
        if let Some(run) = &chosen {
            objects::task_run_facts(run, &mut self.evidence.run);
            let name = name_of(run);
            self.status("TaskRun", &name, &objects::task_run_lines(run));
        }
        Ok(chosen)
    }

    async fn pipeline_run(&mut self, name: Option<String>) -> Option<()> {
        let name = name?;
        match self.cluster.pipeline_run(&name).await {
            Ok(run) => {
                let run = received(run, self.redactor);
                objects::pipeline_run_facts(&run, &mut self.evidence.run);
                self.status("PipelineRun", &name, &objects::pipeline_run_lines(&run));
                Some(())
            }
            Err(error) => {
                self.evidence
                    .missing
                    .push(format!("PipelineRun {name}: {}", self.redactor.text(&error.to_string())));
                None
            }
        }
    }

    /// Failed steps, last attempt first. The reported container is a hint for pods without a `TaskRun`.
    fn steps(&mut self, task_run: Option<&Value>, pod: Option<&Value>, report: &Report) -> Vec<FailedStep> {
        let mut steps = task_run.map(objects::failed_steps).unwrap_or_default();
        if steps.is_empty()
            && let Some(pod) = pod
        {
            steps = objects::failed_containers(pod, report.container_name.as_deref());
        }
        if let Some(hint) = report.container_name.as_deref()
            && !steps.is_empty()
            && !steps.iter().any(|s| s.container == hint)
        {
            let note =
                format!("The report names container {hint}; the failing one is {}.", steps[0].container);
            self.evidence.notes.push(note);
        }
        if steps.is_empty() {
            self.evidence.missing.push("a log: no step of the task ever ran".to_owned());
        }
        if let Some(first) = steps.first() {
            let run = &mut self.evidence.run;
            run.pod = Some(first.pod.clone());
            run.container = Some(first.container.clone());
            run.step = first.container.strip_prefix("step-").map(str::to_owned).or_else(|| run.step.clone());
            run.exit_code = first.exit_code.or(run.exit_code);
        }
        steps
    }

    /// A server that is away ends the plan: without its log a failure is hardly ever understood.
    async fn logs(&mut self, steps: &[FailedStep]) -> Result<(), PlanError> {
        let last = steps.iter().map(|s| s.attempt).max().unwrap_or(1);
        let cluster = self.cluster;
        let tail = |s: &FailedStep| if s.attempt == last { TAIL } else { TAIL_EARLIER };
        let read = join_all(steps.iter().map(|s| cluster.log(&s.pod, &s.container, tail(s), false))).await;
        for (step, result) in steps.iter().zip(read) {
            if let Err(error @ CallError::Connect { .. }) = result {
                return Err(PlanError::Unavailable(error));
            }
            self.log(step, result, false);
            if step.restarted {
                let result = cluster.log(&step.pod, &step.container, TAIL, true).await;
                self.log(step, result, true);
            }
        }
        self.compare_attempts(last);
        Ok(())
    }

    fn log(&mut self, step: &FailedStep, result: Result<String, CallError>, previous: bool) {
        let (pod, container) = (step.pod.clone(), step.container.clone());
        match result {
            Ok(text) => {
                if text.is_empty() {
                    self.evidence.missing.push(format!("the log of {pod}/{container} is empty"));
                }
                let source = Source::Log { pod, container, attempt: step.attempt, previous };
                self.evidence.add_log(source, text.as_bytes(), self.redactor);
            }
            Err(error) => {
                let why = self.redactor.text(&error.to_string());
                self.evidence.missing.push(format!("log of {pod}/{container}: {why}"));
            }
        }
    }

    /// Whether all attempts fail alike tells a defect from an accident.
    fn compare_attempts(&mut self, last: u32) {
        if last < 2 {
            return;
        }
        let mut causes = Vec::new();
        for attempt in 1..=last {
            let hits: Vec<_> = self
                .evidence
                .items
                .iter()
                .filter(|i| matches!(i.source, Source::Log { attempt: a, .. } if a == attempt))
                .flat_map(|i| &i.hits)
                .cloned()
                .collect();
            if let Some(best) = crate::rules::best(&hits).first() {
                causes.push(best.signature.clone());
            }
        }
        let same = causes.windows(2).all(|w| w[0] == w[1]);
        self.evidence.notes.push(match (same, causes.len()) {
            (_, 0) => format!("{last} attempts failed; no log tells why."),
            (true, n) => format!(
                "{last} attempts failed, {n} of them visibly in the same way: running it again will not help."
            ),
            (false, _) => format!(
                "The {last} attempts failed in different ways ({}): an accident is likely, try again.",
                causes.join(", ")
            ),
        });
    }

    /// Events that concern the run; all warnings of the namespace when nothing is known. Returns how many.
    async fn events(&mut self, about: &[String]) -> usize {
        let events = match self.cluster.events().await {
            Ok(events) => events.into_iter().map(|event| received(event, self.redactor)).collect::<Vec<_>>(),
            Err(error) => {
                self.evidence.missing.push(format!("events: {}", self.redactor.text(&error.to_string())));
                return 0;
            }
        };
        let lines = objects::event_lines(&events, about);
        if !lines.is_empty() {
            let source = Source::Events { namespace: self.cluster.namespace().to_owned() };
            self.evidence.add_log(source, lines.join("\n").as_bytes(), self.redactor);
        }
        lines.len()
    }

    /// A rollout that does not finish fails in another pod: look at the application's own.
    async fn follow_rollout(&mut self) {
        let rollout = self
            .evidence
            .items
            .iter()
            .flat_map(|i| &i.hits)
            .any(|h| h.record().is_some_and(|r| r.category == Category::Rollout));
        if !rollout {
            return;
        }
        let Ok(names) = self.cluster.names(Kind::Pod, &[]).await else { return };
        let own = self.evidence.run.pod.clone();
        let pods =
            join_all(names.iter().filter(|n| Some(*n) != own.as_ref()).take(40).map(|n| self.cluster.pod(n)))
                .await;
        let sick: Vec<_> =
            pods.into_iter().flatten().filter(objects::is_sick_application).take(FOLLOWED).collect();
        for pod in sick {
            let pod = received(pod, self.redactor);
            let name = name_of(&pod);
            self.status("Pod", &name, &objects::pod_lines(&pod));
            for step in objects::failed_containers(&pod, None) {
                let mut previous = step.restarted;
                let mut result = self.cluster.log(&step.pod, &step.container, TAIL, previous).await;
                // The node may not have kept it; what is there now may have failed in the same way.
                if previous && !matches!(&result, Ok(text) if !text.is_empty()) {
                    previous = false;
                    result = self.cluster.log(&step.pod, &step.container, TAIL, previous).await;
                }
                self.log(&step, result, previous);
            }
            self.evidence.notes.push(format!(
                "The rollout waits for pod {name}, which is not healthy; its state and log are included."
            ));
        }
    }

    /// Objects that what was found makes worth a look. What cannot be read is noted: its absence tells, too.
    async fn look_up(&mut self) {
        let cluster = self.cluster;
        let mut wanted = lookups::wanted(&self.evidence);
        let mut done: Vec<Lookup> = Vec::new();
        while let Some(lookup) = wanted.pop().filter(|_| done.len() < lookups::MOST) {
            if done.contains(&lookup) {
                continue;
            }
            done.push(lookup.clone());
            let Some((api_version, kind, name)) = lookup.object() else {
                let listed = match lookup {
                    Lookup::PendingClaims => cluster.names(Kind::PersistentVolumeClaim, &["Pending"]).await,
                    _ => cluster.names(Kind::LimitRange, &[]).await,
                };
                let named = |name: String| match lookup {
                    Lookup::PendingClaims => Lookup::Claim(name),
                    _ => Lookup::LimitRange(name),
                };
                wanted.extend(listed.unwrap_or_default().into_iter().take(3).map(named));
                continue;
            };
            let read = match lookup {
                Lookup::StorageClass(_) => cluster.object_of_cluster(api_version, kind, name).await,
                _ => cluster.object(api_version, kind, name).await,
            };
            match read.map(|object| lookups::seen(&lookup, &received(object, self.redactor))) {
                Ok(Some(seen)) => {
                    self.status(kind, name, &seen.lines);
                    let note = self.redactor.text(&seen.note);
                    self.evidence.notes.push(note);
                    wanted.extend(seen.next);
                }
                Ok(None) => {}
                Err(error) => {
                    let why = clip(&self.redactor.text(&error.to_string()), 300);
                    self.evidence.missing.push(format!("{kind} {name}: {why}"));
                }
            }
        }
    }

    /// Facts are shown and sent like everything else: addresses and parameters may carry credentials.
    fn redact_facts(&mut self) {
        let Self { evidence, redactor, .. } = self;
        let run = &mut evidence.run;
        for fact in
            [&mut run.git_url, &mut run.git_revision, &mut run.commit, &mut run.message, &mut run.run_url]
                .into_iter()
                .flatten()
                .chain(run.params.values_mut())
        {
            *fact = redactor.text(fact);
        }
        evidence.redactions = redactor.counts().iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    }

    fn status(&mut self, object: &str, name: &str, lines: &[String]) {
        let source = Source::Status { object: object.to_owned(), name: name.to_owned() };
        self.evidence.add_log(source, lines.join("\n").as_bytes(), self.redactor);
    }

    /// A tool that fails is a gap; a server that cannot be reached ends the plan, to be tried again.
    fn note_missing(&mut self, what: &str, error: CallError) -> Result<(), PlanError> {
        match error {
            CallError::Tool(why) => {
                // Cut short last: half a secret is not recognised as one.
                let why = clip(&self.redactor.text(&why), 300);
                self.evidence.missing.push(format!("{what}: {why}"));
                Ok(())
            }
            CallError::Missing { .. } | CallError::Argument { .. } => {
                self.evidence.missing.push(format!("{what}: the MCP server has no tool for it"));
                Ok(())
            }
            other => Err(PlanError::Unavailable(other)),
        }
    }
}

fn label(object: &Value, name: &str) -> Option<String> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str().map(str::to_owned)
}

fn name_of(object: &Value) -> String {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}
