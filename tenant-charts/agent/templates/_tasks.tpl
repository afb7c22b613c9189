{{- /* Resources and rights of the steps that need nothing special. */}}
{{- define "agent.step" -}}
computeResources:
  requests: {cpu: 20m, memory: 64Mi}
  limits: {cpu: 500m, memory: 256Mi}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
  runAsNonRoot: true
  {{- if not (include "workload.openshift" .) }}
  runAsUser: 65532
  {{- end }}
{{- end }}

{{- /* What a good build does to the Deployment. */}}
{{- define "agent.deploy" -}}
{{- if .Values.pipeline.deployBuilt -}}
kubectl set image deployment/$(params.APP_NAME) agent=$(params.IMAGE_NAME):$(tasks.fetch-repository.results.{{ include "agent.clusterTasks" . | empty | ternary "commit" "COMMIT" }})
{{- else -}}
kubectl rollout restart deployment/$(params.APP_NAME)
{{- end }}
kubectl rollout status deployment/$(params.APP_NAME) --timeout=5m
{{- end }}

{{- /* Tasks of OpenShift Pipelines, by the cluster resolver. */}}
{{- define "agent.tasks.cluster" -}}
- name: fetch-repository
  taskRef: {{ include "agent.taskRef" (dict "root" . "name" "git-clone") }}
  params:
  - {name: URL, value: $(params.GIT_REPO)}
  - {name: REVISION, value: $(params.GIT_REVISION)}
  - {name: SUBDIRECTORY, value: ""}
  - {name: DELETE_EXISTING, value: "true"}
  workspaces:
  - {name: output, workspace: workspace}
- name: build
  runAfter: [fetch-repository]
  retries: {{ .Values.pipeline.retries }}
  taskRef: {{ include "agent.taskRef" (dict "root" . "name" "buildah") }}
  params:
  - {name: IMAGE, value: "$(params.IMAGE_NAME):$(tasks.fetch-repository.results.COMMIT)"}
  - {name: DOCKERFILE, value: $(params.PATH_CONTEXT)/Containerfile}
  - {name: CONTEXT, value: $(params.PATH_CONTEXT)}
  workspaces:
  - {name: source, workspace: workspace}
- name: deploy
  runAfter: [build]
  taskRef: {{ include "agent.taskRef" (dict "root" . "name" "openshift-client") }}
  params:
  - name: SCRIPT
    value: |
      {{- include "agent.deploy" . | nindent 6 }}
{{- end }}

{{- define "agent.taskRef" -}}
{resolver: cluster, params: [{name: kind, value: task}, {name: name, value: {{ .name }}}, {name: namespace, value: {{ .root.Values.pipeline.taskNamespace }}}]}
{{- end }}

{{- /* The same tasks with steps of our own, for Tekton without OpenShift Pipelines. */}}
{{- define "agent.tasks.inline" -}}
{{- $push := ne .Values.registry "" | and (or (ne .Values.registry "auto") (include "workload.openshift" . | empty | not)) -}}
- name: fetch-repository
  workspaces:
  - {name: output, workspace: workspace}
  taskSpec:
    params:
    - {name: url, type: string}
    - {name: revision, type: string}
    workspaces:
    - name: output
    results:
    - name: commit
    steps:
    - name: clone
      image: {{ .Values.images.git | quote }}
      workingDir: $(workspaces.output.path)
      env:
      - {name: URL, value: $(params.url)}
      - {name: REVISION, value: $(params.revision)}
      - {name: HOME, value: /tmp}
      computeResources:
        requests: {cpu: 20m, memory: 64Mi}
        limits: {cpu: 500m, memory: 512Mi}
      securityContext:
        # the user the build step has, so that it may read what is cloned
        runAsUser: 0
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
        seccompProfile: {type: RuntimeDefault}
      script: |
        #!/bin/sh
        set -eu
        find . -mindepth 1 -delete
        git init --quiet .
        git fetch --quiet --depth 1 "$URL" "$REVISION"
        git checkout --quiet FETCH_HEAD
        git rev-parse HEAD | tr -d '\n' > $(results.commit.path)
  params:
  - {name: url, value: $(params.GIT_REPO)}
  - {name: revision, value: $(params.GIT_REVISION)}
- name: build
  runAfter: [fetch-repository]
  retries: {{ .Values.pipeline.retries }}
  workspaces:
  - {name: source, workspace: workspace}
  taskSpec:
    params:
    - {name: image, type: string}
    - {name: context, type: string}
    workspaces:
    - name: source
    steps:
    - name: build
      image: {{ .Values.images.buildah | quote }}
      workingDir: $(workspaces.source.path)
      env:
      - {name: IMAGE, value: $(params.image)}
      - {name: CONTEXT, value: $(params.context)}
      - {name: STORAGE_DRIVER, value: vfs}
      - {name: BUILDAH_ISOLATION, value: chroot}
      computeResources:
        requests: {cpu: 200m, memory: 512Mi}
        limits: {cpu: "2", memory: 2Gi}
      securityContext:
        # Unpacking layers changes owners and users. No seccomp profile: buildah without CAP_SYS_ADMIN works in a user
        # namespace, which containerd's default profile forbids (CRI-O's does not).
        runAsUser: 0
        capabilities: {drop: [ALL], add: [CHOWN, DAC_OVERRIDE, FOWNER, SETFCAP, SETGID, SETUID, SYS_CHROOT]}
      volumeMounts:
      - {name: storage, mountPath: /var/lib/containers}
      script: |
        #!/bin/sh
        set -eu
        buildah build --file "$CONTEXT/Containerfile" --tag "$IMAGE" "$CONTEXT"
        {{- if $push }}
        buildah push "$IMAGE"
        {{- end }}
    volumes:
    - name: storage
      emptyDir: {}
  params:
  - {name: image, value: "$(params.IMAGE_NAME):$(tasks.fetch-repository.results.commit)"}
  - {name: context, value: $(params.PATH_CONTEXT)}
- name: deploy
  runAfter: [build]
  taskSpec:
    steps:
    - name: deploy
      image: {{ .Values.images.cli | quote }}
      env:
      - {name: HOME, value: /tmp}
      {{- include "agent.step" . | nindent 6 }}
      script: |
        #!/bin/sh
        set -eu
        {{- include "agent.deploy" . | nindent 8 }}
{{- end }}
