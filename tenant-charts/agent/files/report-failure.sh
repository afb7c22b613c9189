# Reports a failed PipelineRun to the agent. The name of the run is enough for our agent; pod and container are
# looked up for others, and left empty when they cannot be found (a task that never got a pod has none).
set -u

taskruns() {
  kubectl --namespace "$NAMESPACE" get taskruns.tekton.dev --selector "tekton.dev/pipelineRun=$PIPELINE_RUN" \
    --output jsonpath="$1" | head -n 1
}

quoted() {
  printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}

pod=$(taskruns '{range .items[?(@.status.conditions[0].status=="False")]}{.status.podName}{"\n"}{end}')
# the step that ended badly by itself: those after it are marked as skipped
container=$(taskruns '{range .items[*].status.steps[?(@.terminationReason=="Error")]}{.container}{"\n"}{end}')

set -- --fail --silent --show-error --max-time 130 --retry 8 --retry-delay 3 --retry-max-time 240 --retry-all-errors
if [ -f /etc/agent/token ]; then
  # in a file, because arguments can be read by every process of the pod
  printf 'Authorization: Bearer %s' "$(cat /etc/agent/token)" >/tmp/header
  set -- "$@" --header @/tmp/header
fi
echo "reporting $PIPELINE_RUN (pod ${pod:-unknown}, container ${container:-unknown}) to $ENDPOINT"
curl "$@" --header 'Content-Type: application/json' --data @- "$ENDPOINT" <<JSON
{"namespace":"$NAMESPACE","pod_name":"$pod","container_name":"$container","pipeline_run":"$PIPELINE_RUN",
 "git_url":"$(quoted "$GIT_REPO")","git_revision":"$(quoted "$GIT_REVISION")","idempotency_key":"$PIPELINE_RUN_UID"}
JSON
