{{- /* What the Job that makes the tenant's user does. Context: the chart's. */}}
{{- define "librechat-config.user.spec" -}}
{{- with .Values.default_user -}}
backoffLimit: 4
template:
  metadata:
    labels:
      {{- include "workload.podLabels" (dict "root" $ "component" "user") | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    securityContext:
      {{- include "workload.podSecurityContext" (dict "root" $ "uid" 1000) | nindent 6 }}
    {{- with $.Values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
    - name: create-user
      image: {{ include "workload.image" .image | quote }}
      imagePullPolicy: IfNotPresent
      command: [node, /script/ensure-user.js]
      envFrom:
      - configMapRef:
          name: {{ .environment }}
      - secretRef:
          name: {{ .existingSecret }}
      env:
      # for the tool, which has to register while LibreChat itself does not
      - name: ALLOW_REGISTRATION
        value: "true"
      - name: LIBRECHAT_URL
        value: http://{{ $.Values.application_name }}.{{ include "workload.namespace" $ }}.svc:3080
      - name: TIMEOUT_SECONDS
        value: {{ .timeoutSeconds | quote }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        # LibreChat's tools write logs beside the program
        {{- include "workload.securityContext" (dict "writable" true) | nindent 8 }}
      volumeMounts:
      - name: script
        mountPath: /script
        readOnly: true
      - name: logs
        mountPath: /app/api/logs
      - name: tmp
        mountPath: /tmp
    volumes:
    - name: script
      configMap:
        name: {{ include "workload.name" $ }}-user
    - name: logs
      emptyDir: {}
    - name: tmp
      emptyDir: {}
{{- end }}
{{- end }}
