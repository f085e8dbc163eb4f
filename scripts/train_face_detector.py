"""Train the face detector: train_face_detector.py DATA RUN [STEPS [START]]

DATA holds `wider` (WIDER FACE with boxes.jsonl), `wflw` (its test list), `300w`, `cfp`, `merlrav` and `ytf`. RUN gets

    validation.json   names of the pictures that are not trained on: those with faces of WFLW, and 100 others
    landmarks.npz     landmarks that the package's network finds in WIDER's boxes: they give boxes and rolls
    log.jsonl         a line for every 50 steps
    state.pt          everything a killed run needs; the same command goes on
    weights.safetensors   the averaged weights

The network calculates in bfloat16. START is a detector whose weights a new run begins with.
"""

import io
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from darkpose.datasets.face_boxes import BoxedPicture, face_box, read_wider, roll_of, roll_of_some
from darkpose.detect.yunet import YuNet
from darkpose.files.atomic import write_atomically
from darkpose.files.pts import read_pts
from darkpose.image.geometry import Floats
from darkpose.image.pixels import planes, read_image
from darkpose.network.face_detector import FaceDetectorNetwork, load_face_detector
from darkpose.predict.predictor import Predictor, Region
from darkpose.stopping import Stopping
from darkpose.training.average import WeightAverage
from darkpose.training.face_pictures import FacePicture, PictureConfig, draw_picture
from darkpose.training.face_targets import detector_losses, targets_of
from darkpose.training.schedule import Cosine, Schedule
from darkpose.weights.face_detector import FORMAT, FaceDetectorConfig, open_face_detector
from darkpose.weights.zoo import FACES

BATCH, RATE, DECAY, AVERAGE = 16, 2e-3, 0.02, 0.999
STEPS = 30000
LABELLED = 22  # px, longer side of WIDER's boxes from which landmarks are looked for
SURE, SIZES, SHIFT, TILT = (
    0.6,
    (0.5, 1.3),
    (0.25, 0.3),
    1.2,
)  # of landmarks that are believed: score, area, centre, roll
TERMS = (
    "weights of darkpose, Apache-2.0; learnt from WIDER FACE, 300-W, CFP, MERL-RAV and YouTube Faces, whose images are "
    "for research only"
)
UNKNOWN = 0.5  # certainty of the roll 0 of the other faces
INNER = slice(17, 68)  # of the 68 landmarks, those inside the face


def validation_names(data: Path, pictures: list[BoxedPicture]) -> set[str]:
    """Names of the pictures that are not trained on."""
    (listed,) = (data / "wflw/WFLW_annotations").rglob("list_98pt_rect_attr_test.txt")
    of_wflw = {line.split()[-1].rpartition("/")[2] for line in listed.read_text().splitlines()}
    others = [picture.image.name for picture in pictures if picture.image.name not in of_wflw]
    return of_wflw | set(random.Random(0).sample(others, 100))


def find_labels(pictures: list[BoxedPicture], file: Path) -> dict[tuple[str, int], tuple[Floats, float]]:
    """(picture, face) -> 68 landmarks and their mean score, kept in a file."""
    if not file.exists():
        predictor = Predictor(FACES, schema="300w-68", runtime="openvino")
        keys, points, scores = [], [], []
        for picture in tqdm(pictures, "landmarks"):
            sides = picture.boxes[:, 2:] - picture.boxes[:, :2]
            wanted = (sides.max(axis=1) >= LABELLED) & (sides.min(axis=1) >= 5) & (picture.flag("invalid") == 0)
            some, image = np.flatnonzero(wanted), read_image(picture.image)
            boxes = zip(picture.boxes[some], YuNet.correction(picture.boxes[some]), strict=True)
            found = predictor.locate([Region(image, box, crop, "given", 1.0) for box, crop in boxes])
            keys += [(picture.image.name, index) for index in some]
            points += [face.keypoints for face in found]
            scores += [face.score for face in found]
        names, indices = zip(*keys, strict=True)
        np.savez_compressed(file, image=names, index=indices, points=np.stack(points), score=scores)
    with np.load(file) as read:
        known = zip(read["image"].tolist(), read["index"].tolist(), strict=True)
        return dict(
            zip(known, zip(read["points"].astype(np.float64), read["score"].tolist(), strict=True), strict=True)
        )


def believed(box: Floats, points: Floats, score: float, upright: Floats) -> Floats | None:
    """The landmark box of landmarks that fit WIDER's box; None: they do not."""
    face, size = face_box(points, roll_of(points[INNER], upright[INNER])), box[2:] - box[:2]
    apart = np.abs(face[:2] - (box[:2] + box[2:]) / 2) / size
    fits = score > SURE and SIZES[0] < face[2] * face[3] / size.prod() < SIZES[1]
    return face if fits and (apart < SHIFT).all() and abs(face[4]) < TILT else None


def wider_pictures(
    pictures: list[BoxedPicture], labels: dict[tuple[str, int], tuple[Floats, float]], upright: Floats
) -> list[FacePicture]:
    """WIDER's pictures with landmark boxes: of believed landmarks, else by the median relation to WIDER's boxes."""
    known: dict[tuple[str, int], Floats] = {}
    relations = []
    for picture in pictures:
        for index, box in enumerate(picture.boxes):
            label = labels.get((picture.image.name, index))
            face = believed(box, *label, upright) if label else None
            if face is not None:
                known[picture.image.name, index] = face
                size = box[2:] - box[:2]
                if abs(face[4]) < 0.3:
                    relations.append([*((face[:2] - (box[:2] + box[2:]) / 2) / size), *(face[2:4] / size)])
    relation = np.median(relations, axis=0)
    print(
        f"{len(known)} landmark boxes are known; in shares of WIDER's boxes: {relation.round(3).tolist()}", flush=True
    )
    return [_wider_picture(picture, known, relation) for picture in pictures]


def _wider_picture(picture: BoxedPicture, known: dict[tuple[str, int], Floats], relation: Floats) -> FacePicture:
    faces, certainty, ignored = [], [], []
    for index, (box, invalid) in enumerate(zip(picture.boxes, picture.flag("invalid"), strict=True)):
        size = box[2:] - box[:2]
        face = known.get((picture.image.name, index))
        if invalid or size.min() < 2.5:
            ignored.append(box)
        elif face is not None:
            faces.append(face)
            certainty.append(1.0)
        else:
            center = (box[:2] + box[2:]) / 2 + relation[:2] * size
            faces.append(np.array([*center, *(relation[2:] * size), 0.0]))
            certainty.append(UNKNOWN)
    data, boxes = picture.image.read_bytes(), np.array(ignored).reshape(-1, 4)
    return FacePicture(data, np.array(faces).reshape(-1, 5), np.array(certainty), boxes, is_complete=True)


def single_pictures(data: Path, upright: Floats) -> list[FacePicture]:
    """Pictures of the landmark sets, in which one face is annotated; none of LFPW's or Helen's test sets."""
    found = []
    for folder in ("afw", "helen/trainset", "lfpw/trainset"):
        for file in sorted((data / "300w" / folder).glob("*.pts")):
            images = [file.with_suffix(ending) for ending in (".jpg", ".png") if file.with_suffix(ending).exists()]
            found += [_single(image, read_pts(file), np.ones(68, bool), upright) for image in images[:1]]
    for name in ("cfp", "merlrav", "ytf"):
        for line in (data / name / "annotations.jsonl").read_text().splitlines():
            row = json.loads(line)
            points = np.array(row["pts68"], np.float64)
            seen = np.all(points >= 0, axis=1)
            if seen[INNER].sum() >= 20 and (seen.all() or row.get("kind") != "frontal"):
                found.append(_single(data / name / row["file"], points, seen, upright))
    return found


def _single(image: Path, points: Floats, seen: np.ndarray[Any, Any], upright: Floats) -> FacePicture:
    measure = roll_of if seen.all() else roll_of_some
    inner = seen & (np.arange(68) >= INNER.start) if seen.all() else seen
    face = face_box(points[seen], measure(points[inner], upright[inner]))
    return FacePicture(image.read_bytes(), face[None], np.ones(1), np.zeros((0, 4)), is_complete=False)


def upright_shape(data: Path) -> Floats:
    """Mean of the 68 landmarks over LFPW's training faces, with level eyes."""
    shapes = []
    for file in sorted((data / "300w/lfpw/trainset").glob("*.pts")):
        shape = read_pts(file) - read_pts(file).mean(axis=0)
        shapes.append(shape / np.linalg.norm(shape))
    mean = np.mean(shapes, axis=0)
    across = mean[42:48].mean(axis=0) - mean[36:42].mean(axis=0)
    cos, sin = across / np.linalg.norm(across)
    return np.asarray(mean @ np.array([[cos, -sin], [sin, cos]]))


class Pictures(IterableDataset[Any]):
    """Endless training pictures: (3, S, S) uint8 and the targets of each grid; those of a step depend on the step."""

    def __init__(self, complete: list[FacePicture], single: list[FacePicture], first: int) -> None:
        self.complete, self.single, self.first = complete, single, first

    def __iter__(self) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """From the first picture on."""
        index, config = self.first, PictureConfig()
        while True:
            picture = draw_picture(self.complete, self.single, config, np.random.default_rng(index))
            targets = [torch.from_numpy(target) for target in targets_of(picture)]
            yield torch.from_numpy(planes(np.ascontiguousarray(picture.image))), targets
            index += 1


def write_weights(network: FaceDetectorNetwork, path: Path, provenance: dict[str, Any]) -> None:
    """Write the file of a detector; convolutions in half precision."""
    weights = {
        name: (value.half() if value.ndim == 4 else value).detach().contiguous()
        for name, value in network.state_dict().items()
    }
    metadata = {
        "darkpose_face_detector": FORMAT,
        "config": json.dumps(asdict(network.config)),
        "provenance": json.dumps(provenance),
    }
    write_atomically(path, lambda temporary: temporary.write_bytes(save(weights, metadata)))


class Run:
    """Network, optimizer and average of a run, and the file that holds them."""

    def __init__(self, folder: Path, start: Path | None) -> None:
        torch.manual_seed(0)
        self.folder, self.step = folder, 0
        network = load_face_detector(open_face_detector(start)) if start else FaceDetectorNetwork(FaceDetectorConfig())
        self.network = network.train().requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, AVERAGE)
        weights = [value for value in self.network.parameters() if value.ndim > 1]
        others = [value for value in self.network.parameters() if value.ndim <= 1]
        groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=RATE)
        if (folder / "state.pt").exists():
            state = torch.load(folder / "state.pt", weights_only=True)
            self.step = state["step"]
            for name, part in self.parts().items():
                part.load_state_dict(state[name])

    def parts(self) -> dict[str, Any]:
        """What the file holds, by name."""
        return {"network": self.network, "average": self.average, "optimizer": self.optimizer}

    def save(self, provenance: dict[str, Any]) -> None:
        """Replace the state and the weights."""
        data = io.BytesIO()
        torch.save({"step": self.step, **{name: part.state_dict() for name, part in self.parts().items()}}, data)
        write_atomically(self.folder / "state.pt", lambda temporary: temporary.write_bytes(data.getbuffer()))
        write_weights(self.average.module, self.folder / "weights.safetensors", provenance)  # type: ignore[arg-type]


def main(data: Path, folder: Path, steps: int, start: Path | None = None) -> None:
    """Train, or go on."""
    torch.set_num_threads(1)  # the other core makes the pictures
    folder.mkdir(parents=True, exist_ok=True)
    pictures, upright = read_wider(data / "wider"), upright_shape(data)
    held_out = validation_names(data, pictures)
    (folder / "validation.json").write_text(json.dumps(sorted(held_out), indent=0))
    labels = find_labels(pictures, folder / "landmarks.npz")
    complete = wider_pictures([each for each in pictures if each.image.name not in held_out], labels, upright)
    single = single_pictures(data, upright)
    run, schedule = Run(folder, start), Schedule(RATE, Cosine(0.02), warmup=300)
    provenance = {
        "command": "scripts/train_face_detector.py",
        "steps": steps,
        **({"start": open_face_detector(start).digest()} if start else {}),
        "pictures": {"wider": len(complete), "single": len(single)},
        "terms": TERMS,
    }
    loader = DataLoader(
        Pictures(complete, single, run.step * BATCH), batch_size=BATCH, num_workers=1, prefetch_factor=8
    )
    sums = np.zeros(3)
    with Stopping() as stopping, (folder / "log.jsonl").open("a") as log:
        for images, targets in tqdm(loader, initial=run.step, total=steps):
            if run.step >= steps or stopping.reason:
                break
            for group in run.optimizer.param_groups:
                group["lr"] = schedule(run.step, steps, steps)
            normalised = (images.float() - 127.5) / 64
            with torch.autocast("cpu", torch.bfloat16):
                grids = run.network(normalised.contiguous(memory_format=torch.channels_last))
            losses = detector_losses([grid.float() for grid in grids], targets)
            run.optimizer.zero_grad()
            sum(losses).backward()  # type: ignore[union-attr]
            torch.nn.utils.clip_grad_norm_(run.network.parameters(), 50.0)
            run.optimizer.step()
            run.average.update(run.network)
            run.step += 1
            sums += [loss.item() for loss in losses]
            if run.step % 50 == 0:
                print(
                    json.dumps({"step": run.step, "score_box_roll": (sums / 50).round(4).tolist()}),
                    file=log,
                    flush=True,
                )
                sums[:] = 0
            if run.step % 500 == 0:
                run.save(provenance)
    run.save({**provenance, "stopped_at": run.step})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else STEPS, *map(Path, sys.argv[4:5]))
