"""`darkpose convert`, `info` and `models`: weights and installation."""

from pathlib import Path

from darkpose.cli.result import print_lines, print_result


def convert(source: Path, target: Path) -> int:
    """Convert checkpoints of OpenMMLab or HRNet to safetensors.

    It reads the .pth files of OpenMMLab 0.x and 1.x and of HRNet-Facial-Landmark-Detection. Needs
    `pip install 'darkpose[torch]'`.

    Parameters
    ----------
    source
        The .pth file.
    target
        The .safetensors file to write.
    """
    from darkpose.runtime.open import check_address_space

    check_address_space()
    from darkpose.network.load import convert as convert_checkpoint

    checkpoint = convert_checkpoint(source, target)
    print_lines(f"{target}: {checkpoint.schema.name}, {len(checkpoint.schema)} landmarks")
    return 0


def info(*, weights: str = "default", verbose: bool = False, json: bool = False) -> int:
    """Show versions, runtime, device, weights and detector.

    Parameters
    ----------
    weights
        Name or path of a checkpoint.
    verbose
        Also show the provenance of the weights, and where files are.
    json
        Print everything as JSON.
    """
    from darkpose.cli.about import about, lines

    facts = about(weights)
    print_result(facts, lines(facts, verbose=verbose), json=json)
    return 0


def models(*, json: bool = False) -> int:
    """List the models with their landmarks, errors, terms and files.

    Parameters
    ----------
    json
        Print JSON.
    """
    from darkpose.weights.models import models as all_models

    found = all_models()
    print_result([model.to_dict() for model in found], [line for model in found for line in model.lines()], json=json)
    return 0
