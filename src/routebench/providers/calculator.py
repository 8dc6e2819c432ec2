"""A deterministic tool: arithmetic and small text operations, answered exactly or not at all.

It reads a prompt as one instruction. What is not understood from the first word to the last gets no answer, so a
word problem, a question of fact or a second request beside the sum is left to a language model. Prompts come from
anybody: they are bounded in length, nothing in them is executed, and powers and repetitions are bounded in size.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

_LONGEST_PROMPT = 1_000
_LONGEST_SUM = 200
_MOST_BITS = 256
_MOST_REPEATS = 100


def answer(prompt: str) -> str | None:
    """Returns the bare result ("391", "nomel"), or None where the prompt is not surely a task for this tool."""
    if len(prompt) > _LONGEST_PROMPT:
        return None
    instruction = _bare_instruction(prompt)
    result = _text_answer(instruction)
    return result if result is not None else _arithmetic_answer(instruction)


_BEFORE = re.compile(
    r"(?:(?:please|hey|hi|hello|quick question|(?:can|could|would|will) you(?: please)?(?: tell me)?|tell me"
    r"|i(?: would|'d) like you to|i (?:want|need) you to|i need to know)[,:!]? +)",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?:,? +(?:please|thanks|thank you|for me)"
    r"|[.,;?!]* +(?:(?:answer|reply|return|give)(?: me)?(?: with)? +)?(?:just|only) +(?:the +)?"
    r"(?:number|result|answer|word|text)(?: only)?)$",
    re.IGNORECASE,
)


def _bare_instruction(prompt: str) -> str:
    """Drops blanks, politeness and closing punctuation around the instruction."""
    text = " ".join(prompt.split())
    while match := _BEFORE.match(text):
        text = text[match.end() :]
    while (shorter := _AFTER.sub("", text.rstrip(" ?!.="))) != text:
        text = shorter
    return text


# --- arithmetic -----------------------------------------------------------------------------------------------------

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS: Mapping[str, int] = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 20 + 10 * place for place, word in enumerate(_TENS)},
    **{
        f"{ten}{joint}{_UNITS[one]}": 20 + 10 * place + one
        for place, ten in enumerate(_TENS)
        for one in range(1, 10)
        for joint in "- "
    },
}
# Longest first, so that "twenty-three" is not read as "twenty" minus "three".
_NUMBER_WORD = re.compile(r"\b(?:" + "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True)) + r")\b")
_N = r"(-?\d+(?:\.\d+)?)"
_QUESTION = re.compile(
    r"(?:what(?: is|'s|s| are)|how (?:much|many) (?:is|are)|calculate|compute|work out|evaluate|solve|find|give me"
    r"|result of|value of|the (?:result|value|answer) (?:of|to)|do the math:?) +"
)
_INDIRECT = re.compile(r"(?:what|how much) (.+) (?:is|makes?|equals?|gives?)")
# Whole sentences, as formulas over the numbers that they name.
_SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(sentence.replace("N", _N)), formula)
    for sentence, formula in (
        (r"add N (?:and|to|with) N", r"(\1)+(\2)"),
        (r"subtract N from N", r"(\2)-(\1)"),
        (r"multiply N (?:by|and|with|times) N", r"(\1)*(\2)"),
        (r"divide N by N", r"(\1)/(\2)"),
        (r"(?:the )?difference (?:between|of) N and N", r"(\1)-(\2)"),
        (r"(?:the )?product of N and N", r"(\1)*(\2)"),
        (r"(?:the )?quotient of N and N", r"(\1)/(\2)"),
        (r"(?:the )?remainder (?:of|when) N (?:is )?(?:/|divided by) N", r"(\1)%(\2)"),
        (r"(?:the )?square root of N", r"sqrt(\1)"),
        (r"(?:the )?square of N", r"(\1)**2"),
        (r"(?:the )?cube of N", r"(\1)**3"),
        (r"(?:a |one )?half of N", r"(\1)/2"),
        (r"(?:a|one) third of N", r"(\1)/3"),
        (r"(?:a|one) quarter of N", r"(\1)/4"),
        (r"(?:double|twice) N", r"(\1)*2"),
        (r"(?:triple|three times) N", r"(\1)*3"),
        (r"N (?:%|percent|per cent) off N", r"(\2)*(1-(\1)/100)"),
        (r"increase N by N ?(?:%|percent|per cent)", r"(\1)*(1+(\2)/100)"),
        (r"(?:decrease|reduce) N by N ?(?:%|percent|per cent)", r"(\1)*(1-(\2)/100)"),
    )
)
_SERIES = re.compile(rf"(?:the )?(sum|total|average|mean|add up|add) (?:of )?({_N}(?:(?:, and |, | and | \+ ){_N})+)")
_OPERATORS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), symbol)
    for pattern, symbol in (
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),
        (r" ?(?:%|percent|per cent) of ", "/100*"),
        (r" (?:raised )?to the power (?:of )?", " ** "),
        (r" squared\b", " **2"),
        (r" cubed\b", " **3"),
        (r"(?<=[\d)]) ?[x×·] ?(?=[\d(-])", " * "),
        (r" (?:plus|added to) ", " + "),
        (r" minus ", " - "),
        (r" (?:times|multiplied by) ", " * "),
        (r" (?:divided by|over) | ?÷ ?", " / "),
        (r" (?:mod|modulo) ", " % "),
        (r"\^", "**"),
        ("[\u2212\u2013]", "-"),
    )
)
_FORMULA = re.compile(r"[\d\s.+*/%()-]+")
# Without a question around it "2024-05-03" or "3/4" is a date or a fraction, not a task.
_CLEARLY_A_SUM = re.compile(r"[\d)] +[-+*/%] +[-\d(]|\*|[\d)]\+[\d(]")


def _arithmetic_answer(instruction: str) -> str | None:
    text = _NUMBER_WORD.sub(lambda match: str(_NUMBER_WORDS[match[0]]), instruction.casefold())
    text = _OPERATORS[0][0].sub("", text)
    asked = False
    if match := _INDIRECT.fullmatch(text):
        text, asked = match[1], True
    while match := _QUESTION.match(text):
        text, asked = text[match.end() :], True
    for pattern, template in _SENTENCES:
        if match := pattern.fullmatch(text):
            return _evaluate(match.expand(template))
    if match := _SERIES.fullmatch(text):
        numbers = re.findall(_N, match[2])
        formula = f"({'+'.join(f'({number})' for number in numbers)})"
        return _evaluate(f"{formula}/{len(numbers)}" if match[1] in ("average", "mean") else formula)
    for pattern, symbol in _OPERATORS[1:]:
        text = pattern.sub(symbol, text)
    if not _FORMULA.fullmatch(text) or not (asked or _CLEARLY_A_SUM.search(text)):
        return None
    return _evaluate(text) if re.search(r"[\d)]\s*[-+*/%]", text) else None


def _evaluate(formula: str) -> str | None:
    """Computes a formula exactly, over fractions; None where it is no formula, undefined, or too large."""
    if len(formula) > _LONGEST_SUM:
        return None
    try:
        value = _value(ast.parse(formula.strip(), mode="eval").body)
    except (SyntaxError, ZeroDivisionError, _NotComputedError):
        return None
    return _written(value)


class _NotComputedError(Exception):
    """The formula holds something outside arithmetic, or a number beyond the bound."""


_BINARY: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
}


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        # By its digits: Fraction(0.1) would be the binary neighbour of one tenth.
        return _bounded(Fraction(repr(node.value)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sqrt":
        return _root(_value(node.args[0]))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if type(node.op) in _BINARY:
            return _bounded(_BINARY[type(node.op)](left, right))
    raise _NotComputedError


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if exponent.denominator != 1 or abs(exponent) * bits > _MOST_BITS:
        raise _NotComputedError
    return Fraction(base**exponent.numerator)


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise _NotComputedError
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else Fraction(repr(math.sqrt(value)))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise _NotComputedError
    return value


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.10g}"


# --- text -----------------------------------------------------------------------------------------------------------

_QUOTED = re.compile(
    r"\"([^\"]+)\"|\u201c([^\u201d]+)\u201d|\u2018([^\u2019]+)\u2019|(?<!\w)'((?:[^']|(?<=\w)'(?=\w))+)'(?!\w)"
)
_FIRST_MARK, _MOST_MARKS = 0xE000, 4
_MARK = "[\ue000-\ue003]"
# "Write it in capitals" and "How many letters has English?" name no text to work on.
_NO_TEXT = frozenset(
    "a an the my your our his her their its it this that these those them everything all each every some any alphabet"
    " english german french spanish italian greek latin russian hawaiian".split()
)
_ORDINALS: Mapping[str, int] = {
    word: place
    for place, words in enumerate(
        ("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th", "eighth 8th")
    )
    for word in words.split()
} | {"last": -1, "final": -1}
_TIMES: Mapping[str, int] = {"once": 1, "twice": 2, "thrice": 3}
_DESCENDING = re.compile(r"descending|decreasing|(?:largest|biggest|highest|high|z)(?: to\b)|\breverse", re.IGNORECASE)

_Act = Callable[[re.Match[str], "_Texts"], str | None]


class _Texts:
    """The texts that an instruction speaks about, each behind a one-character mark."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def read(self, found: str) -> str | None:
        """Returns the text behind a mark, or a bare word as it stands; None where no text is meant."""
        if re.fullmatch(_MARK, found):
            place = ord(found) - _FIRST_MARK
            return self._texts[place] if place < len(self._texts) else None
        return None if re.search(_MARK, found) or found.split(maxsplit=1)[0].casefold() in _NO_TEXT else found


def _mark(instruction: str) -> tuple[str, _Texts]:
    """Puts marks in place of quoted texts, or of what follows a colon."""
    texts: list[str] = []

    def keep(match: re.Match[str]) -> str:
        texts.append(match[match.lastindex or 0])
        return chr(_FIRST_MARK + len(texts) - 1)

    if re.search(_MARK, instruction):
        return "", _Texts([])
    marked = _QUOTED.sub(keep, instruction, count=_MOST_MARKS)
    if not texts and ": " in instruction:
        head, text = instruction.split(": ", 1)
        texts.append(text)
        marked = f"{head} {chr(_FIRST_MARK)}"
    return re.sub(rf" ?: ?(?={_MARK})", " ", marked).strip(" ,.?!"), _Texts(texts)


def _text_answer(instruction: str) -> str | None:
    marked, texts = _mark(instruction)
    for pattern, act in _ACTS:
        if match := pattern.fullmatch(marked):
            return act(match, texts)
    return None


def _on(change: Callable[[str], str | None]) -> _Act:
    """Applies a change to the instruction's one text."""

    def act(match: re.Match[str], texts: _Texts) -> str | None:
        text = texts.read(match["s"])
        return None if text is None else change(text)

    return act


def _backwards(text: str) -> str:
    return text[::-1]


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:].lower() for word in text.split())


def _palindrome(text: str) -> str:
    letters = [letter for letter in text.casefold() if letter.isalnum()]
    return "yes" if letters == letters[::-1] else "no"


def _count(match: re.Match[str], texts: _Texts) -> str | None:
    text = texts.read(match["s"])
    if text is None:
        return None
    counts: Mapping[str, Callable[[str], int]] = {
        "word": lambda whole: len(whole.split()),
        "character": len,
        "letter": lambda whole: sum(letter.isalpha() for letter in whole),
        "digit": lambda whole: sum(letter.isdigit() for letter in whole),
        "space": lambda whole: whole.count(" "),
        "vowel": lambda whole: sum(letter in "aeiou" for letter in whole.casefold()),
        "consonant": lambda whole: sum(letter.isalpha() and letter not in "aeiou" for letter in whole.casefold()),
    }
    return str(counts[match["what"].casefold().removesuffix("s")](text))


def _occurrences(match: re.Match[str], texts: _Texts) -> str | None:
    part = match["part"] if match["part"].isascii() else texts.read(match["part"])
    text = texts.read(match["s"])
    return None if part is None or text is None else str(text.casefold().count(part.casefold()))


def _nth(match: re.Match[str], texts: _Texts) -> str | None:
    text = texts.read(match["s"])
    if text is None:
        return None
    parts = _words(text) if match["unit"].casefold() == "word" else [letter for letter in text if letter.isalnum()]
    place = _ORDINALS[match["place"].casefold()]
    return parts[place] if parts and place < len(parts) else None


def _longest(match: re.Match[str], texts: _Texts) -> str | None:
    words = _words(texts.read(match["s"]) or "")
    if not words:
        return None
    wanted = (max if match["size"].casefold() == "longest" else min)(len(word) for word in words)
    found = [word for word in words if len(word) == wanted]
    # Of two equally long words neither is the answer.
    return found[0] if len(found) == 1 else None


def _words(text: str) -> list[str]:
    return [word.strip(".,;:!?") for word in text.split()]


def _sorted(match: re.Match[str], texts: _Texts) -> str | None:
    text = texts.read(match["s"])
    if text is None:
        return None
    items = [item.strip(" .") for item in re.split(r",\s*and\s+|,|;|\s+and\s+", text)]
    items = items if len(items) > 1 else text.split()
    if len(items) < 2 or not all(items):
        return None
    order = match["before"] or match["after"] or ""
    descending = bool(_DESCENDING.search(order))
    if all(re.fullmatch(_N, item) for item in items):
        return ", ".join(sorted(items, key=Fraction, reverse=descending))
    return ", ".join(sorted(items, key=str.casefold, reverse=descending)) if order else None


def _repeated(match: re.Match[str], texts: _Texts) -> str | None:
    text, times = texts.read(match["s"]), match["times"].casefold().removesuffix(" times")
    number = int(times) if times.isdecimal() else _TIMES.get(times, _NUMBER_WORDS.get(times, 0))
    return " ".join([text] * number) if text and 0 < number <= _MOST_REPEATS else None


def _without(match: re.Match[str], texts: _Texts) -> str | None:
    text = texts.read(match["s"])
    unwanted = {"spaces": r"\s", "vowels": r"[aeiouAEIOU]", "digits": r"\d", "commas": ",", "punctuation": r"[^\w\s]"}
    return None if text is None else re.sub(unwanted[match["what"].casefold()], "", text)


def _replaced(match: re.Match[str], texts: _Texts) -> str | None:
    old, new, text = (texts.read(match[name]) for name in ("old", "new", "s"))
    return None if not old or new is None or text is None else text.replace(old, new)


_KIND = r"(?:words?|texts?|phrase|sentence|string|names?|title|list|numbers?|letters|items)"
_NOUN = rf"(?:(?:the|this|these|those|my) )?(?:following )?{_KIND} (?:of )?"
# A text that is quoted or follows a colon; one word that is called a word; any one word.
_GIVEN = rf"(?:{_NOUN}|this |these |(?:the )?following )?(?P<s>{_MARK})"
_CALLED = r"(?:the |this )?(?:word|name) (?P<s>[^\s,;:]+)"
_NAMED = "<given or called>"
_WORD = rf"(?:{_NOUN})?(?P<s>{_MARK}|[^\s,;:]+)"
_ASK = r"(?:(?:what(?: is|'s|s)|give me|find|name|print|return|show(?: me)?|write) )?(?:the )?"
_CHANGE = r"(?:write|put|convert|change|turn|make|set|print|type|rewrite|transform|show|say)"
_INTO = r"(?:,? (?:in|into|to|using|as)(?: all)?)?"
_FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (r"(?:all )?(?:upper ?-?case(?: letters)?|caps|capital letters|capitals)", str.upper),
    (r"(?:all )?(?:lower ?-?case(?: letters)?|small letters)", str.lower),
    (r"title ?-?case", _title),
)
_EXTREME = r"(?:the )?(?:smallest|lowest|largest|biggest|highest)"
_ORDER = (
    r"(?:alphabetically|numerically|(?:in|into|by) (?:reverse )?(?:alphabetical|alphabetic|ascending|descending"
    r"|increasing|decreasing|numerical) order|ascending|descending|from a to z|from z to a"
    rf"|(?:from )?{_EXTREME} to {_EXTREME}|low to high|high to low)"
)
_PLACE = rf"(?P<place>{'|'.join(_ORDINALS)})"
_BACKWARDS = r"(?:backwards?|in reverse|reversed)"


def _act(pattern: str, act: _Act) -> list[tuple[re.Pattern[str], _Act]]:
    """Compiles a pattern; one with two spellings of the text becomes two, since a group has one name once."""
    forms = {pattern.replace(_NAMED, form): None for form in (_GIVEN, _CALLED)}
    return [(re.compile(form, re.IGNORECASE), act) for form in forms]


_ACTS: tuple[tuple[re.Pattern[str], _Act], ...] = tuple(
    one
    for many in (
        *(_act(rf"{_CHANGE} {_NAMED}{_INTO} {form}", _on(change)) for form, change in _FORMS),
        *(_act(rf"(?:{_CHANGE}{_INTO} )?{form}(?: for| of)? {_NAMED}", _on(change)) for form, change in _FORMS),
        *(_act(rf"(?:write|say|type|print) (?P<s>[^\s,;:]+){_INTO} {form}", _on(change)) for form, change in _FORMS),
        # Capitals on the way to small letters are a text; "convert columns to lowercase" is a question about code.
        _act(rf"{_CHANGE} (?P<s>(?-i:[A-Z][A-Z ]+)){_INTO} {_FORMS[1][0]}", _on(str.lower)),
        _act(rf"capitali[sz]e (?:the first letter of )?(?:each|every) word (?:in|of) {_GIVEN}", _on(_title)),
        _act(
            rf"reverse the (?:order of the words|word order|words) (?:in|of) {_GIVEN}",
            _on(lambda text: " ".join(text.split()[::-1])),
        ),
        _act(rf"(?:reverse|flip)(?: the letters (?:of|in))? {_NAMED}", _on(_backwards)),
        _act(rf"(?:spell|write|say|type|print|read) {_WORD} {_BACKWARDS}", _on(_backwards)),
        _act(rf"{_ASK}{_WORD} (?:spelled |spelt |written )?{_BACKWARDS}", _on(_backwards)),
        _act(
            r"how many (?P<what>letters|vowels|consonants) (?:are |are there |is |does |do )?(?:in |has )?"
            rf"{_WORD}(?: have| has| contain| contains)?",
            _count,
        ),
        _act(
            r"how many (?P<what>words|characters|digits|spaces) (?:are |are there |is |does |do )?(?:in |has )?"
            rf"{_NAMED}(?: have| has| contain| contains)?",
            _count,
        ),
        _act(
            rf"(?:count|{_ASK}number of) (?:the )?(?P<what>letters|characters|words|digits|spaces|vowels|consonants)"
            rf" (?:in|of) {_NAMED}",
            _count,
        ),
        _act(
            rf"how (?:many times|often) (?:does|is) (?:the )?(?:letter |word )?(?P<part>{_MARK}|[a-z])"
            rf" (?:appear|occur|used|come up|show up)(?: in)? {_WORD}",
            _occurrences,
        ),
        _act(
            rf"how many (?:letter )?(?P<part>{_MARK}|[a-z])(?:'?s)?(?: letters)? (?:are )?(?:there )?(?:in|does)"
            rf" {_WORD}(?: have)?",
            _occurrences,
        ),
        _act(rf"{_ASK}{_PLACE} (?P<unit>letter|character) (?:of|in) {_WORD}", _nth),
        _act(rf"{_ASK}{_PLACE} (?P<unit>word) (?:of|in) {_GIVEN}", _nth),
        _act(rf"{_ASK}(?P<size>longest|shortest) word (?:in|of) {_GIVEN}", _longest),
        _act(
            rf"(?:sort|order|arrange|put|alphabeti[sz]e|rank) (?:{_NOUN})?(?:(?P<before>{_ORDER}) )?"
            rf"(?P<s>{_MARK}|[^:]+?,[^:]+?),?(?: (?P<after>{_ORDER}))?",
            _sorted,
        ),
        _act(rf"(?:repeat|write|say|print|type) {_WORD} (?P<times>once|twice|thrice|(?:\d+|[a-z]+) times)", _repeated),
        _act(
            r"(?:remove|delete|strip|drop)(?: all)?(?: the)? (?P<what>spaces|vowels|digits|commas|punctuation)"
            rf" (?:from|in|of) {_NAMED}",
            _without,
        ),
        _act(rf"replace (?P<old>{_MARK}|\w+) (?:with|by) (?P<new>{_MARK}|\w+) in {_GIVEN}", _replaced),
        _act(rf"is {_WORD} a palindrome", _on(_palindrome)),
    )
    for one in many
)
