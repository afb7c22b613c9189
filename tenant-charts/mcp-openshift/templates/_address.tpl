{{- /* The address clients use, for the well-known documents: the one the values give, else that of the door. */}}
{{- define "mcp-openshift.address" -}}
{{- $door := .Values.route.enabled | ternary .Values.route.host (.Values.ingress.enabled | ternary .Values.ingress.host "") -}}
{{- .Values.oauth.serverUrl | default ($door | empty | ternary "" (printf "https://%s/mcp" $door)) -}}
{{- end }}
