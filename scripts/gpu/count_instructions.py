"""What the Triton kernel's machine code holds, counted without a GPU: count_instructions.py

Compiles the kernel for compute capability 9.0, for 98 maps of 64x64 a face and a blur of 11, and prints by type of the
maps and warps a map: instructions of a warp, barriers, shuffles, and how long an H200 (132 processors of 4 schedulers,
1.98 GHz) takes at least to issue them for 512 faces. Branches that are not taken are counted, too: code is not run.
"""

import os
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "0"

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from darkpose.codec import dark_triton

MAPS, ISSUED_PER_SECOND = 512 * 98, 132 * 4 * 1.98e9
TYPES = {
    **{"taps": "*fp32", "points": "*fp32", "scores": "*fp32", "spread": "*fp32", "clipped": "*i1"},
    **{"height": "i32", "width": "i32", "method": "i32", "size": "i32", "floor": "fp32"},
}
CONSTANTS = {"cells": 4096, "side": 16}
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?\s*([A-Z][A-Z0-9_]*)")


def instructions(kind: str, warps: int) -> Counter[str]:
    """How many of each there are for maps of a type, in Triton's name for it."""
    signature = {"maps": kind, **TYPES, **dict.fromkeys(CONSTANTS, "constexpr")}
    source = ASTSource(fn=dark_triton._decode_one, signature=signature, constexprs=CONSTANTS)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
    disassembler = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        text = subprocess.run([disassembler, "-c", file.name], capture_output=True, text=True, check=True).stdout
    return Counter(INSTRUCTION.findall(text))


def main() -> None:
    """Print the table."""
    print("maps   warps  instructions  barriers  shuffles  ms to issue")
    for kind in ("*fp32", "*bf16"):
        for warps in (4, 2, 1):
            found = instructions(kind, warps)
            least = 1000 * found.total() * warps * MAPS / ISSUED_PER_SECOND
            print(f"{kind[1:]:6} {warps:5} {found.total():13} {found['BAR']:9} {found['SHFL']:9} {least:12.2f}")


if __name__ == "__main__":
    main()
