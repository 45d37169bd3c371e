"""The server's door: what it answers to whom, what it refuses, and that it lives on whatever is thrown at it."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import socket
import struct
import sys
import time
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from stylex.report import figures
from stylex.ui import export, guard, server
from stylex.ui.guard import MOST_BYTES, address, is_loopback
from stylex.ui.searching import Job, Searching
from stylex.ui.server import MAX_TURNS, MAX_UPLOAD, build_app

HOME = "http://127.0.0.1:8600"


@pytest.fixture
def client(read_studio):
    with TestClient(build_app(read_studio), base_url=HOME) as client:
        yield client


def png(side: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 200).save(buffer, "PNG")
    return buffer.getvalue()


def frames(client: Any, *turns: tuple[str, dict[str, float]], lane: str = "knob", viewer: str = "v") -> httpx2.Response:
    rows = [{"image": image, "knobs": knobs} for image, knobs in turns]
    return client.post("/api/frames", json={"viewer": viewer, "lane": lane, "turns": rows})


def unpacked(data: bytes) -> tuple[dict[str, Any], np.ndarray]:
    header, pictures = unpacked_any(data)
    return header, np.stack(pictures)


def unpacked_any(data: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The pictures may be of two sizes."""
    (length,) = struct.unpack("<I", data[:4])
    header, begin, pictures = json.loads(data[4 : 4 + length]), 4 + length, []
    for small in header["small"]:
        shape = (header["height"] // (1 + small), header["width"] // (1 + small), header["channels"])
        pictures.append(np.frombuffer(data[begin:], np.uint8, int(np.prod(shape))).reshape(shape))
        begin += pictures[-1].size
    assert begin == len(data)
    return header, pictures


def test_what_the_page_needs_is_there(client, read_studio) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert '"explore.js"' in page.text
    for name, kind in (("viewer.js", "javascript"), ("http_source.js", "javascript"), ("viewer.css", "css")):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
    about = client.get("/api/describe").json()
    assert about["labels"] == ["shoe", "boot"]
    assert [knob["id"] for knob in about["knobs"]] == [0, 1, 2]
    listed = client.get("/api/images").json()
    assert len(listed["images"]) == listed["next"] == 12
    assert listed["coming"] == 0
    assert client.get("/api/images?after=10").json()["images"][0]["id"] == "shoe-10"
    detail = client.get("/api/images/shoe-5").json()
    assert (detail["said"], detail["rebuilt_said"], detail["label"]) == (1, 0, "boot")
    assert sum(detail["probabilities"]) == pytest.approx(1, abs=1e-4)
    for state, value in (("original", 45), ("rebuilt", 22)):
        with Image.open(io.BytesIO(client.get(f"/api/images/shoe-5/{state}.png").content)) as image:
            assert np.asarray(image)[0, 0] == value


def test_frames_are_the_studios_pixels_and_probabilities(client, read_studio) -> None:
    answer = frames(client, ("shoe-1", {}), ("shoe-1", {"0": 1.0}), ("shoe-2", {"0": -0.5, "1": 2}))
    header, pixels = unpacked(answer.content)
    assert (header["width"], header["channels"]) == (16, 1)
    assert pixels.shape == (3, 16, 16, 1)
    assert (pixels[1, :, :8].astype(int) - pixels[0, :, :8] == 60).all()
    assert (pixels[1, :, 8:] == pixels[0, :, 8:]).all()
    assert header["frames"][1][1] > header["frames"][0][1]


def test_only_a_knob_in_motion_is_drawn_small_and_then_without_an_answer(client, read_studio) -> None:
    read_studio.slow = True
    turns = [{"image": "shoe-1", "knobs": knobs} for knobs in ({"0": 1.0}, {})]
    ask = {"viewer": "v", "lane": "knob", "turns": turns, "draft": True}
    header, _ = unpacked_any(client.post("/api/frames", json=ask).content)
    assert (header["width"], header["small"], header["drafts"]) == (16, [True, False], [True, False])
    assert [len(answer) for answer in header["frames"]] == [0, 2]
    for more in ({"draft": False}, {"lane": "strip"}, {"lane": "others"}):
        header, _ = unpacked_any(client.post("/api/frames", json=ask | more).content)
        assert header["small"] == [False, False]
        assert [len(answer) for answer in header["frames"]] == [2, 2]


def test_images_are_read_in_the_background(studio) -> None:
    with TestClient(build_app(studio), base_url=HOME) as client:
        until = time.monotonic() + 10
        while client.get("/api/images").json()["coming"] and time.monotonic() < until:
            time.sleep(0.01)
        assert len(client.get("/api/images").json()["images"]) == 12


def test_names_flips_searches_and_files(client, read_studio, monkeypatch) -> None:
    monkeypatch.setattr(export, "_CELL", 48)
    assert client.post("/api/knobs/1", json={"label": "shaft height"}).json()["knobs"][1]["label"] == "shaft height"
    assert client.post("/api/knobs/1", json={"label": None}).json()["knobs"][1]["label"] is None
    assert client.post("/api/knobs/2", json={"hidden": True}).json()["knobs"][2]["hidden"] is True
    assert read_studio.knobs[2].attribute.hidden
    flip = client.post("/api/flip", json={"image": "shoe-0", "target": None, "knobs": [0, 1]}).json()
    assert flip["knobs"] == {"0": 1.0}
    job = client.post("/api/search", json={"image": "shoe-0", "target": 1})
    assert job.status_code == 202
    ended = waited(client, job.json()["job"])
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 10, 10)
    assert ended["found"]["knobs"] == [3]
    assert ended["all_knobs"][3]["image"] == "shoe-0"
    for kind, start in (("png", b"\x89PNG"), ("gif", b"GIF8"), ("webp", b"RIFF"), ("html", b"<!doctype html>")):
        answer = client.post("/api/export", json={"kind": kind, "image": "shoe-0", "knobs": {"0": 0.5}})
        assert answer.content[: len(start)].lower() == start.lower(), kind
        assert f'filename="stylex.{kind}"' in answer.headers["content-disposition"]


def test_a_film_shows_the_knob_turned_there_and_back(client, monkeypatch) -> None:
    av = pytest.importorskip("av")
    monkeypatch.setattr(export, "_CELL", 49)
    turned = {"kind": "mp4", "image": "shoe-0", "knobs": {"0": 1.0, "1": 1.0}}
    answer = client.post("/api/export", json=turned)
    assert answer.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(answer.content)) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    assert len(frames) == 2 * 25 + 14 * 3
    light = [frame[frame.shape[0] // 2].mean() for frame in frames]
    assert light[60] > light[0] + 8
    assert abs(light[-1] - light[0]) < (light[60] - light[0]) / 2
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    refused = client.post("/api/export", json=turned)
    assert refused.status_code == 422
    assert "pip install av" in refused.json()["error"]


def waited(client: Any, job: str) -> dict[str, Any]:
    until = time.monotonic() + 10
    while True:
        told = client.get(f"/api/jobs/{job}").json()
        if told["state"] not in ("waiting", "running") or time.monotonic() > until:
            return told
        time.sleep(0.01)


def test_a_photograph_is_fitted_and_whoever_asks_draws_by_the_copy(client, read_studio, monkeypatch) -> None:
    assert client.get("/api/describe").json()["features"]["fit"]["by_itself"] == 20
    assert client.get("/api/images/shoe-5").json()["fitted"] is None
    assert client.get("/api/images/shoe-5/fit").json() == {"seconds": 60.0}
    job = client.post("/api/fit", json={"image": "shoe-5"})
    assert job.status_code == 202
    ended = waited(client, job.json()["job"])
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 10, 10)
    assert ended["image"]["fitted"] == {"said": 1, "l1": 0.046, "l1_before": 0.109}
    assert client.get("/api/images/shoe-5").json()["fitted"]["said"] == 1
    rows = [{"image": image, "knobs": knobs, "fitted": fitted} for image, knobs, fitted in (
        ("shoe-5", {}, True), ("shoe-5", {"1": 1.0}, True), ("shoe-5", {}, False), ("shoe-4", {}, True))]  # fmt: skip
    header, pixels = unpacked(client.post("/api/frames", json={"viewer": "v", "lane": "knob", "turns": rows}).content)
    assert header["fitted"] == [True, True, False, False], "no copy is fitted to the last one, and that is said"
    assert [int(picture[0, 0, 0]) for picture in pixels] == [43, 43, 22, 22]
    asked = {"image": "shoe-5", "target": None, "fitted": True}
    client.post("/api/flip", json=asked | {"knobs": [0]})
    waited(client, client.post("/api/search", json=asked).json()["job"])
    assert read_studio.asked == [("flip", True), ("search", True)]
    monkeypatch.setattr(export, "_CELL", 48)
    sheets = [client.post("/api/export", json={"kind": "png", "image": "shoe-5", "knobs": {"0": 1}, "fitted": fitted})
              for fitted in (True, False)]  # fmt: skip
    assert sheets[0].content != sheets[1].content
    refused = client.post("/api/export", json={"kind": "png", "image": "shoe-4", "knobs": {}, "fitted": True})
    assert (refused.status_code, "made room for newer ones" in refused.json()["error"]) == (422, True)


def test_others_are_answered_while_a_photograph_is_fitted(client, read_studio) -> None:
    read_studio.fit_steps, read_studio.step_seconds = 1000, 0.01
    job = client.post("/api/fit", json={"image": "shoe-1"}).json()["job"]
    began = time.monotonic()
    assert frames(client, ("shoe-2", {"0": 1.0}), viewer="other").status_code == 200
    search = client.post("/api/search", json={"image": "shoe-2", "target": 1}).json()["job"]
    assert waited(client, search)["state"] == "done"
    assert time.monotonic() - began < 5
    assert client.get(f"/api/jobs/{job}").json()["state"] == "running"
    # Who asks for the same fit waits for the one under way, and who leaves does not end it for the other.
    assert client.post("/api/fit", json={"image": "shoe-1"}).json()["job"] == job
    client.delete(f"/api/jobs/{job}")
    time.sleep(0.05)
    assert client.get(f"/api/jobs/{job}").json()["state"] == "running"
    client.delete(f"/api/jobs/{job}")
    assert waited(client, job)["state"] == "cancelled"
    assert read_studio.images["shoe-1"].fitted is None


def test_a_fit_that_is_there_is_not_made_again(client, read_studio, monkeypatch) -> None:
    waited(client, client.post("/api/fit", json={"image": "shoe-1"}).json()["job"])
    monkeypatch.setattr(read_studio, "fit", None)
    again = waited(client, client.post("/api/fit", json={"image": "shoe-1"}).json()["job"])
    assert (again["state"], again["image"]["id"]) == ("done", "shoe-1")


def test_a_search_that_ended_at_once_is_told_whole(client, read_studio, monkeypatch) -> None:
    start = Searching.start

    def ended(self: Searching, image: str, target: int | None, **how: Any) -> Job:
        job = start(self, image, target, **how)
        while job.state != "done":
            time.sleep(0.01)
        return job

    monkeypatch.setattr(Searching, "start", ended)
    answer = client.post("/api/search", json={"image": "shoe-0", "target": 1}).json()
    assert answer["state"] == "done"
    assert answer["found"]["knobs"] == [3]
    assert len(answer["all_knobs"]) == 4


def test_a_search_is_cancelled(client, read_studio) -> None:
    read_studio.search_seconds, read_studio.search_steps = 0.02, 500
    job = client.post("/api/search", json={"image": "shoe-0", "target": None}).json()["job"]
    second = client.post("/api/search", json={"image": "shoe-1", "target": None}).json()["job"]
    assert client.delete(f"/api/jobs/{second}").status_code == 200
    assert client.delete(f"/api/jobs/{job}").status_code == 200
    assert waited(client, job)["state"] == waited(client, second)["state"] == "cancelled"
    assert len(read_studio.knobs) == 3


def test_a_search_has_ended_when_the_server_has(read_studio) -> None:
    read_studio.search_seconds, read_studio.search_steps = 0.2, 500
    searching = Searching(read_studio)
    jobs = [searching.start("shoe-0", None), searching.start("shoe-1", None), searching.fit("shoe-2")]
    while jobs[0].state != "running":
        time.sleep(0.01)
    searching.close()
    assert [job.state for job in jobs] == ["cancelled"] * 3


def test_a_search_that_goes_on_is_not_forgotten(read_studio) -> None:
    searching = Searching(read_studio)
    read_studio.search_seconds, read_studio.search_steps = 0.02, 500
    long = searching.start("shoe-0", None)
    for _ in range(80):
        short = searching.fit("shoe-1")
        short.ended.wait()
    assert searching.get(long.id) is long
    searching.close()


TABLE: list[tuple[str, str, str, dict[str, Any], int, str]] = [
    # what, method, path, what is sent, status, words
    ("traversal", "GET", "/../pyproject.toml", {}, 404, "no such file|Not Found"),
    ("encoded traversal", "GET", "/..%2f..%2fetc%2fpasswd", {}, 404, "Not Found|no such"),
    ("a picture outside", "GET", "/api/images/..%2f..%2fsecret/original.png", {}, 404, "no such image|Not Found"),
    ("a source file", "GET", "/server.py", {}, 404, "no such file"),
    ("unknown picture state", "GET", "/api/images/shoe-1/weights.png", {}, 404, "no such picture"),
    ("unknown image", "GET", "/api/images/none", {}, 404, "no such image"),
    ("unknown address", "GET", "/api/nothing", {}, 404, "Not Found"),
    ("wrong method", "PUT", "/api/frames", {}, 405, "Method Not Allowed"),
    ("after what", "GET", "/api/images?after=x", {}, 400, "whole number"),
    ("foreign host", "GET", "/", {"headers": {"host": "evil.example"}}, 403, "start it with host='0.0.0.0'"),
    ("rebound host", "POST", "/api/frames", {"headers": {"host": "evil.example:8600"}}, 403, "own name only"),
    ("no host", "GET", "/", {"headers": {"host": ""}}, 403, "own name only"),
    ("strange host", "GET", "/", {"headers": {"host": "[::1"}}, 403, "own name only"),
    ("foreign origin", "POST", "/api/flip", {"headers": {"origin": "https://evil.example"}}, 403, "another site"),
    ("another port", "POST", "/api/flip", {"headers": {"origin": "http://127.0.0.1:1"}}, 403, "another site"),
    ("null origin", "POST", "/api/flip", {"headers": {"origin": "null"}}, 403, "another site"),
    ("read across sites", "GET", "/api/describe", {"headers": {"sec-fetch-site": "cross-site"}}, 403, "another site"),
    ("a form's post", "POST", "/api/flip", {"data": {"image": "shoe-1"}}, 415, "send JSON"),
    ("text as a post", "POST", "/api/flip", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "JSON"),
    ("no JSON", "POST", "/api/frames", {"json_text": "{"}, 400, "not JSON"),
    ("deep JSON", "POST", "/api/frames", {"json_text": "[" * 50000}, 400, "not JSON|expected"),
    ("a list", "POST", "/api/frames", {"json_text": "[1]"}, 400, "object"),
    ("NaN", "POST", "/api/flip", {"json_text": '{"image": "shoe-1", "knobs": [NaN]}'}, 400, "whole numbers"),
    ("a large body", "POST", "/api/frames", {"content": b" " * (MOST_BYTES + 1)}, 413, "larger than the 64 KiB"),
    ("a lie about size", "POST", "/api/frames", {"headers": {"content-length": "-1"}}, 413, "larger"),
    ("no turns", "POST", "/api/frames", {"json": {"viewer": "v", "lane": "knob", "turns": []}}, 400, "list of 1 to"),
    ("no viewer", "POST", "/api/frames", {"json": {"lane": "knob", "turns": [{}]}}, 400, "viewer"),
    (
        "half a draft",
        "POST",
        "/api/frames",
        {"json": {"viewer": "v", "lane": "knob", "draft": 0.5, "turns": [{}]}},
        400,
        "draft",
    ),
    ("no lane", "POST", "/api/frames", {"json": {"viewer": "v", "lane": "x", "turns": [{}]}}, 400, "lane"),
    ("no image there", "POST", "/api/search", {"json": {"image": "none", "target": 0}}, 404, "no such image"),
    ("a wrong target", "POST", "/api/search", {"json": {"image": "shoe-1", "target": "a"}}, 400, "target"),
    ("nothing to fit to", "POST", "/api/fit", {"json": {"image": "none"}}, 404, "no such image"),
    ("time of nothing", "GET", "/api/images/none/fit", {}, 404, "no such image"),
    ("half fitted", "POST", "/api/flip", {"json": {"image": "shoe-1", "knobs": [], "fitted": 1}}, 400, "fitted"),
    ("no search", "GET", "/api/jobs/none", {}, 404, "no such work"),
    ("cancel nothing", "DELETE", "/api/jobs/none", {}, 404, "no such work"),
    ("no knob", "POST", "/api/knobs/9", {"json": {"label": "x"}}, 422, "no knob 9"),
    ("a wrong name", "POST", "/api/knobs/1", {"json": {"label": 3}}, 400, "label"),
    ("a wrong word", "POST", "/api/knobs/1", {"json": {"hidden": "yes"}}, 400, "hidden"),
    ("a strange file", "POST", "/api/export", {"json": {"kind": "exe", "image": "a", "knobs": {}}}, 400, "kind must"),
    (
        "nothing turned",
        "POST",
        "/api/export",
        {"json": {"kind": "html", "image": "shoe-1", "knobs": {}}},
        422,
        "no knob",
    ),
    ("nothing moves", "POST", "/api/export", {"json": {"kind": "gif", "image": "shoe-1", "knobs": {}}}, 422, "no knob"),
]


@pytest.mark.parametrize(("method", "path", "sent", "status", "words"), [row[1:] for row in TABLE],
                         ids=[row[0] for row in TABLE])  # fmt: skip
def test_the_table_of_what_is_refused(client, method, path, sent, status, words) -> None:
    sent = dict(sent)
    if "json_text" in sent:
        sent["content"] = sent.pop("json_text").encode()
        sent["headers"] = {"content-type": "application/json"}
    answer = client.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    assert httpx2.codes(status).name
    assert any(word.lower() in answer.text.lower() for word in words.split("|")), answer.text
    assert client.get("/api/describe").status_code == 200


@pytest.mark.parametrize(
    "turn",
    [
        {"image": "shoe-1"},
        {"image": 1, "knobs": {}},
        {"image": "x" * 300, "knobs": {}},
        {"image": "shoe-1", "knobs": {"0": "1"}},
        {"image": "shoe-1", "knobs": {"-1": 1}},
        {"image": "shoe-1", "knobs": {"٣": 1}},
        {"image": "shoe-1", "knobs": {"0": 1e9}},
        {"image": "shoe-1", "knobs": {"0": True}},
        {"image": "shoe-1", "knobs": {str(i): 0.1 for i in range(100)}},
        [],
        None,
    ],
)
def test_turns_that_cannot_be_meant(client, turn) -> None:
    answer = client.post("/api/frames", json={"viewer": "v", "lane": "knob", "turns": [turn]})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_too_many_turns_and_unknown_ones(client) -> None:
    assert frames(client, *[("shoe-1", {})] * (MAX_TURNS + 1)).status_code == 400
    unknown = frames(client, ("none", {}))
    assert (unknown.status_code, unknown.json()["error"]) == (422, "there is no image 'none' to edit")
    assert frames(client, ("shoe-1", {"77": 1.0})).status_code == 422


def test_safe_headers_on_every_answer(client) -> None:
    for path in ("/", "/viewer.js", "/api/describe", "/nothing", "/api/images/shoe-1/original.png"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert client.get("/api/describe").headers["cache-control"] == "no-store"
    refused = client.get("/", headers={"host": "evil.example"})
    assert "default-src 'none'" in refused.headers["content-security-policy"]


def test_a_link_from_elsewhere_opens_the_page_but_nothing_else(client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200
    assert client.get("/api/describe", headers=headers).status_code == 403
    assert client.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}).status_code == 403
    own = {"origin": HOME, "sec-fetch-site": "same-origin", "content-type": "application/json"}
    body = json.dumps({"image": "shoe-1", "target": None, "knobs": [0]})
    assert client.post("/api/flip", headers=own, content=body).status_code == 200


def test_the_token_where_others_can_reach_the_server(read_studio) -> None:
    token = "sesame-123"
    with TestClient(build_app(read_studio, token=token), base_url="http://lab.example:8600") as client:
        for path in ("/", "/viewer.js", "/api/describe", "/?token=wrong", "/api/describe?token=sesame-123"):
            assert client.get(path).status_code == 401, path
        opened = client.get("/?token=sesame-123", follow_redirects=False)
        assert (opened.status_code, opened.headers["location"]) == (303, "./")
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/describe").status_code == 200
        assert client.post("/api/flip", headers={"origin": "https://evil.example"}, json={}).status_code == 403
        client.cookies.set("stylex-token", "sésame".encode().decode("latin-1"))
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "lab", "::", "")] == [
        *[True] * 3,
        *[False] * 4,
    ]
    assert address("0.0.0.0", 80, "a b") == "http://127.0.0.1:80/?token=a+b"
    assert address("::1", 80, None) == "http://[::1]:80/"


@pytest.mark.parametrize("sent", ["/lab/explorer", ""])  # a proxy sends the path along, or leaves it out
def test_behind_a_proxy(read_studio, sent: str) -> None:
    app = build_app(read_studio, token="sesame-123", root_path="/lab/explorer")
    with TestClient(app, base_url="http://127.0.0.1:8600") as client:
        assert client.get(f"{sent}/").status_code == 401
        opened = client.get(f"{sent}/?token=sesame-123", follow_redirects=False)
        assert (opened.status_code, opened.headers["location"]) == (303, "./")
        page = client.get(f"{sent}/")
        assert page.status_code == 200
        assert 'src="/' not in page.text
        assert 'href="/' not in page.text
        for path in ("/explore.js", "/viewer.css", "/api/describe", "/api/images/shoe-1/original.png"):
            assert client.get(sent + path).status_code == 200, path
        # The browser knows the proxy's origin, the server another host.
        body = {"image": "shoe-1", "target": None, "knobs": [0]}
        for site, status in (("same-origin", 200), ("same-site", 403), ("cross-site", 403), (None, 403)):
            headers = {"origin": "https://hub.example"} | ({} if site is None else {"sec-fetch-site": site})
            assert client.post(f"{sent}/api/flip", headers=headers, json=body).status_code == status, site
        kind = {"content-type": "application/octet-stream"}
        assert client.post(f"{sent}/api/images", content=b"0" * 2**17, headers=kind).status_code == 422  # and not 413
    with TestClient(app) as client:
        assert client.get("/lab/explorer", follow_redirects=False).headers["location"] == "/lab/explorer/"
    assert address("127.0.0.1", 80, "a", "/lab") == "http://127.0.0.1:80/lab/?token=a"


def upload(client: Any, data: bytes, name: str = "mine.png") -> httpx2.Response:
    return client.post(
        "/api/images", params={"name": name}, content=data, headers={"content-type": "application/octet-stream"}
    )


def test_pictures_that_a_person_brings(client) -> None:
    good = upload(client, png(), "../../my <b>shoe</b>.png")
    assert good.status_code == 201
    assert good.json()["own"] is True
    assert client.get(f"/api/images/{good.json()['id']}/original.png").status_code == 200
    for data in (b"", b"not a picture", png()[:40], b"<svg onload='x()'/>"):
        bad = upload(client, data)
        assert bad.status_code == 422
        assert "not a picture" in bad.json()["error"]
    assert client.post("/api/images", content=png(), headers={"content-type": "image/png"}).status_code == 415
    assert client.post("/api/images", files={"file": ("a.png", png())}).status_code == 415


def test_uploads_are_bounded_whether_they_say_their_size_or_not(client) -> None:
    def endless():
        for _ in range(MAX_UPLOAD // 2**20 + 2):
            yield b"\0" * 2**20

    assert upload(client, b"\0" * (MAX_UPLOAD + 1)).status_code == 413
    silent = client.post("/api/images", content=endless(), headers={"content-type": "application/octet-stream"})
    assert silent.status_code == 413
    assert "20 MiB" in silent.json()["error"]


def test_slow_uploads_keep_nobody_waiting(read_studio, serve, monkeypatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 1.5)
    url = serve(read_studio)
    slow = [socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) for _ in range(20)]
    for one in slow:
        one.sendall(
            b"POST /api/images HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 100000\r\n\r\n\x89"
        )
    with httpx2.Client(base_url=url) as client:
        began = time.monotonic()
        assert upload(client, png()).status_code == 201
        assert time.monotonic() - began < 1.2
    for one in slow:
        one.settimeout(10)
        told = b"".join(iter(lambda one=one: one.recv(2000), b""))  # to the end: the connection is closed
        assert told.startswith(b"HTTP/1.1 408")
        assert b"within 2 seconds" in told
        one.close()


def test_what_arrives_at_once_is_bounded(client, monkeypatch) -> None:
    monkeypatch.setattr(server, "MOST_ARRIVING", 3000)
    assert upload(client, b"\0" * 3001).status_code == 503
    assert upload(client, png()).status_code == 201, "its room is free again"


def test_nothing_is_drawn_for_who_has_gone(read_studio, serve) -> None:
    url = serve(read_studio)
    read_studio.seconds_each = 0.5
    body = [
        json.dumps({"viewer": name, "lane": "knob", "turns": [{"image": "shoe-1", "knobs": {"0": 0.5}}]}).encode()
        for name in ("first", "gone")
    ]
    lines = []
    for sent in body:
        one = socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])))
        one.sendall(
            b"POST /api/frames HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(sent), sent)
        )
        lines.append(one)
        time.sleep(0.1)
    lines[1].close()
    assert lines[0].recv(100).startswith(b"HTTP/1.1 200")
    lines[0].close()
    with httpx2.Client(base_url=url) as client:
        assert frames(client, ("shoe-2", {"0": 0.7})).status_code == 200
    assert [[turn.image for turn in batch] for batch in read_studio.drawn] == [["shoe-1"], ["shoe-2"]]


def test_errors_are_told_in_plain_words(client, read_studio, monkeypatch) -> None:
    read_studio.full = True
    full = client.post("/api/knobs/0", json={"label": "x"})
    assert full.status_code == 422
    assert "No space left" in full.json()["error"]

    def broken(*args):
        raise RuntimeError("a secret path /home/me")

    monkeypatch.setattr(read_studio, "flip", broken)
    with TestClient(build_app(read_studio), base_url=HOME, raise_server_exceptions=False) as lenient:
        fault = lenient.post("/api/flip", json={"image": "shoe-1", "target": None, "knobs": [0]})
    assert fault.status_code == 500
    assert "secret" not in fault.text


def test_two_hundred_knob_turns_at_once(read_studio, serve) -> None:
    read_studio.seconds_each = 0.0005
    url = serve(read_studio)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def turn(client: httpx2.AsyncClient, i: int) -> int:
        # 32 people; each turns a knob several times without waiting for the answer.
        rows = [{"image": f"shoe-{i % 12}", "knobs": {"0": i / 200}}]
        body = {"viewer": f"person {i % 32}", "lane": "knob", "turns": rows}
        return (await client.post("/api/frames", json=body)).status_code

    async def everybody() -> list[int]:
        async with httpx2.AsyncClient(base_url=url, limits=httpx2.Limits(max_connections=64), timeout=30) as client:
            return list(await asyncio.gather(*(turn(client, i) for i in range(200))))

    answers = asyncio.run(everybody())
    assert set(answers) <= {200, 204}
    assert answers.count(200) >= 32
    assert httpx2.get(f"{url}/api/describe").status_code == 200
    assert max(len(batch) for batch in read_studio.drawn) > 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_who_says_nothing_or_leaves_does_not_stop_the_others(read_studio, serve) -> None:
    url = serve(read_studio)
    port = int(url.rsplit(":", 1)[1])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for one in silent[:10]:
        one.sendall(
            b"POST /api/flip HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
    for one in silent[:5]:
        one.close()
    with httpx2.Client(base_url=url) as client:
        assert frames(client, ("shoe-1", {"0": 1.0})).status_code == 200
    for path in (
        b"/../../../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"//etc/passwd",
        b"/viewer.js/../../server.py",
    ):
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert raw.recv(200).startswith(b"HTTP/1.1 404")
    garbage = socket.create_connection(("127.0.0.1", port))
    garbage.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert b"400" in garbage.recv(200)
    for one in (*silent[5:], garbage):
        one.close()
