"""Any bytes as a list of images or as a tar file: sources or a DarkposeError, and nothing is written."""

import io
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkpose.predict.sources import find_sources
from fuzzing import check, fuzzed


def tar_file() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ("a.jpg", "sub/b.png", "../c.jpg", "notes.txt"):
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    return data.getvalue()


WHOLE = tar_file()
IN_ONE_FOLDER = settings(fuzzed, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_all(path: Path, *, is_list: bool) -> int:
    sources = find_sources([] if is_list else [str(path)], str(path) if is_list else None)
    count = 0
    for source in sources:
        source.name.encode()  # every output can hold it
        count += 1
        if not is_list and not source.problem:
            source.read()
    return count


@IN_ONE_FOLDER
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_are_a_list_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "list.txt"
    check(lambda file: read_all(file, is_list=True), path, data)
    assert list(tmp_path.iterdir()) == [path]


@IN_ONE_FOLDER
@given(st.lists(st.tuples(st.integers(0, len(WHOLE)), st.binary(min_size=1, max_size=30)), max_size=6), st.booleans())
def test_any_bytes_are_a_tar_file_or_refused(tmp_path: Path, changes: list[tuple[int, bytes]], is_cut: bool) -> None:
    data = bytearray(WHOLE)
    for place, values in changes:
        data[place : place + len(values)] = values
    path = tmp_path / "a.tar"
    content = bytes(data[: changes[0][0]] if is_cut and changes else data)
    check(lambda file: read_all(file, is_list=False), path, content)
    assert list(tmp_path.iterdir()) == [path]
