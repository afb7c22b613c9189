{{- /* Proof that the server speaks MCP: a real `initialize` and `tools/list` through the Service clients use. No
operator's status says as much. While a new revision takes over, that Service may still lead to the old one: the new one is
asked first, at a Service of its own, wherever the back end lets its pods be labelled. */}}
{{- define "mcp-server.handshake" }}
{{- $script := (index .root.Subcharts "mcp-server").Files.Get "handshake.sh" }}
{{- $scope := dict "root" .root "component" "handshake" "name" (printf "%s-handshake" .name) }}
{{- $inputs := list $script .entry .backend .revision }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "workload.metadata" $scope | nindent 2 }}
data:
  handshake.sh: |
    {{- $script | nindent 4 }}
{{- if include "mcp-server.revision" . }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "workload.metadata" $scope | nindent 2 }}
spec:
  selector:
    {{- include "mcp-server.pods" . | nindent 4 }}
    {{- include "mcp-server.revision" . | nindent 4 }}
  ports:
  - name: http
    port: 8080
    targetPort: {{ .entry.port }}
{{- end }}
---
{{ include "workload.job" (merge (dict "spec" (include "mcp-server.handshake.spec" .) "inputs" $inputs) $scope) }}
{{- end }}

{{- /* The label that tells pods of this revision from those of another. The lifecycle operator of release 0.1 labels pods
as it likes. */}}
{{- define "mcp-server.revision" -}}
{{- if ne .backend "lifecycle" -}}
tenant.rhpds.io/revision: {{ .revision | quote }}
{{- end }}
{{- end }}

{{- define "mcp-server.handshake.spec" -}}
{{- $values := .root.Values -}}
backoffLimit: 2
activeDeadlineSeconds: {{ add (mul 3 (int $values.handshake.timeoutSeconds)) 60 }}
template:
  metadata:
    labels:
      {{- include "workload.podLabels" (dict "root" .root "component" "handshake") | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext:
      {{- include "workload.podSecurityContext" (dict "root" .root "uid" 65532) | nindent 6 }}
    {{- with $values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
    - name: handshake
      image: {{ $values.handshake.image | quote }}
      imagePullPolicy: IfNotPresent
      command: [sh, /handshake/handshake.sh]
      env:
      - name: MCP_URL
        value: http://{{ .service }}.{{ include "workload.namespace" .root }}.svc:8080/mcp
      {{- if include "mcp-server.revision" . }}
      - name: REVISION_HOST
        value: {{ .name }}-handshake.{{ include "workload.namespace" .root }}.svc
      {{- end }}
      - name: TIMEOUT_SECONDS
        value: {{ $values.handshake.timeoutSeconds | quote }}
      - name: EXPECT_LOGIN
        value: {{ .entry.login | default false | quote }}
      resources:
        requests: {cpu: 10m, memory: 16Mi}
        limits: {cpu: 200m, memory: 64Mi}
      securityContext:
        {{- include "workload.securityContext" dict | nindent 8 }}
      volumeMounts:
      - name: script
        mountPath: /handshake
        readOnly: true
      - name: tmp
        mountPath: /tmp
    volumes:
    - name: script
      configMap:
        name: {{ .name }}-handshake
    - name: tmp
      emptyDir:
        sizeLimit: 16Mi
{{- end }}
