{{- /* Who may talk to the server, and where it may go. The server itself asks nobody for a name: whoever reaches
it acts with its rights, so only the tenant's own clients do. */}}
{{- define "mcp-server.traffic" }}
{{- $door := eq .backend "toolhive" | ternary (dict "app" "mcpserver" "app.kubernetes.io/instance" .server) (include "mcp-server.pods" . | fromYaml) }}
{{- if eq .backend "toolhive" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" (printf "%s-proxy" .name)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml $door | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
  - from:
    {{- include "mcp-server.clients" . | nindent 4 }}
    ports:
    - port: 8080
{{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" .name) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "mcp-server.pods" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    {{- if eq .backend "toolhive" }}
    - podSelector:
        matchLabels:
          {{- toYaml $door | nindent 10 }}
    {{- include "mcp-server.prover" . | nindent 4 }}
    {{- else }}
    {{- include "mcp-server.clients" . | nindent 4 }}
    {{- end }}
    ports:
    - port: {{ .entry.port }}
  egress:
  {{- include "workload.dns" . | nindent 2 }}
  - ports:
    {{- range concat (.entry.egress | default list) .root.Values.networkPolicy.egressPorts | uniq }}
    - port: {{ int . }}
    {{- end }}
{{- end }}

{{- /* Labels of the pods the server runs in. */}}
{{- define "mcp-server.pods" -}}
{{- if eq .backend "toolhive" -}}
app: {{ .server }}
{{- else if eq .backend "lifecycle" -}}
mcp-server: {{ .server }}
{{- else -}}
{{ include "workload.selector" . }}
{{- end }}
{{- end }}

{{- /* Peers that may call: the namespaces the values name, else those labelled as the tenant's; the handshake;
the router of an opt-in door; the lifecycle operator, which makes a handshake of its own. */}}
{{- define "mcp-server.clients" -}}
{{- $values := .root.Values -}}
{{ include "mcp-server.prover" . }}
{{- if $values.networkPolicy.clientNamespaces }}
- namespaceSelector:
    matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
        {{- toYaml $values.networkPolicy.clientNamespaces | nindent 8 }}
{{- else if $values.user }}
- namespaceSelector:
    matchLabels:
      tenant: {{ $values.user | quote }}
{{- else }}
- podSelector: {}
{{- end }}
{{- if eq .backend "lifecycle" }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: mcp-lifecycle-operator-system
{{- end }}
{{- with include "workload.routers" .root | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- /* The peer that makes the handshake. */}}
{{- define "mcp-server.prover" -}}
- podSelector:
    matchLabels:
      {{- include "workload.selector" (dict "root" .root "component" "handshake") | nindent 6 }}
{{- end }}
