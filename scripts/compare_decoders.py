"""Random maps through every decoder: do they agree with the NumPy reference?

    python scripts/compare_decoders.py [COUNT] [--seed SEED]

COUNT maps (a million, if not said; ten minutes or more) of all kinds and sizes: peaks inside, at and beyond borders,
noise, ties, constants, negative values, NaN, infinities, from 1x1 to 64x64; in a third of the batches weak ones, of
which many have blurred cells at the clip. Scores, and the points of "argmax" and "quarter", must be equal; DARK's
points must agree to 1e-5 px where the step is well conditioned, and those of "dark+" also where rounding does not move
the fit. What computes in float64 and clips (Numba; the reference on float64 copies) must agree wherever rounding does
not move the point. Where they do not the maps are saved as disagreement.npz.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from darkpose.codec import dark_triton
from darkpose.codec.arrays import has_numba
from darkpose.codec.dark import Found, decode_maps, modulation_kernel
from darkpose.codec.dark_torch import FoundTensors, decode_torch
from darkpose.codec.tensors import as_array
from random_maps import METHODS, assert_agree, random_maps, weak_maps

Decoder = Callable[[torch.Tensor, str, int], tuple[Found, NDArray[np.bool_]]]
BATCH = 500


def by_numba(maps: torch.Tensor, method: str, kernel: int) -> tuple[Found, NDArray[np.bool_]]:
    """`dark_numba`, on the memory of the tensor."""
    from darkpose.codec import dark_numba

    found = dark_numba.decode_maps(as_array(maps), method, modulation_kernel(kernel), method.startswith("dark"))
    return found, np.ones(len(maps), bool)


def by_numpy(maps: torch.Tensor, method: str, kernel: int) -> tuple[Found, NDArray[np.bool_]]:
    """The reference on float64 copies: does it agree with itself?"""
    found = decode_maps(maps.double().numpy(), method, modulation_kernel(kernel), method.startswith("dark"))
    return found._replace(scores=found.scores.astype(np.float32)), np.ones(len(maps), bool)


def _unclipped(found: FoundTensors) -> tuple[Found, NDArray[np.bool_]]:
    keep = ~found.clipped
    arrays = (found.points[keep], found.scores[keep], found.covariance[keep])
    return Found(*(each.cpu().numpy() for each in arrays)), keep.cpu().numpy()


def by_torch(maps: torch.Tensor, method: str, kernel: int) -> tuple[Found, NDArray[np.bool_]]:
    """`dark_torch`, on a GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return _unclipped(decode_torch(maps.to(device), method=method, kernel_size=kernel))


def by_triton(maps: torch.Tensor, method: str, kernel: int) -> tuple[Found, NDArray[np.bool_]]:
    """`dark_triton`."""
    return _unclipped(dark_triton.decode_gpu(maps.cuda(), method=method, kernel_size=kernel))


def decoders() -> dict[str, Decoder]:
    """Those that can run here, by name."""
    found: dict[str, Decoder] = {"float64": by_numpy, "torch": by_torch}
    if has_numba():
        found["Numba"] = by_numba
    if dark_triton.AVAILABLE and torch.cuda.is_available():
        found["Triton"] = by_triton
    return found


def main() -> None:
    """Compare, and say how many maps agreed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, started, done = np.random.default_rng(arguments.seed), time.monotonic(), 0
    every = decoders()
    compared = dict.fromkeys(every, 0)
    while done < arguments.count:
        count, (height, width) = min(BATCH, arguments.count - done), rng.integers(1, 65, 2)
        method, kernel = str(rng.choice(METHODS)), int(rng.choice([3, 7, 11, 17]))
        kind: Any = rng.choice(np.array([torch.float32, torch.float64, torch.float16, torch.bfloat16], object))
        make = weak_maps if rng.random() < 1 / 3 else random_maps
        maps = torch.from_numpy(make(rng, count, height, width)).to(kind)
        for name, decode in every.items():
            if name == "Triton" and method == "dark+":
                continue
            found, keep = decode(maps, method, kernel)
            try:
                numbers = maps if maps.dtype == torch.float64 else maps.float()
                exact = name in ("float64", "Numba")
                assert_agree(found, numbers.numpy()[keep], method, modulation_kernel(kernel), in_float64=exact)
            except AssertionError as error:
                np.savez("disagreement.npz", maps=maps.float().numpy(), method=method, kernel=kernel)
                raise SystemExit(f"{name}, {method}, kernel {kernel}, {kind}: disagreement.npz\n{error}") from error
            compared[name] += len(found.scores)
        done += count
    counts = ", ".join(f"{name} {number:,}" for name, number in compared.items())
    print(f"{done:,} maps in {time.monotonic() - started:.0f} s, all in agreement: {counts}")


if __name__ == "__main__":
    main()
