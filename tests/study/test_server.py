"""The study's door: one link one rater, what pages are told, what is refused, and that no answer is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import stylex
from stylex.core.errors import StoreError
from stylex.core.study import Answer, Study
from stylex.store.answers import read_answers
from stylex.store.study import LINKS, read_tokens
from stylex.study.machine import Visitor, served
from stylex.study.server import build_study_app


@pytest.fixture
def study(made) -> tuple[Path, Study]:
    return made()


@pytest.fixture
def client(study):
    with TestClient(build_study_app(study[0]), base_url="http://127.0.0.1:8610") as client:
        yield client


@pytest.fixture
def first(study) -> str:
    return f"/r/{read_tokens(study[0])[0]}/"


def said(question: dict[str, Any]) -> dict[str, Any]:
    if question["kind"] == "sort":
        return {"side": question["place"] % 2}
    plausible = {"plausible": "no"} if question["kind"] == "clinical" else {}
    return {"words": question["word"] or f"word {question['place']}", **plausible}


def test_from_consent_to_thanks(client, study, first) -> None:
    folder, asked = study
    assert "study.js" in client.get(first).text
    for name in ("study.js", "study.css", "viewer.css", "icon.svg"):
        assert client.get(f"/{name}").status_code == 200
    state = client.get(f"{first}state").json()
    assert state["phase"] == "consent"
    assert state["consent"] == asked.consent
    assert "question" not in state
    state = client.post(f"{first}consent", json={}).json()
    while state["phase"] == "question":
        question = state["question"]
        assert state["done"] == question["place"]
        body = {"place": question["place"], "seconds": 1.25, **said(question)}
        state = client.post(f"{first}answer", json=body).json()
    assert (state["phase"], state["done"]) == ("done", len(asked.orders[0]))
    given = read_answers(folder, asked).given
    assert [answer.place for answer in given] == list(range(len(asked.orders[0])))
    assert {answer.seconds for answer in given} == {1.25}


def test_a_page_is_told_nothing_that_gives_an_answer_away(client, study, first) -> None:
    state = client.post(f"{first}consent", json={}).json()
    assert state["question"].keys() == {"place", "kind", "word", "examples", "picture", "longest", "next"}
    told = json.dumps(state)
    for secret in ("ours", "baseline", "corner", "image-", "truth", "check", "same", "right"):
        assert secret not in told


def test_sides_are_shown_as_the_rater_gets_them(client, study, first) -> None:
    _, asked = study
    question = client.post(f"{first}consent", json={}).json()["question"]
    entry = asked.orders[0][0]
    rows = asked.items[entry.item].examples[:: -1 if entry.flipped else 1]
    assert [[names["before"] for names in row] for row in question["examples"]] == [
        [asked.flickers[place].before for place in row] for row in rows
    ]


def test_pictures_are_had_by_a_link_only(client, study, first) -> None:
    name = study[1].flickers[0].before
    answer = client.get(first + name)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert client.get(f"{first}pictures/99999.png").status_code == 404
    assert client.get(f"/r/{'x' * 22}/{name}").status_code == 404
    assert client.get(f"{first}pictures/..%2fstudy.json").status_code == 404


def test_nobody_gets_in_without_a_link(client) -> None:
    assert "open the link that you were given" in client.get("/").json()["error"]
    for method, path in (("GET", "state"), ("POST", "consent"), ("POST", "answer"), ("POST", "withdraw")):
        answer = client.request(method, f"/r/{'A' * 22}/{path}", json={} if method == "POST" else None)
        assert answer.status_code == 404
        assert "nobody has this link" in answer.json()["error"].lower()
    for path in ("/study.json", "/links.csv", "/answers.sqlite", "/r/", "/../study.json"):
        assert client.get(path).status_code == 404


def test_a_link_without_its_last_slash_leads_there(client, first) -> None:
    answer = client.get(first.rstrip("/"), follow_redirects=False)
    assert answer.headers["location"] == f"./{first.split('/')[2]}/"
    assert "study.js" in client.get(first.rstrip("/")).text


def test_a_name_of_ones_own_will_do_since_links_are_secret(client, first) -> None:
    for headers in ({"host": "study.example.org"}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}):
        answer = client.get(first, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"place": 0}, 400),
        ({"place": -1, "side": 0, "seconds": 1}, 400),
        ({"place": 10**6, "side": 0, "seconds": 1}, 400),
        ({"place": True, "side": 0, "seconds": 1}, 400),
        ({"place": 0, "side": 2, "seconds": 1}, 400),
        ({"place": 0, "side": "0", "seconds": 1}, 400),
        ({"place": 0, "side": 0, "seconds": "1"}, 400),
        ({"place": 0, "side": 0, "seconds": -1}, 400),
        ({"place": 0, "side": 0, "words": "x", "seconds": 1}, 400),
        ({"place": 0, "words": "x" * 70_000, "seconds": 1}, 413),
        ([1], 400),
    ],
)
def test_what_answers_nothing_is_refused(client, study, first, body, status) -> None:
    client.post(f"{first}consent", json={})
    answer = client.post(f"{first}answer", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert read_answers(*study).given == ()


def test_no_answer_is_taken_before_consent_or_after_it_was_taken_back(client, study, first) -> None:
    body = {"place": 0, "side": 0, "seconds": 1}
    assert client.post(f"{first}answer", json=body).status_code == 409
    client.post(f"{first}consent", json={})
    assert client.post(f"{first}answer", json=body).json()["done"] == 1
    assert client.post(f"{first}withdraw", json={}).json()["phase"] == "withdrawn"
    assert client.post(f"{first}answer", json=body).status_code == 409
    assert client.post(f"{first}consent", json={}).json()["phase"] == "withdrawn"
    assert read_answers(*study).given == ()


def test_an_answer_sent_again_is_one_answer(client, study, first) -> None:
    client.post(f"{first}consent", json={})
    for side in (1, 1, 0):
        state = client.post(f"{first}answer", json={"place": 0, "side": side, "seconds": 2}).json()
        assert state["question"]["place"] == 1
    assert read_answers(*study).given == (Answer(rater=0, place=0, seconds=2.0, side=1),)


def test_behind_a_proxy_at_a_path(study, first) -> None:
    with TestClient(build_study_app(study[0], root_path="/lab"), base_url="http://study.example.org") as client:
        for path in (f"/lab{first}state", f"{first}state"):
            assert client.get(path).json()["phase"] == "consent"


def test_links_for_other_raters_than_those_asked_are_refused(study) -> None:
    folder, _ = study
    rows = (folder / LINKS).read_text().splitlines()
    (folder / LINKS).write_text("\n".join(rows[:-1]))
    with pytest.raises(StoreError, match="5 links for 6 raters"):
        build_study_app(folder)


@pytest.mark.integration
def test_two_hundred_raters_at_once_lose_no_answer(made) -> None:
    folder, asked = made(raters=200, tasks=("sort", "describe", "clinical"))
    wrong: list[str] = []
    begin = threading.Barrier(200)

    def take_part(token: str, address: str) -> int:
        begin.wait()
        given = 0
        with closing(Visitor(f"{address}/r/{token}/")) as visitor:
            state = visitor.ask("consent", {})
            while state["phase"] == "question" and given < 6:
                question = state["question"]
                body = {"place": question["place"], "seconds": 1, **said(question)}
                state = visitor.ask("answer", body)
                given += 1
                if state["done"] != given:
                    wrong.append(f"{state['done']} of {given}")
        return given

    with served(folder) as address, ThreadPoolExecutor(200) as room:
        given = list(room.map(lambda token: take_part(token, address), read_tokens(folder)))
    assert wrong == []
    assert given == [6] * 200
    kept = read_answers(folder, asked)
    assert len(kept.consented) == 200
    assert len(kept.given) == 1200
    assert len({(answer.rater, answer.place) for answer in kept.given}) == 1200


@pytest.mark.integration
def test_a_killed_server_has_lost_no_answer_that_it_took(made) -> None:
    folder, asked = made()
    tokens = read_tokens(folder)
    sure: set[tuple[int, int]] = set()
    for _ in range(3):
        process, address = started(folder)
        stop = threading.Event()

        def take_part(rater: int, address: str = address, stop: threading.Event = stop) -> None:
            try:
                with closing(Visitor(f"{address}/r/{tokens[rater]}/")) as visitor:
                    state = visitor.ask("consent", {})
                    while state["phase"] == "question" and not stop.is_set():
                        place = state["question"]["place"]
                        body = {"place": place, "seconds": 1, **said(state["question"])}
                        state = visitor.ask("answer", body)
                        sure.add((rater, place))
            except OSError:
                pass  # the server is gone
            except Exception as error:  # or in the middle of an answer
                assert type(error).__module__ == "http.client", error  # noqa: PT017

        threads = [threading.Thread(target=take_part, args=(rater,)) for rater in range(len(tokens))]
        for thread in threads:
            thread.start()
        time.sleep(0.25)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        stop.set()
        for thread in threads:
            thread.join()
        kept = {(answer.rater, answer.place) for answer in read_answers(folder, asked).given}
        assert sure <= kept
    assert len(sure) > 10
    # Whoever comes again goes on behind what was kept.
    process, address = started(folder)
    with closing(Visitor(f"{address}/r/{tokens[0]}/")) as visitor:
        assert visitor.ask("state")["done"] == sum(rater == 0 for rater, _ in kept)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)


def started(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The command, serving; and its address, as the links say it."""
    (folder / LINKS).write_text((folder / LINKS).read_text().replace("http://127.0.0.1", "http://old"))
    process = subprocess.Popen(
        [sys.executable, "-m", "stylex", "study", "serve", str(folder), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(Path(stylex.__file__).parents[1])},
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until:
        link = (folder / LINKS).read_text().splitlines()[1].partition(",")[2]
        if link.startswith("http://127.0.0.1"):
            address = link.split("/r/")[0]
            with closing(Visitor(link)) as visitor:
                while True:
                    try:
                        visitor.ask("state")
                        return process, address
                    except OSError:
                        time.sleep(0.05)
        assert process.poll() is None, "the server has ended"
        time.sleep(0.05)
    raise AssertionError("the server did not begin in a minute")
