{{- /* The MCP lifecycle operator. Only fields that release 0.1 has are used, since stricter clients refuse
unknown ones; probes are ours because 0.1 sets none. There is no field for a command, so servers whose image
starts something else without one name it first in `lifecycleArguments`. */}}
{{- define "mcp-server.lifecycle" }}
{{- $arguments := hasKey .entry "lifecycleArguments" | ternary .entry.lifecycleArguments .entry.args }}
---
apiVersion: mcp.x-k8s.io/v1alpha1
kind: MCPServer
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" .server) | nindent 2 }}
spec:
  source:
    type: ContainerImage
    containerImage:
      ref: {{ .root.Values.image | quote }}
  config:
    port: {{ .entry.port }}
    path: /mcp
    {{- with $arguments }}
    arguments:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- include "mcp-server.env" . | nindent 6 }}
    storage:
    - path: /tmp
      permissions: ReadWrite
      source:
        type: EmptyDir
        emptyDir:
          sizeLimit: 64Mi
    {{- with .entry.files }}
    - path: {{ .directory }}
      permissions: ReadOnly
      source:
        type: ConfigMap
        configMap:
          name: {{ $.name }}-config
    {{- end }}
    {{- range .entry.mounts }}
    - path: {{ .directory }}
      permissions: ReadOnly
      source:
        type: ConfigMap
        configMap:
          name: {{ .configMap }}
    {{- end }}
  runtime:
    replicas: 1
    security:
      serviceAccountName: {{ .account }}
      podSecurityContext:
        {{- include "mcp-server.podSecurityContext" . | nindent 8 }}
      securityContext:
        {{- include "workload.securityContext" dict | nindent 8 }}
    resources:
      {{- toYaml .root.Values.resources | nindent 6 }}
    health:
      {{- omit (include "mcp-server.probes" . | fromYaml) "startupProbe" | toYaml | nindent 6 }}
{{- include "mcp-server.service" (merge (dict "selector" (dict "mcp-server" .server)) .) }}
{{- end }}

{{- /* The Service of the name ToolHive would give it, so that clients have one address whichever back end runs
the server. Context: the server's, selector. */}}
{{- define "mcp-server.service" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" .service) | nindent 2 }}
spec:
  selector:
    {{- toYaml .selector | nindent 4 }}
  sessionAffinity: ClientIP
  ports:
  - name: http
    port: 8080
    targetPort: {{ .entry.port }}
{{- end }}
