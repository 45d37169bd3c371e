"""Explanations in a notebook’s cell where no widget runs: a heading, a table, pictures. No scripts, no own colours."""

from __future__ import annotations

import base64
from html import escape

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, Explanation, Picture
from stylex.core.verdict import classifier_remark
from stylex.report.figures import encode, enlarge
from stylex.report.words import about, how_it_was_measured, name_of, place, signed, technical, turned_back

_SIDE = 96
_SHOWN = 3


def html(noun: Attribute | AttributeRanking | Explanation) -> str:
    """The noun for a cell: one line, a table, or a table with pictures of what changes."""
    if isinstance(noun, Attribute):
        return f"<p>{_line(noun)}</p>"
    if isinstance(noun, AttributeRanking):
        return f"<div><p>{escape(noun.finding)}</p>{_table(noun)}</div>"
    rows = "".join(_row(noun, position) for position, attribute in enumerate(noun.ranking) if not attribute.hidden)
    remark = classifier_remark(noun.settings)
    said = "" if remark is None else f"<p><b>{escape(remark)}</b></p>"
    return (
        f"<div><h3>{escape(noun.title)}</h3>{said}<p>{escape(noun.ranking.finding)}</p>"
        f"<table>{_HEAD}<tbody>{rows}</tbody></table></div>"
    )


_HEAD = '<thead><tr><th scope="col">attribute</th><th scope="col">rebuilt → changed</th></tr></thead>'


def _line(attribute: Attribute) -> str:
    return (
        f"<b>{escape(attribute.name)}</b> <code>{escape(technical(attribute))}</code>: "
        f"effect {signed(attribute.effect)} towards {escape(attribute.target_label)}"
    )


def _table(ranking: AttributeRanking) -> str:
    head = "".join(f'<th scope="col">{word}</th>' for word in ("", "attribute", "coordinate", "target", "effect"))
    rows = "".join(
        f"<tr><td>{position + 1}</td><td>{escape(name_of(ranking, position))}</td>"
        f"<td><code>{escape(technical(attribute))}</code></td><td>{escape(attribute.target_label)}</td>"
        f"<td>{signed(attribute.effect)}</td></tr>"
        for position, attribute in enumerate(ranking)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(e: Explanation, position: int) -> str:
    attribute = e.ranking[position]
    shown = [
        cf
        for cf in e.counterfactuals
        if cf.attributes == (position,) and cf.role != "subset" and not turned_back(cf, e)
    ]
    pictures = " ".join(_pair(cf, e, name_of(e.ranking, position)) for cf in shown[:_SHOWN])
    return (
        f"<tr><td><b>{escape(name_of(e.ranking, position))}</b><br>{escape(how_it_was_measured(attribute, e))}</td>"
        f"<td>{pictures}</td></tr>"
    )


def _pair(cf: Counterfactual, e: Explanation, name: str) -> str:
    image, what = e.image(cf.image), about(e, cf.target)
    pair = image.reconstruction_probabilities, cf.probabilities
    before, after = (place(float(p[cf.target]), e, cf.target) for p in pair)
    return (
        f'<span style="display:inline-block">{_img(image.reconstruction, f"Image {image.id} as rebuilt")}'
        f"{_img(cf.picture, f'The same with {name} turned')}<br>"
        f"<small>{escape(what)} {before} → {after}</small></span>"
    )


def _img(picture: Picture, alt: str) -> str:
    data = base64.b64encode(encode(enlarge(picture, _SIDE), "webp", quality=80)).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="{escape(alt)}" width="{_SIDE}">'
