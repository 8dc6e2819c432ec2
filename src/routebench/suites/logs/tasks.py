"""What a request asks for, told from its form and a few English words: a label to stratify by, not to decide by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import re2

from routebench.messages import last_user_text
from routebench.types import Request

OTHER = "other"
_READ_CHARACTERS = 2000
# The first that is found names the task: what shows in the form of a request comes before words.
_FORMS: Mapping[str, tuple[str, ...]] = {
    "code": (
        "```",
        r"\bdef \w+\(",
        r"\bfunction \w+\(",
        r"\bclass \w+[(:{]",
        r"\bselect\b.+\bfrom\b",
        r"\b(?:python|javascript|typescript|java|c\+\+|rust|golang|sql|regex|bash)\b",
        r"\b(?:unit test|stack ?trace|traceback|refactor|debug)\b",
    ),
    "translation": (
        r"\btranslat(?:e|ion|ing)\b",
        r"\b(?:in|into|to) (?:english|german|french|spanish|italian|portuguese|dutch|polish|russian)\b",
        r"\b(?:in|into|to) (?:chinese|japanese|korean|arabic|turkish|hindi)\b",
    ),
    "summary": (
        r"\bsummar(?:y|ies|i[sz]e[sd]?|i[sz]ing)\b",
        r"\btl;?dr\b",
        r"\bin (?:one|two|three|a few) sentences?\b",
        r"\bkey points\b",
        r"\bshorten\b",
    ),
    "extraction": (
        r"\bextract(?:s|ed|ing)?\b",
        r"\bas json\b",
        r"\bjson (?:object|array|format)\b",
        r"\bfill in the fields\b",
        r"\bparse\b",
        r"\binto a table\b",
    ),
    "classification": (
        r"\bclassif(?:y|ies|ied|ication)\b",
        r"\bcategor(?:y|ies|i[sz]e[sd]?)\b",
        r"\b(?:sentiment|label|spam)\b",
        r"\bwhich (?:queue|category|class|team|topic|department|intent)\b",
        r"\bone of (?:the following|these)\b",
    ),
    "mathematics": (
        r"\d\s*[-+*/×÷^=]\s*\d",
        r"\bhow (?:many|much)\b",
        r"\b(?:calculate|calculation|solve|prove|equation|percent|percentage|probability|average)\b",
        r"\bsum of\b",
    ),
    "writing": (
        r"\b(?:write|draft|compose|rewrite|rephrase|polish|proofread|improve)\b",
        r"\b(?:essay|poem|story|blog post|cover letter|headline|slogan)\b",
        r"\be-?mail to\b",
    ),
    "question": (
        r"\?",
        r"^\s*(?:who|what|when|where|why|how|which|is|are|can|could|do|does|did|should)\b",
        r"\bexplain\b",
    ),
}
TASKS: tuple[str, ...] = ("tool use", "structured output", *_FORMS, OTHER)
"""Every label, in the order in which they are looked for."""


def recognise(request: Request) -> str:
    """Returns what a request asks for, one of TASKS: of the last user message, its first 2,000 characters are read."""
    if request.tools:
        return "tool use"
    form = request.response_format
    if form is not None and form.get("type") in ("json_schema", "json_object"):
        return "structured output"
    text = last_user_text(request.messages)[:_READ_CHARACTERS]
    found = _patterns().Match(text)
    return _NAMES[min(found)] if found else OTHER


_NAMES = tuple(_FORMS)


@cache
def _patterns() -> Any:
    """All of them as one automaton: linear in the text, and fifty times as fast as one after the other."""
    options = re2.Options()
    options.case_sensitive = False
    together = re2.Set.SearchSet(options)
    for forms in _FORMS.values():
        together.Add("|".join(forms))
    together.Compile()
    return together
