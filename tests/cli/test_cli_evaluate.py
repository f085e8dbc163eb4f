"""`darkpose evaluate`."""

import json
from pathlib import Path

import pytest

from command_line import call


def test_an_evaluation_prints_a_table_or_json_and_keeps_its_predictions(
    capsys: pytest.CaptureFixture[str], astronaut: Path, small_weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lfpw" / "testset"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{180 + k} {70 + (k * 7) % 90}" for k in range(68))
    for name in "ab":
        (folder / f"{name}.png").write_bytes(astronaut.read_bytes())
        (folder / f"{name}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    file = tmp_path / "p.jsonl"
    common = ("evaluate", "300w-128", "--root", tmp_path, "--predictions", file)
    code, out, _ = call(capsys, *common, "--weights", small_weights, "--boxes", "jitter:0.1", "--device", "cpu")
    assert code == 0
    assert out.splitlines()[2].split()[:3] == ["all", "2", "0"]
    assert len(file.read_text().splitlines()) == 3
    code, out, _ = call(capsys, *common, "--json", "--against", file)
    assert code == 0
    assert json.loads(out)["subsets"]["all"]["faces"] == 2
    assert json.loads(out)["others"][0]["first_minus_this"] == {
        **{"faces": 2, "images": 2, "difference": 0, "interval": [0, 0], "missed": [0, 0]},
        "found_by_one": 0,
    }
    assert json.loads(out)["published_row"] == "published row: none for this set-up"
    code, out, _ = call(capsys, *common, "--against", file)
    assert "+0.000 (+0.000 .. +0.000), 2 faces: too few images for a verdict" in out.splitlines()[-3]
    code, _, err = call(capsys, *common, "--boxes", "detector", "--decode", "argmax")
    assert (code, err.count("\n")) == (2, 1)
    assert "--boxes, --method needs --weights" in err
    code, _, err = call(capsys, *common, "--weights", small_weights, "--boxes", "landmarks", "--device", "cpu")
    assert code == 2
    assert "the predictions of another run" in err
    code, _, err = call(capsys, "evaluate", "300w-128", "--root", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
