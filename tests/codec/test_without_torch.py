"""The codec on arrays needs no torch: it neither imports it nor gives other results where it is not installed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import sys
torch, numba, folder = sys.argv[1:]
if not int(torch):
    sys.modules["torch"] = None
if not int(numba):
    sys.modules["numba"] = None
import numpy as np
from darkpose import decode, encode
rng = np.random.default_rng(0)
points, visible = rng.uniform(-3, 35, (2, 5, 2)), rng.choice([0.0, 0.5, 1.0], (2, 5))
found = {}
for sigma, unbiased in ((1.5, True), (2.0, False)):
    maps, weights = encode(points, visible, size=(32, 28), sigma=sigma, unbiased=unbiased)
    found |= {f"maps {unbiased}": maps, f"weights {unbiased}": weights}
maps += 0.02 * rng.standard_normal(maps.shape, np.float32)
for method in ("argmax", "quarter", "dark", "dark+"):
    decoded = decode(maps, method=method, covariance=method.startswith("dark"))
    found |= {f"points {method}": decoded.points, f"scores {method}": decoded.scores}
    if decoded.covariance is not None:
        found[f"covariance {method}"] = decoded.covariance
if "darkpose.codec.dark_torch" in sys.modules or (sys.modules.get("torch") is not None):
    sys.exit("torch was imported")
np.savez(folder + "/found.npz", **found)
"""


def results(folder: Path, torch: bool, numba: bool) -> dict[str, np.ndarray]:
    folder.mkdir()
    arguments = [str(int(torch)), str(int(numba)), str(folder)]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("numba", [True, False], ids=["with Numba, if it is installed", "without Numba"])
def test_arrays_give_the_same_where_torch_is_not_installed(tmp_path: Path, numba: bool) -> None:
    found, expected = (results(tmp_path / str(torch), torch, numba) for torch in (False, True))
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])
