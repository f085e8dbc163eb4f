"""The pure modules of the page calculate what Python calculates; they run in Node.js here."""

import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from browser_page import WEB
from darkpose.detect.cells import FoundFaces
from darkpose.detect.face_detector import DOWN, HEIGHT, WIDTH, face_boxes
from darkpose.predict.covariance import ellipse
from darkpose.predict.face import Face
from darkpose.predict.formats import ImageResult, to_csv, to_dict
from darkpose.schema import REGIONS, SCHEMAS, regions
from needed import lacking

LIMITS = {"bytes": 1_000_000, "pixels": 1_000_000}
SCHEMA = SCHEMAS["300w-68"]


def run(module: str, program: str, given: object) -> Any:
    """What an expression of a module's functions gives; `given` is in it, as `m` the module."""
    if shutil.which("node") is None:
        lacking("needs Node.js: node cannot be found")
    text = f"import * as m from {json.dumps((WEB / f'{module}.mjs').as_uri())}; const given = {json.dumps(given)};"
    text += f" console.log(JSON.stringify({program}));"
    done = subprocess.run(["node", "--input-type=module"], input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def encoded(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    """A grey picture as a file of some kind."""
    file = io.BytesIO()
    Image.new("RGB", size, "grey").save(file, kind, **options)
    return file.getvalue()


def test_kind_and_size_are_read_from_the_first_bytes() -> None:
    pictures = {
        "png": encoded("PNG", (301, 200)),
        "gif": encoded("GIF", (301, 200)),
        "bmp": encoded("BMP", (301, 200)),
        "jpeg": encoded("JPEG", (301, 200), exif=b"Exif\0\0" + bytes(60_000), progressive=True),
        "webp": encoded("WEBP", (301, 200)),
    }
    others = [encoded("WEBP", (301, 200), lossless=True), encoded("WEBP", (301, 200), exif=b"Exif\0\0")]
    given = [list(each) for each in [*pictures.values(), *others]]
    found = run("picture_header", "given.map((file) => m.readHeader(new Uint8Array(file)))", given)
    kinds = [*pictures, "webp", "webp"]
    assert found == [{"kind": kind, "width": 301, "height": 200} for kind in kinds]


def test_files_that_are_no_pictures_have_their_kind_or_none() -> None:
    files = {
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
        "tiff": b"II*\0" + bytes(20),
        "pdf": b"%PDF-1.7",
        "svg": b"<?xml version='1.0'?>\n<!-- one --><svg xmlns='http://www.w3.org/2000/svg'/>",
        "": b"just text",
    }
    given = [list(each) for each in [*files.values(), b"", b"\xff\xd8", b"\x89PNG", b"RIFF1234WEBP"]]
    found = run("picture_header", "given.map((file) => m.readHeader(new Uint8Array(file)))", given)
    assert [each["kind"] for each in found] == [*files, "", "jpeg", "", "webp"]


@pytest.mark.parametrize(
    ("size", "header", "sentence"),
    [
        (0, {"kind": ""}, "a.png is empty (0 bytes)."),
        (200_000_000, {"kind": "png"}, "a.png has 200 MB; pictures may have up to 1.0 MB."),
        (9, {"kind": "png", "width": 50_000, "height": 50_000}, "a.png has 50,000 x 50,000 px; pictures may have"),
        (9, {"kind": "svg"}, "a.png is an SVG drawing"),
        (9, {"kind": "pdf"}, "a.png is a PDF document"),
        (9, {"kind": "png", "width": 1000, "height": 1000}, ""),
    ],
)
def test_a_file_is_refused_with_the_reason(size: int, header: dict[str, Any], sentence: str) -> None:
    given = [{"name": "a.png", "size": size}, header, LIMITS]
    found = run("picture_header", "m.refusal(...given)", given)
    assert found.startswith(sentence)
    assert bool(found) == bool(sentence)


def test_characters_that_change_the_text_around_them_are_not_shown() -> None:
    assert run("picture_header", "m.printable(given)", "a\u202egnp\n.exe\x07é") == "a?gnp?.exe?é"


def test_regions_are_those_of_python() -> None:
    assert run("regions", "m.REGIONS", None) == {region: list(words) for region, words in REGIONS.items()}
    for schema in SCHEMAS.values():
        found = run("regions", "[...m.regionsOf(given)]", schema.names)
        assert dict(found) == {region: indices.tolist() for region, indices in regions(schema).items()}


def test_ellipses_are_those_of_python() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(20, 2, 2))
    matrices = np.concatenate([roots @ roots.transpose(0, 2, 1), [np.diag([4.0, 1.0]), np.diag([1.0, 4.0]), np.eye(2)]])
    for matrix, found in zip(matrices, run("ellipse", "given.map(m.ellipseOf)", matrices.tolist()), strict=True):
        outline = ellipse(np.zeros(2), matrix, 0.95)
        cos, sin = np.cos(found["angle"]), np.sin(found["angle"])
        turn = np.array([[cos, sin], [-sin, cos]])
        along, across = turn @ outline.T
        np.testing.assert_allclose((along / found["long"]) ** 2 + (across / found["short"]) ** 2, 1, atol=1e-9)
    assert run("ellipse", "[m.ellipseOf(null), m.ellipseOf(undefined)]", None) == [None, None]


def test_the_nearest_landmark_that_is_shown_is_found() -> None:
    faces = [{"keypoints": [[0, 0], [10, 0]], "names": ["a", "b"]}, {"keypoints": [[11, 0]], "names": ["c"]}]
    program = """[[9, 0, 5, true], [9, 0, 5, false], [5, 5, 3, true], [11, 1, 5, true]].map(([x, y, within, all]) =>
        m.nearest(given, x, y, within, (name) => all || name !== "b"))"""
    found = run("ellipse", program, faces)
    assert found == [{"face": 0, "index": 1}, {"face": 1, "index": 0}, None, {"face": 1, "index": 0}]


def test_csv_and_json_are_those_of_python() -> None:
    rng = np.random.default_rng(0)
    faces = [
        Face(
            rng.uniform(-5, 300, (68, 2)).astype(np.float32),
            rng.uniform(0, 1, 68).astype(np.float32),
            np.array([1.0, 2, 30, 40.5]),
            SCHEMA,
            covariance=np.tile(np.eye(2, dtype=np.float32), (68, 1, 1)),
        )
        for _ in range(2)
    ]
    assert faces[0].covariance is not None
    faces[0].covariance[3] = np.nan
    results = [ImageResult('a "b", c.png', (300, 200), faces), ImageResult("=1+1.png", (30, 20), [])]
    plain = [ImageResult("d.png", (300, 200), [replace(faces[0], covariance=None)])]
    for each in (results, plain):
        given = [to_dict(result) for result in each]
        assert run("formats", "m.toCsv(given)", given) == to_csv(each)
        assert [json.loads(line) for line in run("formats", "m.toJson(given)", given).splitlines()] == given


def test_a_saved_file_is_named_after_its_picture() -> None:
    names = ["a.b.png", "../x.jpg", "", "två.jpg"]
    program = 'given.map((image) => m.fileName([{ image }], "json"))'
    assert run("formats", program, names) == ["a.b.json", ".._x.json", "landmarks.json", "tv_.json"]
    assert run("formats", 'm.fileName(given, "csv")', [{"image": "a"}, {"image": "b"}]) == "landmarks.csv"


@pytest.mark.parametrize("roll", [0, 20, -75, 180])
def test_boxes_of_faces_are_those_of_python(roll: float) -> None:
    center, size = np.array([[120.5, 80.25]]), np.array([[60.0, 50.0]])
    expected = face_boxes(FoundFaces(center, size, np.radians([roll]), np.ones(1))).upright_boxes()[0]
    given = [
        {"center": center[0].tolist(), "size": size[0].tolist(), "roll": roll},
        {"width": WIDTH, "height": HEIGHT, "down": DOWN},
    ]
    np.testing.assert_allclose(run("found_faces", "m.boxOf(...given)", given), expected, atol=1e-9)


def test_the_sample_is_the_photograph_of_the_examples(astronaut: Path) -> None:
    found, expected = (cv2.imread(str(path)) for path in (WEB / "sample.jpg", astronaut))
    assert found is not None
    assert expected is not None
    assert np.abs(found.astype(int) - expected).mean() < 3
