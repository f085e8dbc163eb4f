"""Face landmarks from a file that `darkpose export` wrote, without darkpose.

    pip install onnxruntime opencv-python-headless
    python landmarks.py landmarks.onnx picture.png X0 Y0 X1 Y1

The box is tight around the landmarks, eyebrows to chin. The box of a face detector is different: docs/conventions.md,
"Image and crop". Coordinates are x, y in px of the picture; the centre of its first pixel is (0, 0).
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime

file, picture = sys.argv[1:3]
x0, y0, x1, y1 = map(float, sys.argv[3:])

session = onnxruntime.InferenceSession(file)
card = json.loads(session.get_modelmeta().custom_metadata_map["darkpose"])
size, padding, names = card["config"]["crop_size"], card["config"]["padding"], card["schema"]["names"]

image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
side = padding * max(x1 - x0, y1 - y0)
matrix = np.float32([[side / size, 0, (x0 + x1 - side) / 2], [0, side / size, (y0 + y1 - side) / 2]])  # crop -> image
crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
inputs = {"crops": crop[None], "matrices": matrix[None]}  # or many faces at once
keypoints, scores = session.run(["keypoints", "scores"], inputs)  # (1, K, 2) px of the picture, (1, K)

points = zip(names, keypoints[0].tolist(), scores[0].tolist(), strict=True)
print(json.dumps([{"name": name, "x": x, "y": y, "score": score} for name, (x, y), score in points], indent=1))
