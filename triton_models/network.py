"""The digits classifier: its data, its training, its ONNX graph in fp32 and in int8, and how right each of them is.

The network is a perceptron of two hidden layers, small enough to train in seconds on one core and large enough that
eight-bit weights save three quarters of the file. scikit-learn trains it; the graph is written node by node, so that no
deep-learning framework is needed and the opset and IR versions stay ones that every Triton of recent years can read.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime import quantization
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Layers = list[tuple[Images, Images]]  # weights [in, out] and bias [out] of each layer

INPUT, OUTPUT = "image", "probabilities"
PIXELS, CLASSES = 64, 10
BRIGHTEST = 16  # the data set's pixels are 0 to 16
HELD_OUT = 0.3
SPLIT_SEED = 20  # apart from the training's seed: whatever the training does, the held-out images stay the same
HIDDEN = (512, 256)
OPSET, IR_VERSION = 17, 8
BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The images and labels to learn from, and those kept apart to judge by."""

    images: Images
    labels: Labels
    held_out_images: Images
    held_out_labels: Labels


def data() -> Data:
    """The 1,797 images of scikit-learn's digits, split once and for all with the labels' shares kept."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images.astype(np.float32), labels, test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    return Data(images=parts[0], held_out_images=parts[1], labels=parts[2], held_out_labels=parts[3])


def train(given: Data, *, seed: int, epochs: int, progress: Callable[[int, float], None]) -> Layers:
    """The layers after so many passes over the training images; ``progress`` hears the loss after each pass."""
    model = MLPClassifier(HIDDEN, batch_size=BATCH, alpha=1e-3, random_state=seed)
    for epoch in range(1, epochs + 1):
        model.partial_fit(given.images / BRIGHTEST, given.labels, classes=range(CLASSES))
        progress(epoch, float(model.loss_))
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    # The first layer takes over the scaling of the pixels: clients send them as the data set has them.
    return [(layers[0][0] / BRIGHTEST, layers[0][1]), *layers[1:]]


def graph(layers: Layers) -> onnx.ModelProto:
    """The layers as an ONNX graph: image [batch, 64] in, probabilities [batch, 10] out."""
    nodes, constants, last = [], [], INPUT
    for number, (weights, bias) in enumerate(layers, start=1):
        constants += [
            onnx.numpy_helper.from_array(weights.astype(np.float32), f"weights{number}"),
            onnx.numpy_helper.from_array(bias.astype(np.float32), f"bias{number}"),
        ]
        inputs = [last, f"weights{number}", f"bias{number}"]
        nodes.append(onnx.helper.make_node("Gemm", inputs, [f"sum{number}"], f"layer{number}"))
        end = number == len(layers)
        last = OUTPUT if end else f"active{number}"
        nodes.append(onnx.helper.make_node("Softmax" if end else "Relu", [f"sum{number}"], [last], f"active{number}"))
    tensor = onnx.helper.make_tensor_value_info
    ends = [
        tensor(name, onnx.TensorProto.FLOAT, ["batch", size]) for name, size in ((INPUT, PIXELS), (OUTPUT, CLASSES))
    ]
    body = onnx.helper.make_graph(nodes, "digits", ends[:1], ends[1:], constants)
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(body, opset_imports=[opset], ir_version=IR_VERSION, producer_name="heteroserve")
    onnx.checker.check_model(model, full_check=True)
    return model


class Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    """Shows the quantiser what flows through the network: images of the training part, never held-out ones."""

    def __init__(self, images: Images) -> None:
        """Read ``images`` batch by batch, once."""
        self._batches: Iterator[Images] = iter(np.array_split(images, math.ceil(len(images) / BATCH)))

    def get_next(self) -> dict[str, Images] | None:
        """The next batch, and None after the last, as the quantiser wants it."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantize(fp32: Path, int8: Path, images: Images) -> None:
    """Write the int8 twin of ``fp32``: signed weights per channel, activations by what ``images`` showed."""
    with quiet_logging():  # it recommends a preparation that this graph has no use for
        quantization.quantize_static(
            fp32,
            int8,
            Calibration(images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Gemm", "Relu"],  # Softmax keeps its precision, it costs next to nothing
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
        )


@contextlib.contextmanager
def quiet_logging() -> Iterator[None]:
    """The root logger at errors only, for a library that logs there."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def answers(model: Path, images: Images) -> Labels:
    """The digit that the model file sees in each image."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    probabilities = session.run([OUTPUT], {INPUT: images})[0]
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the usual one it stays honest near 100 %."""
    z = 1.959964
    share, scale = right / total, 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return middle - half, middle + half
