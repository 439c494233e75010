"""PodDisruptionBudgets: a drain takes one replica of a class at a time, and never waits for a broken one."""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import Manifest, class_object_name, manifest, selector


def build_disruption_budget(deployment: InferenceDeployment, class_name: str) -> Manifest:
    """The PodDisruptionBudget of one class. `maxUnavailable`, because replicas come and go by plan."""
    name = class_object_name(deployment, class_name)
    return {
        **manifest(deployment, "policy/v1", "PodDisruptionBudget", name, class_name),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(deployment, class_name)},
        },
    }
