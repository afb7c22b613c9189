{{- /* The server's identity, and its rights on the cluster: exactly what the catalogue entry lists, namespace by
namespace. Cluster-wide reading is only for servers that need it, and only when the values allow it. */}}
{{- define "mcp-server.access" }}
{{- $metadata := dict "root" .root "component" "server" "name" .account }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "workload.metadata" $metadata | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: {{ .entry.cluster | default false }}
{{- range .entry.access }}
{{- include "mcp-server.access.namespace" (merge (dict "grant" .) $) }}
{{- end }}
{{- with .entry.clusterAccess }}
{{- if $.root.Values.clusterRead }}
{{- include "mcp-server.access.cluster" (merge (dict "rules" .) $) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* One grant: a Role of its own or an existing ClusterRole, bound in one namespace to the server's account, or to
the users and groups it names. */}}
{{- define "mcp-server.access.namespace" }}
{{- $name := printf "%s-%s" (include "workload.namespace" .root) .grant.name | trunc 63 | trimSuffix "-" }}
{{- $labels := include "workload.labels" (dict "root" .root "component" "server") }}
{{- with .grant.rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $.grant.namespace }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- toYaml . | nindent 2 }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .grant.namespace }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  {{- if .grant.rules }}
  kind: Role
  name: {{ $name }}
  {{- else }}
  kind: ClusterRole
  name: {{ .grant.clusterRole }}
  {{- end }}
subjects:
{{- range .grant.subjects }}
- apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name | quote }}
{{- else }}
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ include "workload.namespace" .root }}
{{- end }}
{{- end }}

{{- /* Reading of things that belong to no namespace. */}}
{{- define "mcp-server.access.cluster" }}
{{- $name := printf "%s-%s" (include "workload.namespace" .root) .account }}
{{- $labels := include "workload.labels" (dict "root" .root "component" "server") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ include "workload.namespace" .root }}
{{- end }}
