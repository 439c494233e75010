"""Names, labels and owner references: the one place where they are made up.

Users and tests depend on these names. Every object of ours is owned by its InferenceDeployment, so that the garbage
collector removes it even when the operator is gone; there is no finalizer.
"""

from typing import Any

from heteroserve.model.deployment import InferenceDeployment

Manifest = dict[str, Any]

GROUP = "heteroserve.dev"
API_VERSION = f"{GROUP}/v1alpha1"
MANAGED_BY = {"app.kubernetes.io/managed-by": "heteroserve"}
DEPLOYMENT_LABEL = f"{GROUP}/deployment"
CLASS_LABEL = f"{GROUP}/class"
VERSION_ANNOTATION = f"{GROUP}/model-version"
"""On pods: the version that was asked for when they were made."""

SERVING_LABEL = f"{GROUP}/serving"
"""On pods: Services lead to those alone where it says `true`, as it does from the start."""
OUT_SINCE_ANNOTATION = f"{GROUP}/out-since"
DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
"""Kubernetes' own: of the pods of a class that are ready, the one with the lowest goes first."""
GOES_FIRST = "-1"
"""Our deletion cost of what goes first; all others have none, which counts as 0."""
EVACUATE_LABEL = f"{GROUP}/evacuate"
"""On nodes and HardwareClasses, whatever its value: everything is to leave, and nothing new comes."""
DRILL_ANNOTATION = f"{GROUP}/drill-until"
"""On nodes and HardwareClasses: until when their loss is rehearsed."""

HTTP_PORT, GRPC_PORT, METRICS_PORT = 8000, 8001, 8002


def class_object_name(deployment: InferenceDeployment, class_name: str) -> str:
    """Name of the Deployment, Service and PodDisruptionBudget of one class."""
    return f"{deployment.key.name}-{class_name}"


def selector(deployment: InferenceDeployment, class_name: str | None = None) -> dict[str, str]:
    """Labels that select the pods of one class, or of all classes."""
    labels = {DEPLOYMENT_LABEL: deployment.key.name}
    return labels if class_name is None else {**labels, CLASS_LABEL: class_name}


def serving_selector(deployment: InferenceDeployment, class_name: str | None = None) -> dict[str, str]:
    """Labels that select those of them that are in the traffic."""
    return {**selector(deployment, class_name), SERVING_LABEL: "true"}


def manifest(
    deployment: InferenceDeployment, api_version: str, kind: str, name: str, class_name: str | None = None
) -> Manifest:
    """The head of an object of ours: kind, name, labels and owner."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": deployment.key.namespace,
            "labels": {
                "app.kubernetes.io/name": "triton",
                "app.kubernetes.io/instance": deployment.key.name,
                **MANAGED_BY,
                **selector(deployment, class_name),
            },
            "ownerReferences": [_owner(deployment)],
        },
    }


def _owner(deployment: InferenceDeployment) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceDeployment",
        "name": deployment.key.name,
        "uid": deployment.uid,
        "controller": True,
        "blockOwnerDeletion": False,  # would need rights on the owner's finalizers, and there are none
    }
