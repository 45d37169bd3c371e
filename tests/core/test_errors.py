"""Errors of the user are one line."""

from __future__ import annotations

import pytest

from stylex.core import errors
from stylex.core.errors import StylexError, first_line

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StylexError)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_one_line_whatever_is_in_it(kind: type[StylexError]) -> None:
    error = kind("there is no a\nb.png;\n\n   give another\tname\n")
    assert str(error) == "there is no a b.png; give another name"
    assert isinstance(error, StylexError)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in errors.__doc__] == []


def test_the_first_line_of_another_error_is_never_empty() -> None:
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"


def test_a_message_of_any_length_is_cut_in_the_middle_and_keeps_its_remedy() -> None:
    message = str(StylexError(f"no preset '{'9' * 6000}'; choose one of these"))
    assert len(message) < 4100
    assert message.startswith("no preset '9")
    assert message.endswith("choose one of these")
