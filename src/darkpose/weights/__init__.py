"""Weights and their files, without torch.

* checkpoint.py: the checkpoint file: weights, configuration, schema, provenance
* zoo.py: names of weights: those in the package, the published ones, paths
* models.py: what the named models find, and how well
* calibrations.py: calibrations of covariances, and their file next to the weights
* face_detector.py: the file of the face detector
* shipped/: the files in the package: weights, graphs, calibrations, the shape prior
"""
