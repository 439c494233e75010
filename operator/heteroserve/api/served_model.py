"""The model that an InferenceDeployment serves, and where its repository is.

No field holds a namespace or the content of a Secret: whoever may write such an object must not reach through the
operator what they could not reach without it.
"""

from typing import Annotated, Literal

from pydantic import Field

from heteroserve.api.common import ConfigName, ImageReference, RelativePath, Subdomain
from heteroserve.api.schema import Check, Model, checks, list_map, matches


class ImageSource(Model):
    """A model repository in an OCI image."""

    reference: ImageReference
    """Image whose root is the model repository, with a tag or a digest, such as registry.example/models/digits:7. It
    is mounted as a volume (Kubernetes 1.33 or newer) and never run, so it needs no shell and no base image."""

    pull_policy: Literal["IfNotPresent", "Always", "Never"] | None = None
    """When the node fetches the image: IfNotPresent, Always or Never. Left out, IfNotPresent."""


class VolumeSource(Model):
    """A model repository on a volume."""

    claim_name: Subdomain
    """Name of a PersistentVolumeClaim in the same namespace. It is mounted read-only by every replica, so it must be
    readable from all of the nodes (ReadOnlyMany or ReadWriteMany)."""

    path: RelativePath | None = None
    """Folder of the volume that is the model repository, such as models/production. Left out, the volume's root."""


class ObjectStoreSource(Model):
    """A model repository in an object store."""

    uri: Annotated[
        str,
        Field(min_length=1, max_length=1024),
        matches(
            "(s3|gs|as)://[!-~]+",
            "must start with s3://, gs:// or as:// and contain no spaces, such as s3://bucket/models, "
            "gs://bucket/models, or s3://https://host:port/bucket/path for a store of your own",
        ),
        Check(
            "!self.startsWith('s3://http://') && !self.matches('^s3://[^/]*:[0-9]')",
            "must not use plain HTTP, which shows the model and the credentials to the network: "
            "write s3://https://host:port/bucket/path",
        ),
        Check(
            "!self.matches('^[a-z0-9]+://(https?://)?[^/]*@')",
            "must not contain a user or password: put them in a Secret and name it in credentialsSecret",
        ),
    ]
    """Address of the model repository: s3://bucket/path, gs://bucket/path, as://account/container/path, or
    s3://https://host:port/bucket/path for any other store that speaks S3. Plain HTTP is refused."""

    credentials_secret: Subdomain | None = None
    """Name of a Secret in the same namespace whose keys become environment variables of the replicas, such as
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. The operator never reads it. Left out, the replicas use the identity
    of their pod."""


class ConfigMapItem(Model):
    """One file of a model repository."""

    key: Annotated[
        str,
        Field(min_length=1, max_length=253),
        matches("[-._a-zA-Z0-9]+", "must be a key of the ConfigMap: letters, digits, '-', '_' and '.'"),
    ]
    """Key in the ConfigMap, such as config.pbtxt."""

    path: RelativePath
    """Where the file lies in the model repository, such as digits/config.pbtxt or digits/1/model.onnx."""


class ConfigMapSource(Model):
    """A model repository in a ConfigMap."""

    name: Subdomain
    """Name of a ConfigMap in the same namespace. It holds 1 MiB at most: for tiny models and tests."""

    items: Annotated[tuple[ConfigMapItem, ...], Field(min_length=1, max_length=64), list_map("path")]
    """The files of the model repository, because keys of a ConfigMap cannot name folders."""


class ModelSource(Model):
    """Where the model repository is. Exactly one of the fields is set."""

    image: ImageSource | None = None
    """The model repository is an OCI image. Nodes keep images, so replicas start without a store being up."""

    persistent_volume_claim: VolumeSource | None = None
    """The model repository is on a volume."""

    object_store: ObjectStoreSource | None = None
    """The model repository is in an object store. Triton reads it when a replica starts."""

    config_map: ConfigMapSource | None = None
    """The model repository is in a ConfigMap."""

    model_config = checks(
        Check(
            "[has(self.image), has(self.persistentVolumeClaim), has(self.objectStore), has(self.configMap)]"
            ".exists_one(given, given)",
            "must have exactly one of image, persistentVolumeClaim, objectStore and configMap",
        )
    )


class ServedModel(Model):
    """The model that is served."""

    name: Annotated[
        ConfigName,
        Check(
            "self == oldSelf",
            "must not change, because clients ask for the model by this name: create a new InferenceDeployment for "
            "another model, move the clients, and delete this one",
        ),
    ]
    """Name of the model: of its folder in the model repository, and what clients ask for. It cannot change."""

    version: (
        Annotated[
            str,
            Field(min_length=1, max_length=9),
            matches(
                "[1-9][0-9]*",
                'must be a version folder of the model repository, a number above 0 in quotes, such as "7"',
            ),
        ]
        | None
    ) = None
    """Version that is served, which is the name of a folder below the model's, in quotes, such as "7". The model's
    configuration must load it: without a version_policy Triton loads the highest version only. Left out, whatever
    Triton loads when a replica starts."""

    source: ModelSource
    """Where the model repository is. All classes share it; their variants are files in it."""
