"""Loss and validation NME of training logs as a picture: plot_training.py OUT.png LOG.jsonl...   (needs matplotlib)"""

import sys
from pathlib import Path

from darkpose.runlog import read_log


def main(out: Path, logs: list[Path]) -> None:
    """Draw the runs one after the other."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    offset = 0
    for path in logs:
        lines = read_log(path)
        steps = [line for line in lines if line["mode"] == "train"]
        epochs = [line for line in lines if line["mode"] == "val"]
        per_epoch = (steps[-1]["iter"] + 1) / steps[-1]["epoch"]
        left.semilogy([offset + line["iter"] / per_epoch for line in steps], [line["loss"] for line in steps])
        right.plot(
            [offset + line["epoch"] for line in epochs],
            [100 * line["NME"] for line in epochs],
            marker=".",
            label=f"{path.stem}: lowest {100 * min(line['NME'] for line in epochs):.2f} %",
        )
        offset += epochs[-1]["epoch"]
    left.set(xlabel="epoch", ylabel="loss (training crops)")
    right.set(xlabel="epoch", ylabel="NME on LFPW test (%)", ylim=(3, 5))
    right.legend()
    right.grid(alpha=0.3)
    left.grid(alpha=0.3)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
