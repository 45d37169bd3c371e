"""What people type, brought to the stems of its words, so that ``taller heels`` and ``a tall heel`` share two."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_WORD = re.compile(r"[^\W\d_]+")
_SAY_NOTHING = (
    "a an and are as at be become becomes becoming been but by change changed changes changing from get gets "
    "getting goes going got had has have having i if in into is it its like looks look looking made make makes me "
    "more most much of on or out picture pictures image images seem seems so some than that the their them then "
    "there these they thing things this those to too was were what when which while with you your"
)
_EMPTY = frozenset(_SAY_NOTHING.split())
"""Words that say nothing of what changes."""


def stems(text: str) -> frozenset[str]:
    """The stems of a text's words, without those that say nothing."""
    return frozenset(spoken(text))


def spoken(text: str) -> dict[str, str]:
    """The stems of a text's words, each with the word that it was first written as."""
    out: dict[str, str] = {}
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if word not in _EMPTY and len(word) > 1:
            out.setdefault(stem(_PLAIN.get(word, word)), word)
    return out


# Pictures are described by comparing, and by what is done to them, which no stripping of endings brings together.

_COMPARED = (
    "big black blue blunt blurry bold bright broad clean clear close coarse cold cool curly curvy dark deep dense "
    "dim dull fair faint fat few fine firm flat full fuzzy green grey happy hard harsh heavy high hot large light "
    "long loose low narrow near neat new old pale plain pointy puffy quick red rich rough round sad shallow sharp "
    "shiny short slim slow small smooth soft steep straight strong tall thick thin tight tiny warm weak white wide "
    "wrinkly young"
)
_DONE = (
    "black bright broad dark deep fat flat hard light loose quick red rough sharp short soft straight thick tight "
    "weak white wide"
)
_ODD = {
    "better": "good", "best": "good", "worse": "bad", "worst": "bad", "feet": "foot", "teeth": "tooth",
    "leaves": "leaf", "men": "man", "women": "woman", "children": "child", "darkness": "dark", "brightness": "bright",
    "height": "high", "heights": "high", "length": "long", "lengthen": "long", "lengthened": "long", "width": "wide",
    "heighten": "high", "heightened": "high", "gray": "grey",
}  # fmt: skip


def _plain_words() -> dict[str, str]:
    """From ``darker``, ``darkest`` and ``darkened`` to ``dark``."""
    out = dict(_ODD)
    for words, endings in ((_COMPARED, ("er", "est")), (_DONE, ("en", "ens", "ened", "ening"))):
        for word in words.split():
            root = (
                word[:-1] if word.endswith("e") else f"{word[:-1]}i" if word.endswith("y") and word != "grey" else word
            )
            short = len(word) < 5 and _consonants(word).endswith("cvc") and word[-1] not in "wxy"
            out |= {root + (root[-1] if short else "") + ending: word for ending in endings}
    return out


# Porter 1980, An algorithm for suffix stripping: its five steps, rule by rule.

_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)  # fmt: skip


@cache
def stem(word: str) -> str:
    """The stem of a word in small letters; words that are not English lose little or nothing.

    Source: Porter 1980.
    """
    if len(word) < 3 or not word.isascii():
        return word
    word = _step_1(word)
    word = _replaced(word, _STEP_2)
    word = _replaced(word, _STEP_3)
    for ending in sorted(_STEP_4, key=len, reverse=True):
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            if _measure(rest) > 1 and (ending != "ion" or rest.endswith(("s", "t"))):
                word = rest
            break
    if word.endswith("e") and (_measure(word[:-1]) > 1 or (_measure(word[:-1]) == 1 and not _short(word[:-1]))):
        word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word


def _step_1(word: str) -> str:
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        word = word[:-1] if _measure(word[:-3]) > 0 else word
    else:
        ending = "ed" if word.endswith("ed") else "ing" if word.endswith("ing") else ""
        rest = word.removesuffix(ending)
        if ending and _has_vowel(rest):
            if rest.endswith(("at", "bl", "iz")):
                rest += "e"
            elif _doubled(rest) and not rest.endswith(("l", "s", "z")):
                rest = rest[:-1]
            elif _measure(rest) == 1 and _short(rest):
                rest += "e"
            word = rest
    return word[:-1] + "i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _replaced(word: str, rules: dict[str, str]) -> str:
    for ending in sorted(rules, key=len, reverse=True):
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            return rest + rules[ending] if _measure(rest) > 0 else word
    return word


def _consonants(word: str) -> str:
    """``c`` for each consonant and ``v`` for each vowel; a y is a vowel behind a consonant."""
    out = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and out.endswith("c"))
        out += "v" if vowel else "c"
    return out


def _measure(word: str) -> int:
    return len(re.findall("v+c+", _consonants(word)))


def _has_vowel(word: str) -> bool:
    return "v" in _consonants(word)


def _doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _consonants(word)[-1] == "c"


def _short(word: str) -> bool:
    return _consonants(word).endswith("cvc") and word[-1] not in "wxy"


_PLAIN = _plain_words()
"""Words by what they are made of."""
