"""Facts about an installation, from metadata."""

import socket
from pathlib import Path

import pytest

from darkpose.cli.about import about, lines
from darkpose.errors import DarkposeError


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is in the cache, and a connection is an error."""

    def refuse(*_: object) -> None:
        raise AssertionError("info must not connect")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("DARKPOSE_CACHE", str(tmp_path / "cache"))


def test_the_default_weights_are_described_by_their_metadata() -> None:
    facts = about()
    assert facts["weights"] == "default"
    assert facts["markup"] == "300w-68, 68 landmarks"
    assert facts["schemas"] == "300w-68, wflw-98, aflw-19"
    assert facts["provenance"]["terms"]
    assert Path(facts["file"]).name == "300w-hrnetv2-w18-dark.safetensors"
    assert facts["runtime"].split()[0] in ("openvino", "onnxruntime", "torch")


def test_a_checkpoint_is_described_by_its_metadata(small_weights: Path) -> None:
    facts = about(str(small_weights))
    assert (facts["markup"], facts["weights"]) == ("300w-68, 68 landmarks", str(small_weights))


def test_published_weights_are_described_before_they_are_downloaded(tmp_path: Path) -> None:
    facts = about("wflw-hrnetv2-w18-dark")
    assert facts["markup"] == "wflw-98, 98 landmarks"
    assert "downloaded" in facts["file"]
    assert "WFLW" in facts["provenance"]["terms"]
    assert not (tmp_path / "cache").exists()


def test_a_pth_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("words")
    assert "torch" in about(str(tmp_path / "a.pth"))["markup"]
    with pytest.raises(DarkposeError, match=r"no such file"):
        about(str(tmp_path / "b.pth"))


def test_the_codec_is_numba_or_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkpose.cli.about.PACKAGES", ("numpy",))
    assert about()["codec"].startswith("NumPy (")
    assert "numba" not in about()


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkpose.cli.about.has_nvidia_driver", lambda: False)
    monkeypatch.setattr("darkpose.runtime.open.has_nvidia_driver", lambda: False)
    assert about()["device"].startswith("cpu (")


def test_provenance_and_paths_are_for_verbose_output() -> None:
    facts = about()
    short, long = ("\n".join(lines(facts, verbose=verbose)) for verbose in (False, True))
    assert "schema       300w-68, 68 landmarks" in short
    assert f"numpy {facts['numpy']}" in short
    assert "provenance" not in short
    assert "provenance\n  recipe" in long
    assert facts["cache"] in long
