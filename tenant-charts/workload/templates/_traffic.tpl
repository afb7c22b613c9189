{{- /* Where requests from outside the cluster come from: OpenShift's routers when there is a Route, the
Ingress controller's namespace when there is an Ingress. A list of NetworkPolicy peers, empty when the
workload has no door. */}}
{{- define "workload.routers" -}}
{{- if (.Values.route | default dict).enabled }}
- namespaceSelector:
    matchLabels:
      policy-group.network.openshift.io/ingress: ""
{{- end }}
{{- with .Values.ingress | default dict }}
{{- if .enabled }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .controllerNamespace }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Egress rule for name resolution; 5353 is where OpenShift's DNS pods listen. */}}
{{- define "workload.dns" -}}
- ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
  - {port: 5353, protocol: UDP}
  - {port: 5353, protocol: TCP}
{{- end }}
