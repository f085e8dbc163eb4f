"""The compiled decoder gives what the reference gives, for every map, type, thread and installation."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Golden
from darkpose.codec import dark
from darkpose.codec.dark import modulation_kernel
from darkpose.codec.heatmap import Decoded, decode
from random_maps import METHODS, as_kind, assert_agree, random_maps

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec import dark_numba

KERNELS = (1, 3, 9, 11, 17, 25)
SOURCE = Path(dark.__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _few_maps_are_shared_among_threads_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dark_numba, "MIN_CELLS_FOR_THREADS", 0)
        yield


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    kernel=st.sampled_from(KERNELS),
)
def test_every_map_is_decoded_as_by_the_reference(
    kind: str, method: str, seed: int, height: int, width: int, kernel: int
) -> None:
    maps, numbers = as_kind(random_maps(np.random.default_rng(seed), 12, height, width), kind)
    taps = modulation_kernel(kernel)
    found = dark_numba.decode_maps(maps, method, taps, method.startswith("dark"))
    assert_agree(found, numbers, method, taps, in_float64=True)


@pytest.mark.parametrize("case", ["k19", "k98", "rect", "edge"])
@pytest.mark.parametrize("method", METHODS)
def test_the_golden_maps_are_decoded_as_by_the_reference(golden: Golden, case: str, method: str) -> None:
    arrays = golden(f"b_decode_{case}")
    maps = arrays["heatmaps_f16" if case == "k98" else "heatmaps"]
    maps = maps.reshape(-1, *maps.shape[2:])
    for size in (11, 17):
        taps = modulation_kernel(size)
        found = dark_numba.decode_maps(maps, method, taps, method.startswith("dark"))
        assert_agree(found, maps, method, taps, in_float64=True)


@pytest.mark.parametrize("negative", [False, True], ids=["NaN", "NaN with its sign bit set"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("cell", [0, 255, 256, 511, 579])
def test_a_nan_is_seen_in_every_block_of_cells(cell: int, kind: type[Any], negative: bool) -> None:
    maps = np.full((1, 20, 29), 0.5, kind)
    maps.reshape(-1)[cell] = np.copysign(kind(np.nan), -1 if negative else 1)
    found = dark_numba.decode_maps(maps, "argmax", modulation_kernel(1))
    assert found.points.tolist() == [[-1, -1]]
    assert np.isnan(found.scores[0])


@pytest.mark.parametrize("lowest", [-0.0, 0.0, -1e-45, -2.0, -np.inf])
def test_a_map_without_a_positive_value_gives_its_maximum_as_score(lowest: float) -> None:
    maps = np.full((1, 20, 29), -np.inf, np.float32)
    maps[0, 11, 3] = lowest
    found = dark_numba.decode_maps(maps, "dark+", modulation_kernel(11))
    assert found.points.tolist() == [[-1, -1]]
    assert found.scores[0] == np.float32(lowest)


def some_maps(count: int = 98) -> NDArray[np.float32]:
    """(2, count / 2, 64, 64)."""
    return random_maps(np.random.default_rng(3), count, 64, 64).reshape(2, count // 2, 64, 64)


def assert_equal(one: Decoded[Any], other: Decoded[Any]) -> None:
    for a, b in zip((*one, one.covariance), (*other, other.covariance), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_read_only_reversed_and_unaligned_arrays_are_decoded_as_their_copies(kind: type[Any]) -> None:
    maps = some_maps(8).astype(kind)
    expected = decode(maps, covariance=True)
    frozen = maps.copy()
    frozen.flags.writeable = False
    assert_equal(decode(frozen, covariance=True), expected)
    assert_equal(decode(maps[:, ::-1][:, ::-1][::1], covariance=True), expected)
    unaligned = np.frombuffer(b"\0" + maps.tobytes(), np.uint8)[1:].view(kind).reshape(maps.shape)
    assert_equal(decode(unaligned, covariance=True), expected)
    swapped = maps.astype(np.dtype(kind).newbyteorder())
    np.testing.assert_allclose(decode(swapped, method="argmax").points, decode(maps, method="argmax").points)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = random_maps(np.random.default_rng(5), 300, 64, 64)[None]
    expected = decode(maps, method="dark+", covariance=True)
    monkeypatch.setattr("darkpose.codec.threads.thread_count", lambda: threads)
    assert_equal(decode(maps, method="dark+", covariance=True), expected)


def test_several_threads_may_decode_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = [random_maps(np.random.default_rng(seed), 300, 64, 64)[None] for seed in range(3)]
    expected = [decode(each, method="dark+") for each in maps]
    monkeypatch.setattr("darkpose.codec.threads.thread_count", lambda: 2)
    with ThreadPoolExecutor(6) as pool:
        for i, found in enumerate(pool.map(lambda i: decode(maps[i % 3], method="dark+"), range(60))):
            assert_equal(found, expected[i % 3])


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_decodes_with_threads_of_its_own() -> None:
    run(
        """
        import multiprocessing, numpy as np
        from darkpose import decode
        from darkpose.codec import dark_numba
        dark_numba.MIN_CELLS_FOR_THREADS = 0
        maps = np.random.default_rng(0).random((1, 200, 64, 64), np.float32)
        expected = decode(maps).points

        def child(results):
            results.put(decode(maps).points)

        context = multiprocessing.get_context("fork")
        results = context.Queue()
        process = context.Process(target=child, args=(results,))
        process.start()
        assert np.array_equal(results.get(timeout=60), expected)
        process.join(60)
        assert process.exitcode == 0
        """,
        OMP_NUM_THREADS="2",
    )


def test_without_numba_the_reference_decodes_and_encodes() -> None:
    out = run(
        """
        import sys
        sys.modules["numba"] = None
        import numpy as np
        from darkpose import decode, encode
        heatmaps, _ = encode(np.array([[[20.3, 30.7]]]), truncate=True)
        for maps in (heatmaps, heatmaps.astype(np.float16)):
            assert abs(decode(maps, method="dark+").points[0, 0] - [20.3, 30.7]).max() < 0.02
        print("darkpose.codec.dark_numba" in sys.modules)
        """
    )
    assert out.strip() == "False"


READ_ONLY_INSTALLATION = """
import numpy as np
from numba.core import caching

real = caching._CacheLocator.ensure_cache_path
refused = {refused!r}

def ensure(self):  # root may write anywhere: refuse as a read-only folder does
    if any(self.get_cache_path().startswith(folder) for folder in refused):
        raise PermissionError(self.get_cache_path())
    real(self)

caching._CacheLocator.ensure_cache_path = ensure
from darkpose import decode
found = decode(np.random.default_rng(0).random((1, 3, 20, 20), np.float32))
assert np.isfinite(found.points).all()
from darkpose.codec.dark_numba import _kernel
print(_kernel(4).stats.cache_path or "not kept")
"""


@pytest.mark.slow
def test_where_the_package_cannot_be_written_the_code_is_kept_in_the_users_folder(tmp_path: Path) -> None:
    kept = run(READ_ONLY_INSTALLATION.format(refused=[str(SOURCE)]), XDG_CACHE_HOME=str(tmp_path)).strip()
    assert kept.startswith(str(tmp_path))
    assert list(tmp_path.rglob("*.nbc"))


@pytest.mark.slow
def test_where_no_folder_can_be_written_the_code_is_not_kept_and_decodes_all_the_same(tmp_path: Path) -> None:
    refused = [str(SOURCE), str(tmp_path)]
    assert run(READ_ONLY_INSTALLATION.format(refused=refused), XDG_CACHE_HOME=str(tmp_path)).strip() == "not kept"


def test_a_weak_map_is_not_left_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = np.zeros((1, 1, 40, 40), np.float32)
    maps[..., 20, 20], maps[..., 21, 20] = 1e-9, 0.9e-9
    taps = modulation_kernel(11)
    expected = dark.decode_maps(maps[0], "dark", taps)
    monkeypatch.setattr(dark, "decode_maps", None)
    np.testing.assert_allclose(decode(maps).points[0], expected.points, rtol=0, atol=1e-6)
