{{- /* A database of LibreChat: a StatefulSet with a claim, and its Service. Context: root, component, values (of
the database), uid, port, directory, args, env, probe. */}}
{{- define "librechat.database" -}}
{{- $name := printf "%s-%s" (include "workload.name" .root) .component }}
{{- $scope := merge (dict "name" $name) . }}
apiVersion: v1
kind: Service
metadata:
  {{- include "workload.metadata" $scope | nindent 2 }}
spec:
  selector:
    {{- include "workload.selector" . | nindent 4 }}
  ports:
  - name: {{ .component }}
    port: {{ .port }}
    targetPort: {{ .port }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "workload.metadata" $scope | nindent 2 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  # data go with the release, as the claims of LibreChat itself do
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector:
    matchLabels:
      {{- include "workload.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "workload.podLabels" . | nindent 8 }}
      annotations:
        tenant.rhpds.io/credentials-revision: {{ .root.Values.credentialsRevision | quote }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "workload.podSecurityContext" (dict "root" .root "uid" .uid "volumes" true) | nindent 8 }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
      - name: {{ .component }}
        image: {{ include "workload.image" .values.image | quote }}
        imagePullPolicy: IfNotPresent
        {{- with .args }}
        args:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        env:
          {{- toYaml .env | nindent 10 }}
        ports:
        - name: {{ .component }}
          containerPort: {{ .port }}
        startupProbe:
          {{- toYaml .probe | nindent 10 }}
          periodSeconds: 3
          failureThreshold: 60
        readinessProbe:
          {{- toYaml .probe | nindent 10 }}
          periodSeconds: 5
        livenessProbe:
          {{- toYaml .probe | nindent 10 }}
          periodSeconds: 20
          timeoutSeconds: 10
        resources:
          {{- toYaml .values.resources | nindent 10 }}
        securityContext:
          {{- include "workload.securityContext" dict | nindent 10 }}
        volumeMounts:
        - name: data
          mountPath: {{ .directory }}
        - name: tmp
          mountPath: /tmp
      volumes:
      - name: tmp
        emptyDir: {}
  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .root.Values.storageClassName }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .values.size }}
{{- if .root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "workload.metadata" $scope | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "workload.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector:
        matchLabels:
          {{- include "workload.selector" (dict "root" .root "component" "librechat") | nindent 10 }}
    - podSelector:
        # the Job of librechat-config that makes the tenant's user
        matchLabels:
          app.kubernetes.io/component: user
    ports:
    - port: {{ .port }}
  egress: []
{{- end }}
{{- end }}
