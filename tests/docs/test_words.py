"""What a person reads is in plain English: STYLE §1's table of words, applied to every page and every module."""

import re

import pytest

from tests.docs.pages import ROOT
from tests.docs.words import WORDS, Word, find_words, findings_in, markdown_prose, python_prose, written_files


def test_every_page_and_module_is_in_plain_words() -> None:
    found = findings_in(written_files())
    assert not found, "\n".join(str(finding) for findings in found.values() for finding in findings)


@pytest.mark.parametrize("row", WORDS, ids=lambda row: row.name)
def test_a_sentence_that_breaks_a_row_is_found(row: Word) -> None:
    assert row in {finding.word for finding in find_words(row.breaks)}


@pytest.mark.parametrize("row", WORDS, ids=lambda row: row.name)
def test_a_sentence_that_is_plain_passes(row: Word) -> None:
    assert list(find_words(row.passes)) == []


def test_a_finding_names_the_line_the_word_and_the_better_one() -> None:
    [finding] = find_words("Fine.\nThen it goes\non from here.", "docs/a.md")
    assert str(finding) == "docs/a.md:2: 'goes on' (go on): write continue, resume with"


def test_a_page_is_read_without_its_code_and_link_targets() -> None:
    page = "It\ngoes on.\n\n```python\ngoes(on)  # goes on\n```\n`whoever` [here](whoever.md) <https://whoever.com>\n"
    assert [finding.line for finding in find_words(markdown_prose(page))] == [2]


def test_only_in_decisions_a_block_quote_is_left_out() -> None:
    page = "> Whoever reads\n> goes on.\n"
    assert [len(list(find_words(markdown_prose(page, quotes=quotes)))) for quotes in (True, False)] == [2, 0]


def test_a_module_is_read_by_its_comments_docstrings_and_texts() -> None:
    module = '''"""Whoever reads."""

whoever = told["told"]  # told by
# whoever
raise ValueError(
    f"it {whoever} goes "
    "on"
)
'''
    assert sorted(finding.line for finding in find_words(python_prose(module))) == [1, 3, 4, 6]


def test_no_phrase_runs_from_one_text_across_code_into_the_next() -> None:
    assert list(find_words(python_prose('a = "it goes "\nb = "on and off"\n'))) == []


def test_every_kind_of_file_is_read() -> None:
    seen = {re.sub(r"/.*", "", path.relative_to(ROOT).as_posix()) for path in written_files()}
    assert seen == {"README.md", "CONTRIBUTING.md", "SECURITY.md", "changelog.d", "docs", "src"}
