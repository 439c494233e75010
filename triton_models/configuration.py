"""The Triton configurations of the digits model, one per variant, as protocol buffers.

Triton picks ``configs/<variant>.pbtxt`` when it is started with ``--model-config-name=<variant>`` and falls back to
``config.pbtxt`` for any name it does not find, a misspelt one too: the metric tag ``variant`` shows which one serves.
"""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

import network

MODEL = "digits"
MAX_BATCH = 32
DEFAULT_VARIANT = "fp32"
# fp32 may sit on any device the server has (KIND_GPU would refuse to start where there is none); int8 is made for CPUs.
KINDS = {
    "fp32": triton.ModelInstanceGroup.KIND_AUTO,
    "int8": triton.ModelInstanceGroup.KIND_CPU,
}


def filename(variant: str) -> str:
    """The model file of a variant, beside its siblings in the version's folder."""
    return f"model_{variant}.onnx"


def configuration(variant: str) -> triton.ModelConfig:
    """What Triton has to know to serve one variant."""
    return triton.ModelConfig(
        name=MODEL,
        backend="onnxruntime",
        default_model_filename=filename(variant),
        max_batch_size=MAX_BATCH,
        input=[triton.ModelInput(name=network.INPUT, data_type=triton.TYPE_FP32, dims=[network.PIXELS])],
        output=[triton.ModelOutput(name=network.OUTPUT, data_type=triton.TYPE_FP32, dims=[network.CLASSES])],
        instance_group=[triton.ModelInstanceGroup(kind=KINDS[variant], count=1)],
        # No waiting for company: requests that come while a batch runs form the next one, and a lone request would wait
        # longer than its answer takes (measured: 0.5 ms of delay halve the throughput of one request at a time).
        dynamic_batching=triton.ModelDynamicBatching(),
        # Threads per instance, on the native backend too: its default is one per core of the machine.
        parameters={"intra_op_thread_count": triton.ModelParameter(string_value="1")},
        metric_tags={"variant": variant},
        model_warmup=[warmup("one", 1), warmup("full", MAX_BATCH)],
    )


def warmup(name: str, batch: int) -> triton.ModelWarmup:
    """Noise to run before the model counts as ready, so that the first client does not pay for first times."""
    noise = triton.ModelWarmup.Input(data_type=triton.TYPE_FP32, dims=[network.PIXELS], random_data=True)
    return triton.ModelWarmup(name=name, batch_size=batch, inputs={network.INPUT: noise})


def write(model_folder: Path) -> None:
    """Write every variant's configuration, and the default one."""
    (model_folder / "configs").mkdir(parents=True, exist_ok=True)
    for variant in KINDS:
        text = text_format.MessageToString(configuration(variant))
        (model_folder / "configs" / f"{variant}.pbtxt").write_text(text)
        if variant == DEFAULT_VARIANT:
            (model_folder / "config.pbtxt").write_text(text)
