{{- /* "true" on OpenShift, else empty. OpenShift chooses the user of a pod itself and refuses fixed ones. */}}
{{- define "workload.openshift" -}}
{{- $known := .Values.platform | default "auto" -}}
{{- if eq $known "openshift" -}}
true
{{- else if and (eq $known "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
true
{{- end -}}
{{- end }}

{{- /* Pod security context that the Pod Security level `restricted` admits. Context: root, uid (the image's
user, needed outside OpenShift where the image names it by word or not at all), volumes (pods that write to
claims). */}}
{{- define "workload.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- if not (include "workload.openshift" .root) }}
runAsUser: {{ .uid }}
runAsGroup: {{ .uid }}
{{- if .volumes }}
fsGroup: {{ .uid }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
{{- end }}

{{- /* Container security context that `restricted` admits. Context: writable, when the image writes to its
own root file system. */}}
{{- define "workload.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: {{ not .writable }}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* For the containers that answer in a pod whose successor takes over beside it: requests come until all nodes know
that this pod goes. Context: the chart's. */}}
{{- define "workload.handover" -}}
{{- if semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version -}}
lifecycle:
  preStop:
    sleep: {seconds: 5}
{{- end }}
{{- end }}
