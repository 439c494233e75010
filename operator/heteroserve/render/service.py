"""Services: one per class for the routes, and one over all classes that works without any gateway."""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import GRPC_PORT, HTTP_PORT, Manifest, class_object_name, manifest, selector


def build_class_service(deployment: InferenceDeployment, class_name: str, *, checked: bool) -> Manifest:
    """The Service `<name>-<class>`, a backend of the routes.

    `checked`: the gateway asks every replica for its health. It then needs all addresses, of pods that start or
    leave as well: a class without any is answered 503, and its pods are enough to prevent that. A gateway that does
    not ask would send requests to them.
    """
    head = manifest(deployment, "v1", "Service", class_object_name(deployment, class_name), class_name)
    every_address = {"publishNotReadyAddresses": True} if checked else {}
    return {**head, "spec": {**_spec(selector(deployment, class_name)), **every_address}}


def build_service(deployment: InferenceDeployment) -> Manifest:
    """The Service `<name>` over all ready pods, whatever their class; nobody checks health behind it."""
    return {**manifest(deployment, "v1", "Service", deployment.key.name), "spec": _spec(selector(deployment))}


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
