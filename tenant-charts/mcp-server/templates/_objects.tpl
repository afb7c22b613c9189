{{- /* Everything one MCP server consists of. Context: root (the chart's own), server (its entry in the
catalogue). */}}
{{- define "mcp-server.objects" -}}
{{- $context := include "mcp-server.context" . | fromYaml }}
{{- $context = merge (dict "root" .root "name" (include "workload.name" .root) "component" "server") $context }}
{{- include "mcp-server.access" $context }}
{{- include "mcp-server.files" $context }}
{{- include (printf "mcp-server.%s" $context.backend) $context }}
{{- if .root.Values.networkPolicy.enabled }}
{{- include "mcp-server.traffic" $context }}
{{- end }}
{{- if .root.Values.handshake.enabled }}
{{- include "mcp-server.handshake" $context }}
{{- end }}
{{- end }}

{{- /* What the templates know of the server: its catalogue entry, the back end, a digest of everything that has to
restart it, and the revision that a handshake proves. */}}
{{- define "mcp-server.context" -}}
{{- $entry := include "mcp-server.entry" . | fromYaml }}
{{- with $entry.Error }}
{{- fail (printf "catalogue entry %s: %s" $.server .) }}
{{- end }}
{{- /* a change of what the server may do restarts nothing */}}
{{- $runs := pick $entry "port" "user" "command" "args" "env" "mounts" "health" }}
{{- $digest := list ($entry.files | default dict) .root.Values.credentialsRevision | toJson | sha256sum | trunc 16 }}
server: {{ .server }}
service: mcp-{{ .server }}-proxy
account: {{ .server }}-sa
backend: {{ include "mcp-server.backend" .root }}
digest: {{ $digest | quote }}
revision: {{ list $runs .root.Values.image $digest | toJson | sha256sum | trunc 8 | quote }}
entry:
  {{- toYaml $entry | nindent 2 }}
{{- end }}

{{- /* The catalogue is data: a file per server, in which values of the chart may be named. */}}
{{- define "mcp-server.entry" -}}
{{- $library := index .root.Subcharts "mcp-server" }}
{{- $text := $library.Files.Get (printf "catalogue/%s.yaml" .server) }}
{{- if not $text }}
{{- fail (printf "the catalogue has no MCP server %q" .server) }}
{{- end }}
{{- tpl $text .root }}
{{- end }}

{{- /* The back end: the one the values name, else the first the cluster has. With OAuth clients ask the server for
`/.well-known/`, which ToolHive's proxy keeps to itself and answers with 404 (0.47). */}}
{{- define "mcp-server.backend" -}}
{{- $oauth := (.Values.oauth | default dict).enabled }}
{{- if and $oauth (eq .Values.backend "toolhive") }}
{{- fail "oauth.enabled needs backend lifecycle or plain: clients would not find the issuer, as ToolHive's proxy answers /.well-known/ itself" }}
{{- end }}
{{- if ne .Values.backend "auto" -}}
{{ .Values.backend }}
{{- else if and (not $oauth) (include "mcp-server.toolhive.version" .) -}}
toolhive
{{- else if .Capabilities.APIVersions.Has "mcp.x-k8s.io/v1alpha1" -}}
lifecycle
{{- else -}}
plain
{{- end -}}
{{- end }}
