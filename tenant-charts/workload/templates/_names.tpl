{{- /* Name of the chart's main object. */}}
{{- define "workload.name" -}}
{{- .Values.fullnameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- /* Namespace of every object: `tenant` passes it, and Helm's own is the same one. */}}
{{- define "workload.namespace" -}}
{{- .Values.namespace | default .Release.Namespace -}}
{{- end }}

{{- /* What selects a component's pods. Selectors cannot change after the first install, so nothing that can is
in them. Context: root, component. */}}
{{- define "workload.selector" -}}
app.kubernetes.io/name: {{ include "workload.name" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Labels of a component's pods. The chart's version is not among them: a new one that changes nothing for the
pods should not restart them. Context: root, component. */}}
{{- define "workload.podLabels" -}}
{{ include "workload.selector" . }}
app.kubernetes.io/part-of: tenant
{{- with .root.Values.user }}
tenant.rhpds.io/user: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* Labels of an object that belongs to a component. Context: root, component. */}}
{{- define "workload.labels" -}}
{{ include "workload.podLabels" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- /* Name, namespace and labels of an object. Context: root, component, name. */}}
{{- define "workload.metadata" -}}
name: {{ .name }}
namespace: {{ include "workload.namespace" .root }}
labels:
  {{- include "workload.labels" . | nindent 2 }}
{{- end }}

{{- /* Reference of an image: repository, tag and, where it is known, digest. */}}
{{- define "workload.image" -}}
{{- printf "%s:%s" .repository .tag -}}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end }}
