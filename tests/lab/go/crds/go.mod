// Module crds only pins where the lab's CustomResourceDefinitions come from: the lab downloads these
// modules and reads the manifests in them; nothing is compiled.
module crds

go 1.26

require (
	github.com/argoproj/argo-cd/v3 v3.1.16
	github.com/openshift/api v0.0.0-20250711200046-c86d80652a9e
	github.com/stacklok/toolhive v0.47.0
	github.com/tektoncd/pipeline v1.6.0
)
