"""Services: one per class for the routes, and one over all classes that works without any gateway."""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import GRPC_PORT, HTTP_PORT, Manifest, class_object_name, manifest, serving_selector


def build_class_service(deployment: InferenceDeployment, class_name: str) -> Manifest:
    """The Service `<name>-<class>`, a backend of the routes."""
    head = manifest(deployment, "v1", "Service", class_object_name(deployment, class_name), class_name)
    return {**head, "spec": _spec(serving_selector(deployment, class_name))}


def build_service(deployment: InferenceDeployment) -> Manifest:
    """The Service `<name>` over all ready pods, whatever their class; nobody checks health behind it."""
    return {**manifest(deployment, "v1", "Service", deployment.key.name), "spec": _spec(serving_selector(deployment))}


def _spec(labels: dict[str, str]) -> Manifest:
    ports = [
        {"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
        {
            "name": "grpc",
            "port": GRPC_PORT,
            "targetPort": "grpc",
            "protocol": "TCP",
            "appProtocol": "kubernetes.io/h2c",
        },
    ]
    return {"type": "ClusterIP", "selector": labels, "ports": ports}
