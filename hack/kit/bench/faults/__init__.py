"""The table of faults, by name."""

from kit.bench.faults.base import Fault
from kit.bench.faults.control import CONTROL_FAULTS, with_operator_killed
from kit.bench.faults.nodes import NODE_FAULTS
from kit.bench.faults.planned import PLANNED_FAULTS
from kit.bench.faults.pods import POD_FAULTS

SINGLE = {fault.name: fault for fault in (*NODE_FAULTS, *POD_FAULTS, *PLANNED_FAULTS, *CONTROL_FAULTS)}

WITH_THE_OPERATOR = (
    "node-killed",
    "node-frozen",
    "kubelet-stopped",
    "triton-killed",
    "triton-frozen",
    "device-unhealthy",
    "drain",
    "scale-down",
    "class-change",
    "class-frozen",
)
"""The faults that are tried once more with the operator killed at the same moment."""

FAULTS: dict[str, Fault] = SINGLE | {
    fault.name: fault for fault in (with_operator_killed(SINGLE[name]) for name in WITH_THE_OPERATOR)
}
