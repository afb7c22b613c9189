{{- /* Version of ToolHive's API to speak: the stored one where the cluster serves it, else the old one. The
fields used here are the same in both. */}}
{{- define "mcp-server.toolhive.version" -}}
{{- range list "v1beta1" "v1alpha1" -}}
{{- if $.Capabilities.APIVersions.Has (printf "toolhive.stacklok.dev/%s" .) -}}
{{ . }}{{ break }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* ToolHive runs the server as a StatefulSet behind a proxy of its own, whose Service has the name that all
back ends give it. Everything that is not plain text is in the pod template: `secrets` refuses two keys of one
Secret since 0.16, and `resources` are the proxy's. */}}
{{- define "mcp-server.toolhive" }}
---
apiVersion: toolhive.stacklok.dev/{{ include "mcp-server.toolhive.version" .root | default "v1beta1" }}
kind: MCPServer
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" .server) | nindent 2 }}
spec:
  image: {{ .root.Values.image | quote }}
  transport: streamable-http
  proxyPort: 8080
  mcpPort: {{ .entry.port }}
  serviceAccount: {{ .account }}
  {{- with .entry.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .root.Values.proxyResources | nindent 4 }}
  podTemplateSpec:
    metadata:
      labels:
        {{- include "mcp-server.revision" . | nindent 8 }}
    spec:
      automountServiceAccountToken: {{ .entry.cluster | default false }}
      securityContext:
        {{- include "mcp-server.podSecurityContext" . | nindent 8 }}
      containers:
      - name: mcp
        {{- include "mcp-server.container" . | nindent 8 }}
      volumes:
        {{- include "mcp-server.volumes" . | nindent 8 }}
{{- end }}
