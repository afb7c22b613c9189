{{- /* Parts of the server's pod that are the same under every back end. */}}

{{- /* The server's configuration files. */}}
{{- define "mcp-server.files" }}
{{- with .entry.files }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "workload.metadata" (dict "root" $.root "component" "server" "name" (printf "%s-config" $.name)) | nindent 2 }}
data:
  {{- toYaml .data | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Environment. The digest is in it because it is the one place that restarts pods under every back end:
ToolHive does not watch ConfigMaps, and the lifecycle operator's release 0.1 neither. */}}
{{- define "mcp-server.env" -}}
{{- with .entry.env }}
{{- toYaml . }}
{{ end -}}
- name: CONFIG_DIGEST
  value: {{ .digest | quote }}
{{- end }}

{{- define "mcp-server.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- with .entry.files }}
- name: config
  mountPath: {{ .directory }}
  readOnly: true
{{- end }}
{{- range .entry.mounts }}
- name: {{ .configMap }}
  mountPath: {{ .directory }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "mcp-server.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if .entry.files }}
- name: config
  configMap:
    name: {{ .name }}-config
{{- end }}
{{- range .entry.mounts }}
- name: {{ .configMap }}
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- end }}

{{- /* Probes: over HTTP where the server has such an address, else by connecting. */}}
{{- define "mcp-server.probes" -}}
{{- $health := .entry.health | default dict }}
startupProbe:
  {{- include "mcp-server.probe" (dict "path" $health.readiness "port" .entry.port) | nindent 2 }}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  {{- include "mcp-server.probe" (dict "path" $health.readiness "port" .entry.port) | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  {{- include "mcp-server.probe" (dict "path" $health.liveness "port" .entry.port) | nindent 2 }}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "mcp-server.probe" -}}
{{- if .path -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{- else -}}
tcpSocket:
  port: {{ .port }}
{{- end }}
{{- end }}

{{- /* What `kubectl` and a Deployment call a container, without its image. */}}
{{- define "mcp-server.container" -}}
{{- with .entry.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "mcp-server.env" . | nindent 2 }}
{{ include "mcp-server.probes" . }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
securityContext:
  {{- include "workload.securityContext" dict | nindent 2 }}
volumeMounts:
  {{- include "mcp-server.volumeMounts" . | nindent 2 }}
{{- end }}

{{- define "mcp-server.podSecurityContext" -}}
{{- include "workload.podSecurityContext" (dict "root" .root "uid" .entry.user) }}
{{- end }}
