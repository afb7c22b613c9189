# kubectl against the lab's real API server and controllers: admission, quota, access, missing objects, rollouts.
# Wants KUBECONFIG, as `eval "$(cargo lab env)"` sets it.
kubectl='kubectl version --client'
space=ci-record
alias=api.example:6443
if [[ -n ${KUBECONFIG:-} ]] && kubectl get --raw /readyz >/dev/null 2>&1; then
  kubectl delete namespace $space --ignore-not-found >/dev/null 2>&1
  kubectl create namespace $space >/dev/null
  kubectl config set-context --current --namespace=$space >/dev/null
  pod() { printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: build-agent-mtkhb0-build-pod, namespace: %s}\nspec:\n  containers:\n  - name: step-build\n    image: quay.io/example/builder:1\n    resources: %s\n    securityContext: %s\n' $space "${1:-{\}}" "${2:-{\}}"; }
  fresh

  kubectl create -n $space quota compute-resources --hard=limits.memory=2Gi,pods=10 >/dev/null
  until [[ -n $(kubectl get -n $space quota compute-resources -o jsonpath='{.status.hard}') ]]; do :; done
  pod '{limits: {memory: 4Gi}}' >pod.yaml
  record quota-exceeded kubectl "$kubectl" <<<'kubectl create -f pod.yaml'
  pod >pod.yaml
  record quota-must-specify kubectl "$kubectl" <<<'kubectl create -f pod.yaml'
  kubectl delete -n $space quota compute-resources >/dev/null
  printf 'apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits, namespace: %s}\nspec:\n  limits:\n  - {type: Container, max: {memory: 1Gi}}\n' $space | kubectl apply -f - >/dev/null
  pod '{limits: {memory: 4Gi}}' >pod.yaml
  record limit-range kubectl "$kubectl" <<<'kubectl create -f pod.yaml'
  kubectl delete -n $space limitrange limits >/dev/null

  kubectl label namespace $space pod-security.kubernetes.io/enforce=restricted >/dev/null
  pod '{}' '{privileged: true}' >pod.yaml
  record pod-security kubectl "$kubectl" <<<'kubectl create -f pod.yaml'
  kubectl label namespace $space pod-security.kubernetes.io/enforce- >/dev/null

  kubectl create -n $space serviceaccount pipeline >/dev/null 2>&1
  kubectl create -n $space deployment agent --image=quay.io/example/agent:1 >/dev/null
  record rbac-delete-pods kubectl "$kubectl" <<<"kubectl --as=system:serviceaccount:$space:pipeline delete pod agent-7d9c6b5f4-x2z8k"
  record rbac-patch-deployment kubectl "$kubectl" <<<"kubectl --as=system:serviceaccount:$space:pipeline set image deployment/agent agent=quay.io/example/agent:2"
  record rbac-other-namespace kubectl "$kubectl" <<<"kubectl --as=system:serviceaccount:$space:pipeline get secrets -n kube-system"
  record api-unauthorised kubectl "$kubectl" <<<'kubectl --kubeconfig=/dev/null --server=$(kubectl config view --minify -o jsonpath={.clusters[0].cluster.server}) --insecure-skip-tls-verify --token=expired get pods'
  record deployment-missing kubectl "$kubectl" <<<'kubectl rollout restart deployment/agents'
  printf 'apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: agent}\n' >service.yaml
  record kind-missing kubectl "$kubectl" <<<'kubectl apply -f service.yaml'
  printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: agent2}\nspec:\n  replicas: two\n  template:\n    spec: {containers: []}\n' >deployment.yaml
  record manifest-invalid kubectl "$kubectl" <<<'kubectl apply -f deployment.yaml'
  printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: agent2\n   labels: {a: b}\n' >deployment.yaml
  record manifest-not-yaml kubectl "$kubectl" <<<'kubectl apply -f deployment.yaml'
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {serviceAccountName: builder-bot, containers: [{name: c, image: quay.io/example/x:1}]}\n' >pod.yaml
  record service-account-missing kubectl "$kubectl" <<<'kubectl create -f pod.yaml'

  kubectl patch -n $space deployment agent -p '{"spec":{"progressDeadlineSeconds":2,"template":{"spec":{"containers":[{"name":"agent","envFrom":[{"configMapRef":{"name":"agent-settings"}}]}]}}}}' >/dev/null
  record rollout-deadline kubectl "$kubectl" <<<'kubectl rollout status deployment/agent --timeout=60s'
  kubectl patch -n $space deployment agent -p '{"spec":{"progressDeadlineSeconds":600}}' >/dev/null
  record rollout-timeout kubectl "$kubectl" <<<'kubectl rollout status deployment/agent --timeout=2s'
  record wait-timeout kubectl "$kubectl" <<<'kubectl wait --for=condition=Ready pod -l app=agent --timeout=1s'
  kubectl delete namespace $space --wait=false >/dev/null
else
  ((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " != *" cluster "* ]] || echo "cluster: no API server; start a lab and eval its environment" >&2
fi
alias=registry.example:5000
