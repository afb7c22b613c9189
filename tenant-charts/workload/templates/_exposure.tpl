{{- /* A Route on OpenShift or an Ingress elsewhere, whichever the values enable. The Route has the name its
generated host is made from. Context: root, component, name, service, port. */}}
{{- define "workload.exposure" -}}
{{- $route := .root.Values.route | default dict }}
{{- $ingress := .root.Values.ingress | default dict }}
{{- if $route.enabled }}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata:
  {{- include "workload.metadata" . | nindent 2 }}
  {{- with $route.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $route.host }}
  host: {{ . | quote }}
  {{- end }}
  to:
    kind: Service
    name: {{ .service }}
    weight: 100
  port:
    targetPort: {{ .port }}
  tls:
    termination: edge
    insecureEdgeTerminationPolicy: Redirect
  wildcardPolicy: None
{{- end }}
{{- if $ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "workload.metadata" . | nindent 2 }}
  {{- with $ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  tls:
  - hosts:
    - {{ $ingress.host | quote }}
    {{- with $ingress.tlsSecret }}
    secretName: {{ . }}
    {{- end }}
  rules:
  - host: {{ $ingress.host | quote }}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: {{ .service }}
            port:
              name: {{ .port }}
{{- end }}
{{- end }}
