"""Schemas as TOML files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.datasets.sample import Sample, nme_normaliser, normaliser_name
from darkpose.datasets.schema_file import read_schema, write_schema
from darkpose.errors import DarkposeError
from darkpose.schema import SCHEMAS, KeypointSchema, join_schemas, regions

NAMES = ("left_ear", "right_ear", "nose")


def written(folder: Path, text: str) -> Path:
    (folder / "cat.toml").write_text(text)
    return folder / "cat.toml"


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_every_shipped_schema_comes_back(schema: KeypointSchema, tmp_path: Path) -> None:
    write_schema(tmp_path / "a.toml", schema, "from a test\nof two lines")
    assert read_schema(tmp_path / "a.toml") == schema
    assert (tmp_path / "a.toml").read_text().startswith("# from a test\n# of two lines\n")


@st.composite
def schemas(draw: st.DrawFn) -> KeypointSchema:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    names = tuple(draw(st.lists(text, min_size=1, max_size=12, unique=True)))
    order = draw(st.permutations(range(len(names))))
    some = st.lists(st.sampled_from(order), max_size=5).map(tuple)
    return KeypointSchema(
        draw(st.sampled_from(["a", "b c", "ü-1"])),
        names,
        tuple(zip(order[::2], order[1::2], strict=False)),
        tuple(draw(st.lists(some, max_size=3))),
        draw(st.none() | st.tuples(st.sampled_from(order), st.sampled_from(order))),
        draw(some),
        draw(some),
        named_regions=tuple(draw(st.dictionaries(text, some, max_size=3)).items()),
        nme_box="side",
    )


@given(schema=schemas())
def test_any_schema_comes_back(tmp_path_factory: pytest.TempPathFactory, schema: KeypointSchema) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    write_schema(file, schema)
    assert read_schema(file) == schema


def test_only_the_names_are_needed(tmp_path: Path) -> None:
    assert read_schema(written(tmp_path, 'names = ["a", "b"]')) == KeypointSchema("cat", ("a", "b"), ())


def test_what_a_person_writes_is_used(tmp_path: Path) -> None:
    text = """
    name = "kitten"
    names = ["left_ear", "right_ear", "nose"]
    flip_pairs = [["left_ear", "right_ear"]]
    outlines = [["left_ear", "nose", "right_ear"]]
    normaliser = "diagonal"
    [regions]
    ears = ["left_ear", "right_ear"]
    """
    schema = read_schema(written(tmp_path, text))
    assert (schema.name, schema.flip_pairs, schema.outlines) == ("kitten", ((0, 1),), ((0, 2, 1),))
    assert {name: part.tolist() for name, part in regions(schema).items()} == {"ears": [0, 1]}
    face = Sample(Path("a.png"), np.zeros((3, 2)), np.ones(3), np.array([1.0, 2, 31, 42]))
    assert nme_normaliser(face, schema) == 50
    assert normaliser_name(schema) == "box_diagonal"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names: expected a list, got null"),
        ("names = []", "got none"),
        ("names = [1]", "names: expected names of landmarks in quotes, got 1"),
        ('names = ["a", "a"]', "unique"),
        ("names = [", "not a TOML file"),
        ("names = [" * 5000, "not a TOML file"),
        ('names = ["a"]\nflip = []', "unknown key 'flip'; the keys are name, names"),
        ('names = ["a"]\nflip_pairs = [["a", "b"]]', "no landmark 'b'"),
        ('names = ["a"]\nflip_pairs = ["a"]', "a list in flip_pairs: expected a list"),
        ('names = ["a", "b"]\nflip_pairs = [["a"]]', "a pair has two indices"),
        ('names = ["a", "b"]\nnormaliser = "eyes"', "normaliser: expected two names"),
        ('names = ["a", "b"]\nnormaliser = ["a"]', "a pair has two indices"),
        ('names = ["a", "b"]\nregions = ["a"]', "regions: expected a table"),
        ('names = ["a", "b"]\noutlines = 1979-05-27', "outlines: expected a list, got a date"),
        ('name = "../a"\nnames = ["a", "b"]', "becomes part of file names"),
        ('name = 5\nnames = ["a", "b"]', "becomes part of file names"),
    ],
)
def test_another_file_is_one_sentence_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message) as raised:
        read_schema(written(tmp_path, text))
    assert str(raised.value).startswith(str(tmp_path / "cat.toml"))
    assert "\n" not in str(raised.value)


def test_a_joined_schema_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="joins others"):
        write_schema(tmp_path / "a.toml", join_schemas(*SCHEMAS.values()))
    assert not list(tmp_path.iterdir())


def test_the_normaliser_has_a_name() -> None:
    assert [normaliser_name(schema) for schema in SCHEMAS.values()] == ["box", *["inter_ocular"] * 3]
    assert normaliser_name(KeypointSchema("a", NAMES, (), nme_pair=(0, 2))) == "left_ear_to_nose"
