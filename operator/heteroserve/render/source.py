"""Where the pods find the model repository: the volumes, mounts, environment and URI of each kind of source.

An object store is read by Triton itself, in Triton's own URI form; the operator never opens an address or a Secret.
"""

from heteroserve.model.deployment import ClaimSource, ConfigMapSource, ImageSource, ModelSource, ObjectStoreSource
from heteroserve.render.metadata import Manifest

MODELS_PATH = "/models"
CONFIG_MAP_FOLDER = "repository"
"""The repository's folder in the volume of a ConfigMap, whose root holds folders of the kubelet's own (`..data`)."""


def repository_uri(source: ModelSource) -> str:
    """What `--model-repository` names."""
    match source:
        case ObjectStoreSource(uri=uri):
            return uri
        case ClaimSource(path=path) if path:
            return f"{MODELS_PATH}/{path}"
        case ConfigMapSource():
            return f"{MODELS_PATH}/{CONFIG_MAP_FOLDER}"
        case _:
            return MODELS_PATH


def source_volumes(source: ModelSource) -> list[Manifest]:
    """The pod's volumes."""
    match source:
        case ImageSource():
            pull = {"pullPolicy": source.pull_policy} if source.pull_policy else {}
            return [{"name": "models", "image": {"reference": source.reference, **pull}}]
        case ClaimSource():
            return [{"name": "models", "persistentVolumeClaim": {"claimName": source.claim_name, "readOnly": True}}]
        case ConfigMapSource():
            items = [{"key": key, "path": f"{CONFIG_MAP_FOLDER}/{path}"} for key, path in source.items]
            return [{"name": "models", "configMap": {"name": source.name, "items": items}}]
        case ObjectStoreSource():
            return []


def source_mounts(source: ModelSource) -> list[Manifest]:
    """The container's mounts of these volumes, read-only."""
    return [{"name": v["name"], "mountPath": MODELS_PATH, "readOnly": True} for v in source_volumes(source)]


def source_env(source: ModelSource) -> Manifest:
    """The container's environment: the Secret's keys, by the Secret's name alone."""
    if isinstance(source, ObjectStoreSource) and source.credentials_secret:
        return {"envFrom": [{"secretRef": {"name": source.credentials_secret}}]}
    return {}
