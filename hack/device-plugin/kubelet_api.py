"""The messages of the kubelet's device plugin API v1beta1, as far as an emulated device needs them.

Built from descriptors, so that nothing has to be generated. Field numbers are the API's; what is left out (mounts,
device files, topology, preferred allocation) is optional in it and skipped by both sides. A map travels as a list of
key and value.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

VERSION = "v1beta1"
HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"

# message: fields by number; "[X]" is a list of X
_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Empty": {},
    "Options": {1: ("pre_start_required", "bool"), 2: ("get_preferred_allocation_available", "bool")},
    "RegisterRequest": {
        1: ("version", "string"),
        2: ("endpoint", "string"),
        3: ("resource_name", "string"),
        4: ("options", "Options"),
    },
    "Device": {1: ("id", "string"), 2: ("health", "string")},
    "ListAndWatchResponse": {1: ("devices", "[Device]")},
    "ContainerAllocateRequest": {1: ("devices_ids", "[string]")},
    "AllocateRequest": {1: ("container_requests", "[ContainerAllocateRequest]")},
    "Variable": {1: ("key", "string"), 2: ("value", "string")},
    "ContainerAllocateResponse": {1: ("envs", "[Variable]")},
    "AllocateResponse": {1: ("container_responses", "[ContainerAllocateResponse]")},
}
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"bool": _Field.TYPE_BOOL, "string": _Field.TYPE_STRING}


def _field(number: int, name: str, kind: str) -> descriptor_pb2.FieldDescriptorProto:
    one = kind.strip("[]")
    field = _Field(name=name, number=number, label=_Field.LABEL_REPEATED if one != kind else _Field.LABEL_OPTIONAL)
    if one in _SCALARS:
        field.type = _SCALARS[one]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{VERSION}.{one}"
    return field


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="deviceplugin.proto", package=VERSION, syntax="proto3")
    for message, fields in _MESSAGES.items():
        file.message_type.add(name=message, field=[_field(number, *rest) for number, rest in fields.items()])
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file())


def _class(message: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{VERSION}.{message}"))


Empty = _class("Empty")
Options = _class("Options")
RegisterRequest = _class("RegisterRequest")
Device = _class("Device")
ListAndWatchResponse = _class("ListAndWatchResponse")
ContainerAllocateRequest = _class("ContainerAllocateRequest")
AllocateRequest = _class("AllocateRequest")
Variable = _class("Variable")
ContainerAllocateResponse = _class("ContainerAllocateResponse")
AllocateResponse = _class("AllocateResponse")
