{{- /* Containers that build the guide before it is served. */}}
{{- define "showroom.builders" -}}
- name: git-cloner
  image: {{ .Values.images.gitCloner | quote }}
  imagePullPolicy: IfNotPresent
  env:
  - {name: GIT_REPO_URL, value: {{ .Values.content.repoUrl | quote }}}
  - {name: GIT_REPO_REF, value: {{ .Values.content.repoRef | quote }}}
  - {name: HOME, value: /tmp}
  {{- include "showroom.common" . | nindent 2 }}
- name: antora-builder
  image: {{ .Values.images.antora | quote }}
  imagePullPolicy: IfNotPresent
  command:
  - sh
  - -ec
  - |
    cd /showroom/repo
    playbook="$ANTORA_PLAYBOOK"
    [ -f "$playbook" ] || playbook="default-$ANTORA_PLAYBOOK"
    exec antora --to-dir=/showroom/www "$playbook"
  env:
  - {name: ANTORA_PLAYBOOK, value: {{ .Values.content.antoraPlaybook | quote }}}
  - {name: HOME, value: /tmp}
  {{- include "showroom.common" . | nindent 2 }}
  - name: user-data
    mountPath: /user_data
    readOnly: true
{{- end }}

{{- /* What all of them share; ends with the list of mounts, to which more may be added. */}}
{{- define "showroom.common" -}}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "workload.securityContext" dict | nindent 2 }}
volumeMounts:
- name: content
  mountPath: /showroom
- name: tmp
  mountPath: /tmp
{{- end }}

{{- /* Containers that serve it. */}}
{{- define "showroom.servers" -}}
- name: nginx
  image: {{ .Values.images.nginx | quote }}
  imagePullPolicy: IfNotPresent
  command: [nginx, -g, daemon off;, -c, /etc/showroom/nginx.conf]
  ports:
  - name: web
    containerPort: 8080
  {{- if not .Values.terminal.enabled }}
  {{- include "workload.handover" . | nindent 2 }}
  {{- end }}
  readinessProbe:
    httpGet: {path: /, port: web}
    periodSeconds: 5
    timeoutSeconds: 5
  livenessProbe:
    httpGet: {path: /healthz, port: web}
    periodSeconds: 20
    timeoutSeconds: 5
  {{- include "showroom.common" . | nindent 2 }}
  - name: proxy-config
    mountPath: /etc/showroom
    readOnly: true
- name: content
  image: {{ .Values.images.content | quote }}
  imagePullPolicy: IfNotPresent
  ports:
  - name: content
    containerPort: 8000
  {{- if not .Values.terminal.enabled }}
  {{- include "workload.handover" . | nindent 2 }}
  {{- end }}
  env:
  - {name: DOMAIN, value: {{ .Values.deployer.domain | quote }}}
  - {name: GUID, value: {{ .Values.deployer.guid | quote }}}
  - {name: USER, value: {{ .Values.user | quote }}}
  livenessProbe:
    tcpSocket: {port: content}
    periodSeconds: 20
  {{- include "showroom.common" . | nindent 2 }}
{{- if .Values.terminal.enabled }}
- name: terminal
  image: {{ .Values.images.terminal | quote }}
  imagePullPolicy: IfNotPresent
  ports:
  - name: terminal
    containerPort: 7681
  env:
  - {name: GUID, value: {{ .Values.deployer.guid | quote }}}
  livenessProbe:
    tcpSocket: {port: terminal}
    periodSeconds: 20
  resources:
    {{- toYaml .Values.terminal.resources | nindent 4 }}
  securityContext:
    # people work in it
    {{- include "workload.securityContext" (dict "writable" true) | nindent 4 }}
  volumeMounts:
  - name: home
    mountPath: /home/lab-user
{{- end }}
{{- end }}
