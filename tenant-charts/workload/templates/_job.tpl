{{- /* A Job that is an ordinary resource and no hook, so that Argo CD counts it into the Application's health. The
template of a Job cannot be changed, so its name ends in a digest of all it is and all it reads: nothing new is the same
finished Job, anything new is a new one, and the old one is pruned. Context: root, component, name, spec, inputs (what the
Job depends on and its spec does not show). */}}
{{- define "workload.job" -}}
{{- $digest := list .spec .inputs | toJson | sha256sum | trunc 8 -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "workload.metadata" (merge (dict "name" (printf "%s-%s" .name $digest)) .) | nindent 2 }}
spec:
  {{- .spec | nindent 2 }}
{{- end }}
