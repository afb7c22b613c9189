"""Facts that roles of a catalog set for roles after them.

Writing user data creates no variable; upstream's roles set some of the same values as facts as well, and roles
beside ours read those (agnosticd-compat.md 5.2).
"""

from __future__ import annotations

SAME = (
    "gitea_url",
    "litellm_api_endpoint",
    "litellm_available_models",
    "litellm_key_alias",
    "litellm_key_duration",
    "litellm_key_id",
    "litellm_virtual_key",
    "openshift_cluster_ingress_domain",
)

# The repository every order of the lab has; its applications are deployed from it.
REPOSITORY = "mcp"


def compatible(data):
    """The facts that go with these global user data."""
    facts = {name: data[name] for name in SAME if name in data}
    url, domain = data.get("gitea_url"), data.get("openshift_cluster_ingress_domain")
    if not url:
        return facts
    if data.get("gitea_user"):
        facts["ocp4_workload_gitops_bootstrap_repo_url"] = f"{url.rstrip('/')}/{data['gitea_user']}/{REPOSITORY}.git"
    label = url.split("://", 1)[-1].rstrip("/").removesuffix(f".{domain}")
    if label.startswith("gitea-") and "." not in label:
        facts["gitea_internal_url"] = f"http://gitea.{label.removeprefix('gitea-')}.svc.cluster.local:3000"
    return facts
