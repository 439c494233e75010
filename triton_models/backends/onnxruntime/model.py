"""A Triton backend named ``onnxruntime``, in Python, for servers that carry the Python backend alone.

Laid beside ``backends/python/`` as ``backends/onnxruntime/model.py`` it serves every model whose configuration says
``backend: "onnxruntime"``: one model repository then runs here and, natively, on NVIDIA's full image. It reads from the
configuration what the native backend reads: ``default_model_filename``, the batch size, the tensors, and the parameters
``intra_op_thread_count``, ``inter_op_thread_count`` and ``execution_mode``.

One difference is wanted: a session uses one thread unless told otherwise. The native default is one per core of the
*machine*, and in a pod with a small CPU limit those threads only take the limit's time slices from each other.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils  # exists only inside Triton's stub process

Feed = dict[str, np.ndarray]

ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_UINT16": "tensor(uint16)",
    "TYPE_UINT32": "tensor(uint32)",
    "TYPE_UINT64": "tensor(uint64)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
    "TYPE_STRING": "tensor(string)",
}
ERRORS_ONLY = 3  # ONNX Runtime's severity; below it, every start in a container warns of missing graphics devices


class TritonPythonModel:
    """One instance of one model: a session, and the names of the tensors that go through it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model file; whatever is wrong here becomes the reason that Triton's index shows."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        path = folder / (config.get("default_model_filename") or "model.onnx")
        self._session = open_session(path, session_options(config))
        self._inputs = checked_names(path, "input", config["input"], self._session.get_inputs())
        self._outputs = checked_names(path, "output", config["output"], self._session.get_outputs())
        self._batches = config.get("max_batch_size", 0) > 0

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request, with one run for all of them where the model has a batch dimension."""
        if self._batches and len(requests) > 1:
            try:
                return self._answer_together(requests)
            except Exception as error:  # noqa: BLE001  # one bad request must not spoil its neighbours: see below
                pb_utils.Logger.log_warn(f"batch of {len(requests)} requests failed, running each alone: {error}")
        return [self._answer_alone(request) for request in requests]

    def finalize(self) -> None:
        """Free the session's memory before the process ends."""
        del self._session

    def _answer_together(self, requests: Sequence[Any]) -> list[Any]:
        feeds = [self._feed(request) for request in requests]
        sizes = [len(feed[self._inputs[0]]) for feed in feeds]
        results = self._run({name: np.concatenate([feed[name] for feed in feeds]) for name in self._inputs})
        for name, result in results.items():
            if len(result) != sum(sizes):
                raise ValueError(f"output {name} has {len(result)} rows for a batch of {sum(sizes)}")
        ends = np.cumsum(sizes)
        rows = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        return [
            response(request, {name: result[part] for name, result in results.items()})
            for request, part in zip(requests, rows, strict=True)
        ]

    def _answer_alone(self, request: Any) -> Any:
        try:
            return response(request, self._run(self._feed(request)))
        except Exception as error:  # noqa: BLE001  # whatever it was belongs in this request's answer
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"inference failed: {error}"))

    def _feed(self, request: Any) -> Feed:
        tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs}
        missing = [name for name, tensor in tensors.items() if tensor is None]
        if missing:
            raise ValueError(f"input {', '.join(missing)} is missing")
        return {name: tensor.as_numpy() for name, tensor in tensors.items()}

    def _run(self, feed: Feed) -> Feed:
        return dict(zip(self._outputs, self._session.run(self._outputs, feed), strict=True))


def response(request: Any, results: Feed) -> Any:
    """The answer to one request: the outputs it asked for and no others."""
    wanted = request.requested_output_names()
    # ascontiguousarray: a slice of a batch shares its memory, and Triton copies by the buffer's size.
    tensors = [pb_utils.Tensor(name, np.ascontiguousarray(results[name])) for name in wanted]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def session_options(config: dict[str, Any]) -> onnxruntime.SessionOptions:
    """ONNX Runtime's options from the model parameters that the native backend knows."""
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = parameter(config, "intra_op_thread_count", 1)
    options.inter_op_num_threads = parameter(config, "inter_op_thread_count", 1)
    if parameter(config, "execution_mode", 0) == 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    # Threads that spin while they wait burn the pod's CPU limit for nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def parameter(config: dict[str, Any], name: str, default: int) -> int:
    """A whole number from the configuration's ``parameters``."""
    text = config.get("parameters", {}).get(name, {}).get("string_value", str(default))
    if not text.isdecimal():
        raise pb_utils.TritonModelException(f"parameter {name} is {text!r}: give a whole number, 0 or more")
    return int(text)


def open_session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A session on the CPU, or an error that names the file."""
    if not path.is_file():
        raise pb_utils.TritonModelException(
            f"{path} does not exist: put the model there or name another file in default_model_filename"
        )
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no narrower base class
        raise pb_utils.TritonModelException(f"{path} is not a model that ONNX Runtime can open: {error}") from error


def checked_names(path: Path, kind: str, configured: list[dict[str, Any]], found: list[Any]) -> list[str]:
    """The tensors' names, once the configuration and the model file agree on names and types."""
    want = {tensor["name"]: ONNX_TYPES.get(tensor["data_type"], tensor["data_type"]) for tensor in configured}
    have = {tensor.name: tensor.type for tensor in found}
    unknown = {name: kind_ for name, kind_ in want.items() if have.get(name) != kind_}
    missing = set(have) - set(want) if kind == "input" else set()  # outputs nobody wants may be left out
    if unknown or missing:
        raise pb_utils.TritonModelException(f"{path} has the {kind}s {have}, its configuration says {want}")
    return list(want)
