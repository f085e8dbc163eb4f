"""Draw the figures of docs/derived.md: derived_figures.py [FOLDER]

They show the portrait in examples/, drawn heads and the mean face. FOLDER: docs.
"""

import sys
from pathlib import Path

import numpy as np

from darkpose.datasets.drawn_face import draw_face, draw_plan
from darkpose.datasets.face_plan import Pose as DrawnPose
from darkpose.datasets.face_plan import pose_face
from darkpose.derived.mean_face import mean_face
from darkpose.derived.openness import Openness, openness
from darkpose.derived.pose import Camera, Pose, head_pose
from darkpose.derived.warp import average_face, average_shape, mesh, warp_face
from darkpose.image.draw import DARK_BLUE, draw_disc, draw_polyline
from darkpose.image.geometry import Floats, resize_points
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, resized, write_image
from darkpose.predict.draw import draw_axes
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor
from darkpose.schema import W300_68, WFLW_98, KeypointSchema

ROOT = Path(__file__).parents[1]
SIDE = 256  # px, of a picture
SHOWN = 180  # px, of a picture in a row
MESH = (90, 220, 240)


def row(pictures: list[tuple[Pixels, str]]) -> Pixels:
    """Pictures next to each other, with a line of text under each."""
    columns = []
    for picture, text in pictures:
        label = np.full((26, SHOWN, 3), 255, np.uint8)
        cv2.putText(label, text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.37, DARK_BLUE, 1, cv2.LINE_AA)
        shown = resized(picture, (SHOWN, SHOWN))
        columns += [np.vstack([shown, label]), np.full((SHOWN + 26, 6, 3), 255, np.uint8)]
    return np.hstack(columns[:-1])


def drawn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, open_: float = 1.0) -> tuple[Pixels, Floats]:
    """A drawn head and its 98 landmarks."""
    plan = pose_face(2, 4, DrawnPose(128, 105, 55, yaw, pitch, roll, open_))
    return draw_plan(plan).image, plan.keypoints


def zoomed(image: Pixels, corner: tuple[int, int], side: int) -> Pixels:
    """A square part of an image at the side of a row."""
    x, y = corner
    return resized(np.ascontiguousarray(image[y : y + side, x : x + side]), (SIDE, SIDE))


def signs(face: Face) -> Pixels:
    """The portrait with the axes of its pose, and drawn heads in known poses."""
    pose = face.pose()
    assert face.image is not None
    portrait = zoomed(face.image, (130, 20), 180)
    nose = resize_points(face.five_points[2] - [130, 20], SIDE / 180)
    draw_axes(portrait, nose, pose, 180)
    text = f"yaw {pose.yaw:+.0f}, pitch {pose.pitch:+.0f}, roll {pose.roll:+.0f}"
    pictures = [(portrait, text)]
    for name, angles in (("yaw", (30.0, 0.0, 0.0)), ("pitch", (0.0, 30.0, 0.0)), ("roll", (0.0, 0.0, 30.0))):
        image, points = drawn(*angles)
        draw_axes(image, points[WFLW_98.index("nose_bridge_3")], Pose(*angles), 150)
        pictures.append((image, f"{name} +30"))
    return row(pictures)


def shape() -> Pixels:
    """The mean face of 68 landmarks from the front and from its right, with its triangles."""
    face = mean_face(W300_68.name)
    assert face is not None
    pictures = []
    for axes, text in (((0, 1), "mean face, x and y"), ((2, 1), "the same, z and y")):
        canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
        points = face.points[:, list(axes)] * 125 + [128, 64]
        draw_mesh(canvas, points, W300_68, (150, 190, 210))
        for point in points:
            draw_disc(canvas, point, 2, DARK_BLUE)
        pictures.append((canvas, text))
    return row(pictures)


def draw_mesh(canvas: Pixels, points: Floats, schema: KeypointSchema, colour: tuple[int, int, int] = MESH) -> None:
    """Draw the triangles over a face."""
    for triangle in mesh(schema):
        draw_polyline(canvas, points[triangle], colour, 1, closed=True)


def eyes() -> Pixels:
    """Drawn heads whose eyes close."""
    pictures, camera = [], Camera.of_image(SIDE, SIDE, 4)
    for how, yaw in ((1.0, 0.0), (0.5, 0.0), (0.15, 0.0), (0.5, 40.0)):
        image, points = drawn(yaw, open_=how)
        found: Openness = openness(points, WFLW_98, camera, head_pose(points, WFLW_98, camera))
        pictures.append((image, f"eyes {found.left_eye:.2f} and {found.right_eye:.2f}"))
    return row(pictures)


def crops(face: Face) -> Pixels:
    """Aligned crops of the portrait."""
    kinds = (("arcface-112", 0.0), ("arcface-112", 0.25), ("ffhq-256", 0.0), (256, 0.0))
    pictures = []
    for template, margin in kinds:
        text = f"{template!r}, margin={margin}" if margin else repr(template)
        pictures.append((resized(face.aligned(template, margin), (SIDE, SIDE)), text))
    return row(pictures)


def warps(face: Face) -> Pixels:
    """The mesh on the portrait, the portrait warped, and an average."""
    assert face.image is not None
    points = np.asarray(face.keypoints, np.float64)
    portrait = zoomed(face.image, (130, 20), 180)
    draw_mesh(portrait, resize_points(points - [130, 20], SIDE / 180), W300_68)
    mean = mean_face(W300_68.name)
    assert mean is not None
    target = average_shape([mean.points[:, :2]], W300_68, SIDE)
    onto = warp_face(face.image, points, target, W300_68, (SIDE, SIDE))
    faces = [draw_face(5, index) for index in range(24)]
    middle = average_shape([each.keypoints for each in faces], WFLW_98, SIDE)
    average = average_face(((each.image, each.keypoints) for each in faces), middle, WFLW_98, SIDE)
    return row(
        [
            (portrait, "the mesh of 68 landmarks"),
            (onto, "warped onto the mean face"),
            (faces[0].image, "one of 24 drawn faces"),
            (average, "their average"),
        ]
    )


def main(folder: Path) -> None:
    """Draw all figures."""
    face = Predictor(threads=1)(ROOT / "examples" / "astronaut.png")[0]
    figures = {"pose": signs(face), "mean": shape(), "openness": eyes(), "crops": crops(face), "mesh": warps(face)}
    for name, picture in figures.items():
        write_image(folder / f"derived-{name}.png", picture)
        print(folder / f"derived-{name}.png", picture.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
