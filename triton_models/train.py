"""Train the sample model and write the Triton model repository that serves it, in a few seconds.

The model reads handwritten digits, 8x8 pixels each, from the data set that scikit-learn ships. It comes in two variants
that one repository serves: fp32, and int8 for CPUs, quantised with ONNX Runtime and calibrated on training images only.

    repository/digits/config.pbtxt            the fp32 variant, for a server that asks for none by name
    repository/digits/configs/fp32.pbtxt      tritonserver --model-config-name=fp32
    repository/digits/configs/int8.pbtxt      tritonserver --model-config-name=int8
    repository/digits/1/model_fp32.onnx       what they serve
    repository/digits/1/model_int8.onnx
    repository/digits/accuracy.json           how right each variant is on images it never saw
    repository/digits/held_out.npz            those images, their labels, and each variant's answers

Nothing is done when the repository was already built from the same code, libraries and options.
"""

import argparse
import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import configuration
import network

HERE = Path(__file__).parent
LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "tritonclient")
VERSION = "1"


def main(arguments: list[str] | None = None) -> int:
    """Build, or say that nothing has to be built."""
    options = parse(arguments)
    folder = options.output / configuration.MODEL
    digest = built_from(seed=options.seed, epochs=options.epochs)
    if not options.force and digest == recorded_digest(folder):
        print(f"{folder} is up to date")
        return 0
    try:
        build(folder, seed=options.seed, epochs=options.epochs, digest=digest)
    except OSError as error:
        print(f"--output {options.output}: {error.strerror}: name a folder that can be written", file=sys.stderr)
        return 1
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        default=HERE / "repository",
        help="the model repository to write (default: repository/ beside this file)",
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed trains another network (default: 1)")
    parser.add_argument(
        "--epochs", type=positive, default=40, help="passes over the 1,257 training images (default: 40)"
    )
    parser.add_argument("--force", action="store_true", help="build even when the repository is up to date")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """A whole number from 1, as argparse wants to hear of it."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def build(folder: Path, *, seed: int, epochs: int, digest: str) -> None:
    """Write the whole model folder; the record comes last, so that a build cut short is not taken for a good one."""
    configuration.write(folder)
    (folder / VERSION).mkdir(exist_ok=True)
    data = network.data()
    print(f"training on {len(data.images)} images, {len(data.held_out_images)} held out, seed {seed}")
    layers = network.train(data, seed=seed, epochs=epochs, progress=lambda *now: report(*now, epochs=epochs))
    files = {variant: folder / VERSION / configuration.filename(variant) for variant in configuration.KINDS}
    onnx.save(network.graph(layers), files["fp32"])
    print("quantising to int8")
    network.quantize(files["fp32"], files["int8"], data.images)
    answers = {variant: network.answers(file, data.held_out_images) for variant, file in files.items()}
    np.savez_compressed(
        folder / "held_out.npz",
        images=data.held_out_images.astype(np.uint8),
        labels=data.held_out_labels,
        variants=np.array(list(answers)),
        answers=np.stack(list(answers.values())),
    )
    record = accuracy(data, files, answers) | {"seed": seed, "epochs": epochs, "builtFrom": digest}
    (folder / "accuracy.json").write_text(json.dumps(record, indent=2) + "\n")
    summarise(folder, record)


def report(epoch: int, loss: float, *, epochs: int) -> None:
    """A line of progress now and then."""
    if epoch % 10 == 0 or epoch == epochs:
        print(f"  epoch {epoch}/{epochs}  loss {loss:.4f}", flush=True)


def accuracy(data: network.Data, files: dict[str, Path], answers: dict[str, network.Labels]) -> dict[str, Any]:
    """The figures of accuracy.json, with what a reader needs to reproduce and to doubt them."""
    total = len(data.held_out_labels)
    variants = {}
    for variant, given in answers.items():
        right = int((given == data.held_out_labels).sum())
        low, high = network.wilson(right, total)
        share = {"accuracy": round(right / total, 4), "interval95": [round(low, 4), round(high, 4)]}
        variants[variant] = {"right": right, **share, "bytes": files[variant].stat().st_size}
    return {
        "data": f"scikit-learn's load_digits; {total} of {total + len(data.labels)} images held out, stratified",
        "interval": "Wilson score interval, 95 %, of the share of held-out images read right",
        "variants": variants,
        "readDifferently": int((answers["fp32"] != answers["int8"]).sum()),
        "heldOutImages": total,
    }


def summarise(folder: Path, record: dict[str, Any]) -> None:
    """The result in lines to read."""
    for variant, found in record["variants"].items():
        low, high = found["interval95"]
        print(
            f"{variant}: accuracy {found['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), "
            f"{found['right']} of {record['heldOutImages']} right, {found['bytes'] / 1000:.0f} kB"
        )
    print(f"fp32 and int8 read {record['readDifferently']} of {record['heldOutImages']} held-out images differently")
    print(f"wrote {folder}")


def built_from(**options: int) -> str:
    """A digest of all that the result depends on."""
    sources = [HERE / name for name in ("train.py", "network.py", "configuration.py")]
    code = {source.name: hashlib.sha256(source.read_bytes()).hexdigest() for source in sources}
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return hashlib.sha256(json.dumps([code, versions, options]).encode()).hexdigest()


def recorded_digest(folder: Path) -> str | None:
    """What the repository was built from, None when there is no whole one."""
    try:
        return str(json.loads((folder / "accuracy.json").read_text())["builtFrom"])
    except (OSError, ValueError, KeyError):
        return None


if __name__ == "__main__":
    sys.exit(main())
