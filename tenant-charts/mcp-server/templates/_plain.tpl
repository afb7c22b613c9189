{{- /* A Deployment and a Service, for clusters that have neither operator. */}}
{{- define "mcp-server.plain" }}
{{- $selector := include "workload.selector" . }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "workload.metadata" (dict "root" .root "component" "server" "name" .server) | nindent 2 }}
spec:
  replicas: 1
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "workload.podLabels" . | nindent 8 }}
        {{- include "mcp-server.revision" . | nindent 8 }}
    spec:
      serviceAccountName: {{ .account }}
      automountServiceAccountToken: {{ .entry.cluster | default false }}
      enableServiceLinks: false
      securityContext:
        {{- include "mcp-server.podSecurityContext" . | nindent 8 }}
      containers:
      - name: mcp
        image: {{ .root.Values.image | quote }}
        imagePullPolicy: IfNotPresent
        {{- with .entry.args }}
        args:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        ports:
        - name: mcp
          containerPort: {{ .entry.port }}
        {{- include "mcp-server.container" . | nindent 8 }}
        {{- include "workload.handover" .root | nindent 8 }}
      volumes:
        {{- include "mcp-server.volumes" . | nindent 8 }}
{{- include "mcp-server.service" (merge (dict "selector" ($selector | fromYaml)) .) }}
{{- end }}
