{{- /* Namespace of a component. Context: root, component. */}}
{{- define "bootstrap.namespace" -}}
{{- get .root.Values.namespaces .component | default (printf "%s-%s" .component .root.Values.tenant.user.name) -}}
{{- end }}

{{- /* Address of an MCP server, the same under every back end. Context: root, server. */}}
{{- define "bootstrap.mcp" -}}
http://mcp-{{ .server }}-proxy.{{ include "bootstrap.namespace" (dict "root" .root "component" (printf "mcp-%s" .server)) }}.svc.cluster.local:8080/mcp
{{- end }}

{{- define "bootstrap.gitea" -}}
{{- .Values.gitea.url | default (printf "http://gitea.%s.svc:3000" (include "bootstrap.namespace" (dict "root" . "component" "gitea"))) -}}
{{- end }}

{{- /* How something is published. Context: root, host. */}}
{{- define "bootstrap.door" -}}
route: {enabled: {{ eq .root.Values.exposure "route" }}}
ingress: {enabled: {{ eq .root.Values.exposure "ingress" }}, host: {{ printf "%s.%s" .host .root.Values.deployer.domain | quote }}}
{{- end }}

{{- /* All namespaces of the tenant that an application of it is in. */}}
{{- define "bootstrap.namespaces" -}}
{{- $components := list "agent" "librechat" "gitea" "showroom" }}
{{- range .Values.mcpServers }}
{{- $components = append $components (printf "mcp-%s" .) }}
{{- end }}
{{- range $components }}
- {{ include "bootstrap.namespace" (dict "root" $ "component" .) }}
{{- end }}
{{- end }}

{{- /* Namespaces of the MCP servers' clients. */}}
{{- define "bootstrap.clients" -}}
{{- range list "agent" "librechat" }}
- {{ include "bootstrap.namespace" (dict "root" $ "component" .) }}
{{- end }}
{{- end }}

{{- define "bootstrap.values.mcp-openshift" -}}
readNamespaces:
  {{- include "bootstrap.namespaces" . | nindent 2 }}
networkPolicy:
  clientNamespaces:
    {{- include "bootstrap.clients" . | nindent 4 }}
{{- end }}

{{- define "bootstrap.values.mcp-gitea" -}}
giteaConfig:
  url: {{ include "bootstrap.gitea" . }}
  existingSecret: {{ .Values.gitea.existingSecret }}
networkPolicy:
  clientNamespaces:
    {{- include "bootstrap.clients" . | nindent 4 }}
{{- end }}

{{- define "bootstrap.values.mcp-rhoai" -}}
workNamespaces:
- {{ include "bootstrap.namespace" (dict "root" . "component" "agent") }}
networkPolicy:
  clientNamespaces:
    {{- include "bootstrap.clients" . | nindent 4 }}
{{- end }}

{{- define "bootstrap.values.mcp-kubeflow" -}}
{{ include "bootstrap.values.mcp-rhoai" . }}
{{- end }}

{{- define "bootstrap.values.librechat-config" -}}
application_name: librechat
secrets: {existingSecret: {{ .Values.librechat.existingSecret }}}
default_user: {existingSecret: {{ .Values.librechat.existingSecret }}}
{{ include "bootstrap.door" (dict "root" . "host" (printf "librechat-%s" (include "bootstrap.namespace" (dict "root" . "component" "librechat")))) }}
{{- end }}

{{- define "bootstrap.values.librechat" -}}
librechat:
  existingSecretName: {{ .Values.librechat.existingSecret }}
  configYamlContent: |
    {{- include "bootstrap.librechat" . | nindent 4 }}
{{- end }}

{{- /* LibreChat's own configuration; it fills the names from its environment. */}}
{{- define "bootstrap.librechat" -}}
version: 1.3.1
cache: true
mcpServers:
  {{- range .Values.mcpServers }}
  {{ . }}:
    type: streamable-http
    url: {{ include "bootstrap.mcp" (dict "root" $ "server" .) }}
  {{- end }}
endpoints:
  custom:
  - name: LiteMaaS
    apiKey: ${CUSTOM_MODEL_KEY}
    baseURL: ${CUSTOM_MODEL_URL}
    models:
      default: {{ toJson .Values.librechat.models }}
      fetch: true
    titleConvo: false
    summarize: false
    forcePrompt: false
    modelDisplayLabel: LiteMaaS
    capabilities: [tools]
    dropParams: [user, frequency_penalty, presence_penalty]
{{- end }}

{{- define "bootstrap.values.agent" -}}
git_url: {{ include "bootstrap.gitea" . }}/{{ .Values.tenant.user.name }}/{{ .Values.gitea.repository }}.git
agentConfig:
  litellm_model: {{ .Values.agentModel }}
  {{- if has "openshift" .Values.mcpServers }}
  mcp_openshift_url: {{ include "bootstrap.mcp" (dict "root" . "server" "openshift") }}
  {{- end }}
  {{- if has "gitea" .Values.mcpServers }}
  mcp_gitea_url: {{ include "bootstrap.mcp" (dict "root" . "server" "gitea") }}
  {{- end }}
  mcp_gitea_user: {{ .Values.tenant.user.name }}
  mcp_gitea_repo: {{ .Values.gitea.repository }}
{{- end }}

{{- define "bootstrap.values.showroom" -}}
deployer: {domain: {{ .Values.deployer.domain | quote }}, guid: {{ .Values.deployer.guid | quote }}}
{{ include "bootstrap.door" (dict "root" . "host" (printf "showroom-%s" (include "bootstrap.namespace" (dict "root" . "component" "showroom")))) }}
{{- end }}
