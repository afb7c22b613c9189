{{- /* Proof that the server speaks MCP: a real `initialize` and `tools/list` through the Service clients use. No
operator's status says as much. It is a Job of the release and no hook, so that Argo CD counts it into the
Application's health; its name changes with what it checks, since the template of a Job cannot. */}}
{{- define "mcp-server.handshake" }}
{{- $script := (index .root.Subcharts "mcp-server").Files.Get "handshake.sh" }}
{{- $values := .root.Values }}
{{- $digest := list $script $values.handshake $values.image .entry .digest .backend | toJson | sha256sum | trunc 8 }}
{{- $scope := dict "root" .root "component" "handshake" }}
{{- $labels := include "workload.labels" $scope }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "workload.metadata" (merge (dict "name" (printf "%s-handshake" .name)) $scope) | nindent 2 }}
data:
  handshake.sh: |
    {{- $script | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "workload.metadata" (merge (dict "name" (printf "%s-handshake-%s" .name $digest)) $scope) | nindent 2 }}
spec:
  backoffLimit: 2
  activeDeadlineSeconds: {{ add (mul 3 (int $values.handshake.timeoutSeconds)) 60 }}
  template:
    metadata:
      labels:
        {{- $labels | nindent 8 }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "workload.podSecurityContext" (dict "root" .root "uid" 65532) | nindent 8 }}
      {{- with $values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
      - name: handshake
        image: {{ $values.handshake.image | quote }}
        imagePullPolicy: IfNotPresent
        command: [sh, /handshake/handshake.sh]
        env:
        - name: MCP_URL
          value: http://{{ .service }}.{{ include "workload.namespace" .root }}.svc:8080/mcp
        - name: TIMEOUT_SECONDS
          value: {{ $values.handshake.timeoutSeconds | quote }}
        - name: EXPECT_LOGIN
          value: {{ .entry.login | default false | quote }}
        resources:
          requests: {cpu: 10m, memory: 16Mi}
          limits: {cpu: 200m, memory: 64Mi}
        securityContext:
          {{- include "workload.securityContext" dict | nindent 10 }}
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
