"""Landmarks of all faces in a picture, by two files that darkpose wrote, without darkpose.

    darkpose export default landmarks.onnx
    darkpose export detector detector.onnx

    pip install onnxruntime opencv-python-headless
    python landmarks.py landmarks.onnx detector.onnx picture.png

Coordinates are x, y in px of the picture; the centre of its first pixel is (0, 0).
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime


def find_faces(detector, image):
    """Score, roll (degrees clockwise), centre and side of the landmark box (px) of each face, best first."""
    metadata = detector.get_modelmeta().custom_metadata_map
    size = np.array(image.shape[1::-1])
    scale = int(metadata["side"]) / size.max()
    searched = np.maximum(np.rint(scale * size), 1).astype(int)
    resized = cv2.resize(image, searched, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    inputs = {"images": resized[None], "threshold": np.float32([metadata["threshold"]])}
    scores, rolls, centers, sizes = detector.run(["scores", "roll", "center", "size"], inputs)
    factor = size / searched
    centers = (centers + 0.5) * factor - 0.5  # in px of the image; areas of pixels keep their place
    return list(zip(scores.tolist(), rolls.tolist(), centers, sizes.max(axis=1) * factor.mean(), strict=True))


def crop_matrix(center, side, roll, size):
    """Crop px to image px, (2, 3), for a square that is turned with the face where its roll is more than 30 degrees."""
    angle = np.deg2rad(np.rint(roll) if abs(roll) > 30 else 0)
    turn = side / size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, center - turn @ [size / 2, size / 2]]).astype(np.float32)


def find_landmarks(landmarks, image, faces):
    """The named landmarks of each face, in px of the image."""
    card = json.loads(landmarks.get_modelmeta().custom_metadata_map["darkpose"])
    size, padding, names = card["config"]["crop_size"], card["config"]["padding"], card["schema"]["names"]
    matrices = [crop_matrix(center, padding * side, roll, size) for _, roll, center, side in faces]
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crops = [cv2.warpAffine(image, matrix, (size, size), flags=way) for matrix in matrices]
    inputs = {"crops": np.stack(crops), "matrices": np.stack(matrices)}
    keypoints, scores = landmarks.run(["keypoints", "scores"], inputs)  # (N, K, 2) px of the image, (N, K)
    return [
        [{"name": name, "x": x, "y": y, "score": score} for name, (x, y, score) in zip(names, face, strict=True)]
        for face in np.dstack([keypoints, scores]).tolist()
    ]


landmarks_file, detector_file, picture = sys.argv[1:]
image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
faces = find_faces(onnxruntime.InferenceSession(detector_file), image)
found = find_landmarks(onnxruntime.InferenceSession(landmarks_file), image, faces) if faces else []
each = zip(faces, found, strict=True)
print(json.dumps([{"score": face[0], "roll": face[1], "keypoints": points} for face, points in each], indent=1))
