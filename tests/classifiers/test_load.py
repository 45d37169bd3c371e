"""One door for every reference: modules, imports, TorchScript, exported programs, folders."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import (
    Classifier,
    ClassifierSpec,
    SmallCNN,
    check_classifier,
    describe,
    fingerprint,
    load_classifier,
    load_recorded,
    save_small_classifier,
)
from stylex.classifiers.programs import _is_plain_expression, load_exported
from stylex.core.errors import ClassifierError

Spec = Callable[..., ClassifierSpec]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, and an interpreter that forgets what was imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def write_module(folder: Path, name: str, text: str) -> None:
    head = "from torch import nn\nfrom stylex.classifiers import Classifier, ClassifierSpec\n"
    spec = "SPEC = ClassifierSpec(labels=('a', 'b'), input_size=8, channels=1)\n"
    net = "def net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n"
    (folder / f"{name}.py").write_text(head + spec + net + textwrap.dedent(text))


@pytest.mark.parametrize(
    "body",
    [
        "def load():\n    return net(), SPEC\n",
        "def load():\n    return Classifier(net(), SPEC)\n",
        "def load():\n    m = net()\n    m.spec = SPEC\n    return m\n",
        "def load():\n    m = net()\n    m.spec = SPEC.to_json()\n    return m\n",
        "load = Classifier(net(), SPEC)\n",
        "class load(nn.Module):\n    spec = SPEC\n    def forward(self, x):\n        return x.flatten(1)[:, :2]\n",
        "def load():\n    return (lambda x: x.flatten(1)[:, :2]), SPEC\n",
    ],
)
def test_import_references_are_found_in_the_working_directory(here: Path, body: str) -> None:
    write_module(here, "mine_ok", body)
    classifier = load_classifier("mine_ok:load")
    assert classifier.logits(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
    assert describe("mine_ok:load") == "mine_ok:load"


def test_a_given_spec_wins(here: Path, make_spec: Spec) -> None:
    write_module(here, "mine_spec", "def load():\n    return net(), SPEC\n")
    spec = make_spec(labels=("x", "y"), input_size=8, channels=1)
    assert load_classifier("mine_spec:load", spec).spec.labels == ("x", "y")


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("nowhere_at_all:load", "no module 'nowhere_at_all'"),
        ("mine_bad:absent", "has no 'absent'"),
        ("mine_bad:number", "not a callable"),
        ("mine_bad:raises", "ValueError: weights are gone second line"),
        ("mine_bad:exits", "SystemExit"),
        ("mine_bad:wants_argument", "TypeError"),
        ("mine_bad:gives_text", "gave str"),
        ("mine_bad:no_spec", "without a spec"),
        ("mine_bad:bad_spec", "unknown key color"),
        ("mine_bad:odd_spec", "must be a ClassifierSpec"),
        ("mine_syntax:load", "SyntaxError"),
        ("mine_needs:load", "timm_is_not_here"),
        ("mine bad:load", "cannot read"),
        ("mine_bad:", "cannot read"),
        ("mine_bad", "no such file"),
        ("absent.pt2", "no such file"),
        ("absent/model.pt", "no such file"),
    ],
)
def test_a_bad_reference_is_one_line(here: Path, reference: str, says: str) -> None:
    write_module(
        here,
        "mine_bad",
        """
        number = 3
        def raises(): raise ValueError("weights are gone\\nsecond line")
        def exits(): raise SystemExit(1)
        def wants_argument(path): return net()
        def gives_text(): return "model.pt"
        def no_spec(): return net()
        def bad_spec(): return net(), {"color": 1}
        def odd_spec(): return net(), 7
        """,
    )
    (here / "mine_syntax.py").write_text("def load(:\n")
    (here / "mine_needs.py").write_text("import timm_is_not_here\n")
    with pytest.raises(ClassifierError, match=says) as caught:
        load_classifier(reference)
    assert "\n" not in str(caught.value)


def script(model: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(model.eval()), path)


def export(model: nn.Module, path: Path, *, dynamic: bool = True, size: int = 16) -> None:
    n = torch.export.Dim("n", min=1, max=4096)
    shapes = ({0: n},) if dynamic else None
    batch = 2 if dynamic else 1
    program = torch.export.export(model.eval(), (torch.zeros(batch, 3, size, size),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        if "serialized_exported_program.json" in archive.namelist():
            with pytest.raises(ClassifierError, match="saved by an older torch"):
                load_exported(path)
            pytest.skip(f"torch {torch.__version__} saves programs in a form that is not read")


def test_no_code_is_imported_because_a_run_names_it(here: Path) -> None:
    (here / "mine_named.py").write_text("raise AssertionError('imported')\n")
    with pytest.raises(ClassifierError, match="give it again, classifier='mine_named:load', if you trust it"):
        load_recorded("mine_named:load")
    assert "mine_named" not in sys.modules


@pytest.mark.parametrize("reference", ["absent.pt", "a b:c", "", "a\0b", "x" * 5000])
def test_a_recorded_classifier_that_is_not_there_is_one_line(here: Path, reference: str) -> None:
    with pytest.raises(ClassifierError, match="is not there") as caught:
        load_recorded(reference)
    assert str(here) in str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".ts", ".pt2"])
@pytest.mark.integration
def test_programs_in_files_answer_as_the_module(
    conv: nn.Module, make_spec: Spec, x: Tensor, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    (export if suffix == ".pt2" else script)(conv, path)
    (tmp_path / f"model{suffix}.json").write_text(json.dumps(make_spec().to_json()))
    classifier = load_classifier(path)
    expected = Classifier(conv, make_spec())
    check_classifier(classifier, channels=3, resolution=32)
    for n in (1, 3, 4):
        torch.testing.assert_close(classifier.logits(x[:n]), expected.logits(x[:n]))
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    classifier.logits(one)[:, 0].sum().backward()
    expected.logits(other)[:, 0].sum().backward()
    torch.testing.assert_close(one.grad, other.grad)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(classifier.logits(x), expected.logits(x), rtol=0.05, atol=0.05)


@pytest.mark.integration
def test_an_exported_program_gives_the_same_maps(conv: nn.Module, make_spec: Spec, x: Tensor, tmp_path: Path) -> None:
    export(conv, tmp_path / "model.pt2")
    classifier = load_classifier(tmp_path / "model.pt2", make_spec())
    logits, features = classifier.logits_and_features(x.requires_grad_())
    expected = Classifier(conv, make_spec()).features(x)
    assert len(features) == len(expected) == 2
    for one, other in zip(features, expected, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(logits, classifier.logits(x))
    features[1].sum().backward()
    assert x.grad is not None


@pytest.mark.integration
def test_torchscript_gives_no_maps(conv: nn.Module, make_spec: Spec, x: Tensor, tmp_path: Path) -> None:
    script(conv, tmp_path / "model.pt")
    assert load_classifier(tmp_path / "model.pt", make_spec()).features(x) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("state.pt", "not a TorchScript program"),
        ("module.pt", "not a TorchScript program"),
        ("text.pt", "not a TorchScript program"),
        ("empty.pt2", "not a torch.export program"),
        ("text.pt2", "not a torch.export program"),
        ("zip.pt2", "not a torch.export program"),
        ("short.pt2", "not a torch.export program"),
        ("state.pth", "weights alone are no program"),
        ("model.onnx", "onnx"),
        ("model.keras", "no .keras file"),
        ("model.h5", "older format"),
        ("model.safetensors", "weights alone are no program"),
        ("bare.pt2", "comes without a spec"),
        ("wrong.pt2", "unknown key color"),
        ("nojson.pt2", "cannot be read"),
    ],
)
@pytest.mark.integration
def test_a_bad_file_is_one_line(conv: nn.Module, make_spec: Spec, tmp_path: Path, name: str, says: str) -> None:
    torch.save(conv.state_dict(), tmp_path / "state.pt")
    torch.save(conv.state_dict(), tmp_path / "state.pth")
    torch.save(conv, tmp_path / "module.pt")
    for text in ("text.pt", "text.pt2", "model.onnx", "model.keras", "model.h5", "model.safetensors"):
        (tmp_path / text).write_text("not a program")
    (tmp_path / "empty.pt2").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "zip.pt2", "w") as archive:
        archive.writestr("a/readme", "nothing")
    export(conv, tmp_path / "bare.pt2")
    whole = (tmp_path / "bare.pt2").read_bytes()
    (tmp_path / "wrong.pt2").write_bytes(whole)
    (tmp_path / "nojson.pt2").write_bytes(whole)
    (tmp_path / "short.pt2").write_bytes(whole[: len(whole) // 2])
    for file in tmp_path.iterdir():
        if file.name not in ("bare.pt2", "wrong.pt2", "nojson.pt2"):
            file.with_name(file.name + ".json").write_text(json.dumps(make_spec().to_json()))
    (tmp_path / "wrong.pt2.json").write_text('{"color": 1}')
    (tmp_path / "nojson.pt2.json").write_text("{")
    with pytest.raises(ClassifierError, match=says) as caught:
        load_classifier(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
@pytest.mark.integration
def test_a_program_that_is_damaged_inside_is_one_line_and_kills_nothing(
    conv: nn.Module, make_spec: Spec, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    (export if suffix == ".pt2" else script)(conv, path)
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(40 if suffix == ".pt2" else 6):  # each .pt is tried in another process
        at, n = rng.randrange(len(whole)), rng.randrange(1, 300)
        path.write_bytes(whole[:at] + rng.choice([b"", bytes(n), rng.randbytes(n)]) + whole[at + n :])
        with suppress(ClassifierError):
            load_classifier(path, make_spec())


@pytest.mark.parametrize("what", ["pipe", "device", "loop"])
@pytest.mark.parametrize("name", ["m.pt", "m.pt.json", "small/classifier.json", "small/weights.safetensors"])
def test_what_is_no_file_is_not_opened(conv: nn.Module, make_spec: Spec, tmp_path: Path, name: str, what: str) -> None:
    script(conv, tmp_path / "m.pt")
    (tmp_path / "m.pt.json").write_text(json.dumps(make_spec().to_json()))
    small = SmallCNN(channels=3, k=3, resolution=16, width=4)
    save_small_classifier(Classifier(small, make_spec()), tmp_path / "small")
    path = tmp_path / name
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"device": "/dev/zero", "loop": path.name}[what])
    with pytest.raises(ClassifierError):
        load_classifier(tmp_path / ("small" if name.startswith("small") else "m.pt"))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\xff"])
def test_json_of_any_depth_is_one_line(conv: nn.Module, tmp_path: Path, text: str) -> None:
    script(conv, tmp_path / "m.pt")
    (tmp_path / "m.pt.json").write_bytes(text.encode("latin-1"))
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "classifier.json").write_bytes(text.encode("latin-1"))
    (tmp_path / "small" / "weights.safetensors").touch()
    for name in ("m.pt", "small"):
        with pytest.raises(ClassifierError):
            load_classifier(tmp_path / name)


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.write_text, (self.path, "boom"))


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """The same archive with its records changed (written by torch's own writer)."""
    reader = torch._C.PyTorchFileReader(str(path))
    records = {name: change(name, reader.get_record(name)) for name in reader.get_all_records()}
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, record in records.items():
        if not name.startswith(".data/"):
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()


@pytest.mark.parametrize("where", ["weights", "sample_inputs", "expression", "target", "guard", "name"])
@pytest.mark.integration
def test_nothing_hidden_in_an_exported_program_runs(
    conv: nn.Module, make_spec: Spec, tmp_path: Path, where: str
) -> None:
    path, boom = tmp_path / "model.pt2", tmp_path / "boom"
    export(conv, path)
    code = f"__import__('pathlib').Path({str(boom)!r}).write_text('boom')"

    def poison(name: str, record: bytes) -> bytes:
        if where == "weights" and name == "data/weights/weight_0":
            out = io.BytesIO()
            torch.save(Bomb(boom), out)
            return out.getvalue()
        if where == "weights" and name.endswith("weights_config.json"):
            return record.replace(b'"use_pickle": false', b'"use_pickle": true')
        if where == "sample_inputs" and name.startswith("data/sample_inputs"):
            out = io.BytesIO()
            torch.save(Bomb(boom), out)
            return out.getvalue()
        if name == "models/model.json":
            tree = json.loads(record)
            if where == "guard":
                tree["guards_code"] = [code]
            text = json.dumps(tree)
            if where == "expression":
                i = text.index('"expr_str": "') + len('"expr_str": "')
                text = text[:i] + json.dumps(code)[1:-1] + text[text.index('"', i) :]
            if where == "target":
                text = text.replace("torch.ops.aten.mean.dim", "torch.os.system", 1)
                text = text.replace("torch.ops.aten.linear.default", "torch.os.system")
            if where == "name":
                text = text.replace('"forward_arg_names": ["x"]', f'"forward_arg_names": [{json.dumps("x=" + code)}]')
            return text.encode()
        return record

    rewrite(path, poison)
    if where == "guard":  # the text is never compiled; the program itself is sound
        load_classifier(path, make_spec()).logits(torch.zeros(1, 3, 16, 16))
    else:
        with pytest.raises(ClassifierError, match="is not opened"):
            load_classifier(path, make_spec())
    assert not boom.exists()


def test_rewriting_alone_leaves_a_program_sound(conv: nn.Module, make_spec: Spec, x: Tensor, tmp_path: Path) -> None:
    export(conv, tmp_path / "model.pt2")
    rewrite(tmp_path / "model.pt2", lambda name, record: record)
    load_classifier(tmp_path / "model.pt2", make_spec()).logits(x)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("2*s0 + Max(1, u3)//4", True),
        ("FloorDiv(s0 - 1, 2) + 1", True),
        ("s0.__class__", False),
        ("eval(Symbol('s1'))", False),
        ("Max('evil()', 1)", False),
        ("[x for x in (1, 2)]", False),
        ("Symbol('a b(c)')", False),
        ("chr(95)", False),
        ("lambda: 1", False),
        ("s0 if s1 else s2", False),
        ("", False),
    ],
)
def test_sizes_are_plain_arithmetic(text: str, plain: bool) -> None:
    assert _is_plain_expression(text) is plain


@pytest.mark.integration
def test_a_pickle_named_pt_is_not_opened(make_spec: Spec, tmp_path: Path) -> None:
    boom = tmp_path / "boom"
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Bomb(boom)))
    torch.save(Bomb(boom), tmp_path / "model2.pt")
    for name in ("model.pt", "model2.pt"):
        with pytest.raises(ClassifierError, match="not a TorchScript"):
            load_classifier(tmp_path / name, make_spec())
    assert not boom.exists()


def test_objects_are_taken_as_they_are(conv: nn.Module, make_spec: Spec) -> None:
    classifier = load_classifier(conv, make_spec())
    assert load_classifier(classifier) is classifier
    assert load_classifier(classifier, make_spec(labels=("x", "y", "z"))).spec.labels == ("x", "y", "z")
    assert describe(classifier) == describe(conv)
    assert describe(conv).endswith(".Conv")
    with pytest.raises(ClassifierError, match="without a spec"):
        load_classifier(conv)


def test_fingerprint_tells_classifiers_apart(conv: nn.Module, make_spec: Spec, tmp_path: Path) -> None:
    first = fingerprint(Classifier(conv, make_spec()))
    assert first == fingerprint(Classifier(conv, make_spec()))
    assert first != fingerprint(Classifier(conv, make_spec(labels=("x", "y", "z"))))
    with torch.no_grad():
        conv.head.bias[0] += 1e-3
    assert first != fingerprint(Classifier(conv, make_spec()))
    plain = fingerprint(Classifier(lambda x: x.mean(dim=(2, 3)), make_spec()))
    assert plain != fingerprint(Classifier(lambda x: 2 * x.mean(dim=(2, 3)), make_spec()))


@pytest.mark.parametrize("given", ["judge.py", "judge.py:load", "pkg/judge.py"])
def test_a_python_file_is_told_how_it_is_named(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for there in (False, True):
        if there:
            place = tmp_path / given.partition(":")[0]
            place.parent.mkdir(exist_ok=True)
            place.write_text("")
        with pytest.raises(ClassifierError, match=r"is Python code, .* without \.py: (pkg\.)?judge:load"):
            load_classifier(given)


class Net(nn.Module):
    """Convolutions, and features flattened as they lie in memory (``view``), or in whatever order (``reshape``)."""

    def __init__(self, flat: str) -> None:
        super().__init__()
        self.conv, self.head, self.flat = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 16 * 16, 2), flat

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.head(getattr(h, self.flat)(len(h), -1))


@pytest.mark.parametrize(("flat", "reordered"), [("reshape", True), ("view", False)])
def test_convolutions_are_stored_channels_last_where_the_model_takes_it_and_answers_stay(
    flat: str, reordered: bool
) -> None:
    torch.manual_seed(0)
    net = Net(flat)
    spec = ClassifierSpec(labels=("a", "b"), input_size=16, channels=3)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    before, known = Classifier(net, spec).logits(x), fingerprint(Classifier(net, spec))
    opened = load_classifier(net, spec)
    assert net.conv.weight.is_contiguous(memory_format=torch.channels_last) == reordered
    assert torch.allclose(opened.logits(x), before, atol=1e-5)
    assert fingerprint(opened) == known
