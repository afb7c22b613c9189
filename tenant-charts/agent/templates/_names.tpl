{{- /* Where failed runs are reported. */}}
{{- define "agent.endpoint" -}}
{{- .Values.agent_endpoint | default (printf "http://%s.%s.svc:%d/report-failure" (include "workload.name" .) (include "workload.namespace" .) (int .Values.agentConfig.port)) -}}
{{- end }}

{{- /* "true" when the Pipeline is wanted and can be had. */}}
{{- define "agent.pipeline" -}}
{{- $wanted := .Values.pipeline.enabled | toString -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") (.Capabilities.APIVersions.Has "tekton.dev/v1")) -}}
true
{{- end -}}
{{- end }}

{{- /* "true" when the tasks are those of OpenShift Pipelines. */}}
{{- define "agent.clusterTasks" -}}
{{- $tasks := .Values.pipeline.tasks -}}
{{- if or (eq $tasks "cluster") (and (eq $tasks "auto") (include "workload.openshift" .)) -}}
true
{{- end -}}
{{- end }}

{{- /* Image the pipeline builds, without tag; no registry, no push. */}}
{{- define "agent.built" -}}
{{- $registry := .Values.registry -}}
{{- if eq $registry "auto" -}}
{{- $registry = include "workload.openshift" . | empty | ternary "" "image-registry.openshift-image-registry.svc:5000" -}}
{{- end -}}
{{- printf "%s/%s/%s" ($registry | default "localhost") (include "workload.namespace" .) (include "workload.name" .) -}}
{{- end }}

{{- /* Service account of pipeline runs. OpenShift Pipelines makes `pipeline`, with the SCC that building needs. */}}
{{- define "agent.pipeline.account" -}}
{{- if .Values.pipeline.serviceAccount -}}
{{ .Values.pipeline.serviceAccount }}
{{- else if include "agent.clusterTasks" . -}}
pipeline
{{- else -}}
{{ .Values.pipeline.name }}
{{- end -}}
{{- end }}
