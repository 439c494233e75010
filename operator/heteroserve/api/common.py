"""What both kinds share: the types that occur more than once, metadata and conditions."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from heteroserve.api.schema import Check, Column, Extra, Model, list_map, matches

GROUP = "heteroserve.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# parts of regular expressions: a DNS label, a DNS name, and a name that may stand behind a domain
LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DOMAIN = f"{LABEL}([.]{LABEL})*"
NAME = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"

AGE = Column("Age", "date", ".metadata.creationTimestamp", "Time since the object was created.")


def _utc_seconds(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


# the API's times have whole seconds; cut on the way in, so that what was written equals what is read back
Time = Annotated[AwareDatetime, AfterValidator(_utc_seconds)]


def _micros(money: Decimal) -> Decimal:
    return rounded if (rounded := round(money, 6)) != money else money


Money = Annotated[
    Decimal,
    AfterValidator(_micros),
    PlainSerializer(lambda money: f"{money:f}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 16}),
    matches(
        "[0-9]{1,9}([.][0-9]{1,6})?",
        'must be a decimal number in quotes, not negative, with at most 6 decimals, such as "0.71"',
    ),
]

Quantity = Annotated[
    str,
    BeforeValidator(str),  # `cpu: 1` is an integer in YAML
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 32,
        }
    ),
    Check(
        "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
        "must be a Kubernetes quantity above 0, such as 500m, 2 or 1Gi",
    ),
]

Label = Annotated[
    str,
    Field(min_length=1, max_length=63),
    matches(
        LABEL,
        "must consist of lower-case letters, digits and '-', and start and end with a letter or digit, such as gpu-l4",
    ),
]

Subdomain = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matches(
        DOMAIN,
        "must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.', such as my-object",
    ),
]

ConfigName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    matches(
        "[a-zA-Z0-9_][a-zA-Z0-9_.-]*",
        "must consist of letters, digits, '_', '-' and '.', and not start with '-' or '.', such as resnet50 or fp16",
    ),
]

RelativePath = Annotated[
    str,
    Field(min_length=1, max_length=255),
    Check(
        "self.matches('^[^/]+(/[^/]+)*$') && !self.matches('(^|/)[.][.]?(/|$)')",
        "must be a relative path without '.', '..', empty parts, or a '/' at either end, such as digits/1/model.onnx",
    ),
]

ImageReference = Annotated[
    str,
    Field(min_length=1, max_length=512),
    matches(
        "([a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
        "(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?",
        "must be an image reference without a scheme, such as registry.example/team/name:1.2 or "
        "name@sha256:<64 hexadecimal digits>",
    ),
    Check(
        "self.matches('(:[^/:]+|@.+)$')",
        "must name a tag or a digest: without one, replicas that start on different days run different images; "
        "append :<version> or @sha256:<digest>",
    ),
    Check(
        "!self.endsWith(':latest')",
        "must not use the tag latest: replicas that start on different days would run different images; "
        "write the version, such as :2.51.0, or a digest",
    ),
]


class ObjectMeta(Model):
    """The part of an object's metadata that the operator looks at."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


# the API server documents its own metadata; a CRD may restrict the name, and has to for rules that point to it
Metadata = Annotated[
    ObjectMeta,
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "name": {
                    "type": "string",
                    "maxLength": 63,
                    "description": "Name of the object, unique among the objects of its kind and namespace.",
                }
            },
        }
    ),
]


class Condition(Model):
    """One observation about the object, in the form that all of Kubernetes uses."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """What is observed, such as Ready. There is one condition of each type."""

    status: Literal["True", "False", "Unknown"]
    """Whether the observation holds: True, False, or Unknown where the operator could not find out."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why the status is what it is, as one word in CamelCase for programs. It is part of the API and stays the same
    between releases."""

    message: Annotated[str, AfterValidator(lambda text: text[:32768]), Extra({"maxLength": 32768})]
    """The same for people: what was seen, and what to do where something is to be done."""

    last_transition_time: Time
    """When the status last changed. A change of reason or message does not move it."""

    observed_generation: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    """The metadata.generation that was looked at. If it is older than the object's, the condition is about an earlier
    spec."""


ObservedGeneration = Annotated[int, Field(ge=0, le=2**53 - 1)]
Conditions = Annotated[tuple[Condition, ...], Field(max_length=32), list_map("type")]
