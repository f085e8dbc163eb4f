"""Texts in quotes."""

import tomllib

from hypothesis import example, given
from hypothesis import strategies as st

from darkpose.files.text import quoted
from needed import needs

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(text=TEXTS)
@example(text='\x7f\x85\u2028\ufffe\U0001f600"\\')
def test_toml_reads_quoted_texts(text: str) -> None:
    assert tomllib.loads(f"a = {quoted(text)}") == {"a": text}


@needs("yaml")
@given(text=TEXTS)
@example(text='\x7f\x85\u2028\ufffe\U0001f600"\\')
def test_yaml_reads_quoted_texts(text: str) -> None:
    import yaml

    assert yaml.safe_load(f"a: [{quoted(text)}]") == {"a": [text]}
