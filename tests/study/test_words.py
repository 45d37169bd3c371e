"""Words: Porter's own examples, and what two people who see the same write."""

from __future__ import annotations

import pytest

from stylex.study.words import spoken, stem, stems

PORTER = {
    "caresses": "caress", "ponies": "poni", "ties": "ti", "cats": "cat", "feed": "feed", "agreed": "agre",
    "plastered": "plaster", "bled": "bled", "motoring": "motor", "sing": "sing", "conflated": "conflat",
    "troubled": "troubl", "sized": "size", "hopping": "hop", "tanned": "tan", "falling": "fall", "hissing": "hiss",
    "fizzed": "fizz", "failing": "fail", "filing": "file", "happy": "happi", "sky": "sky", "relational": "relat",
    "conditional": "condit", "valenci": "valenc", "digitizer": "digit", "radicalli": "radic", "vileli": "vile",
    "vietnamization": "vietnam", "predication": "predic", "operator": "oper", "feudalism": "feudal",
    "decisiveness": "decis", "hopefulness": "hope", "formaliti": "formal", "sensibiliti": "sensibl",
    "triplicate": "triplic", "formative": "form", "formalize": "formal", "electrical": "electr", "goodness": "good",
    "revival": "reviv", "allowance": "allow", "inference": "infer", "airliner": "airlin", "adjustable": "adjust",
    "replacement": "replac", "adoption": "adopt", "communism": "commun", "effective": "effect", "probate": "probat",
    "rate": "rate", "cease": "ceas", "controll": "control", "roll": "roll",
}  # fmt: skip


@pytest.mark.parametrize("word", PORTER)
def test_porters_examples(word: str) -> None:
    assert stem(word) == PORTER[word]


def test_what_two_people_write_of_one_thing() -> None:
    assert stems("The heel gets higher") == stems("a high heel") == stems("Height of heels!") == {"heel", "high"}
    assert stems("it changes in the picture") == frozenset()
    assert stems("Größe, größe") == {"grösse"}
    assert stems("a 7 x") == frozenset()
    assert spoken("Shafts and shaft") == {"shaft": "shafts"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("darker", "darkened"), ("brightest", "brighten"), ("thinner", "thin"), ("bigger", "big"), ("wider", "widening"),
     ("redder", "reddened"), ("shinier", "shiny"), ("greyer", "gray"), ("larger", "large"), ("slower", "slow"),
     ("thicker", "thickens"), ("flattened", "flatter"), ("whiter", "whitened"), ("taller", "tallest")],
)  # fmt: skip
def test_comparing_is_no_difference(one: str, other: str) -> None:
    assert stems(one) == stems(other)
