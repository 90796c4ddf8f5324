"""CreateParams: a TypedDict of every parameter, generated from the rules and compared with the protocol."""

import re
from pathlib import Path

from streamfold.schema import CreateParams
from streamfold.schema.dialect import DIALECTS as ALL_DIALECTS
from streamfold.schema.parameter import create_rules
from tests.schema import create_params


def test_create_params_are_what_the_script_would_write() -> None:
    assert create_params.TARGET.read_text("utf-8") == create_params.text()


def test_create_params_have_every_parameter_of_every_dialect() -> None:
    names = {name for dialect in ALL_DIALECTS.values() for name in create_rules(dialect)}
    assert CreateParams.__annotations__.keys() == names - create_params.LEFT_OUT


def test_every_parameter_of_the_protocol_has_a_rule(corpus: Path) -> None:
    """The first column of the table in PROTOCOL.md, section 4: names, some with their fields or range behind them."""
    section = (corpus / "protocol" / "PROTOCOL.md").read_text("utf-8").split("\n## 4.")[1].split("\n## 5.")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    names = set(re.findall(r"[a-z]\w{2,}", re.sub(r"\{.*?\}|\(.*?\)|\.\w+", "", " ".join(cells))))
    names = names - {"and", "soonest"} | {"fallback_models"}  # the last stands in the text of another row
    known = {name for dialect in ALL_DIALECTS.values() for name in create_rules(dialect)}
    assert "fallback_models" in section
    assert names == known - OPENAI_SDK_ONLY


# Only the types of openai's SDK have these; tests/sdk/test_openai.py compares with that.
OPENAI_SDK_ONLY = {"access_programs", "image", "moderation", "prompt_cache_options", "prompt_cache_retention"}
