"""Evaluation: annotated faces and predictions -> numbers.

* benchmarks.py: a test set, its protocol and the published result
* evaluate.py: an evaluation: predict what is missing, measure, compare
* predict_samples.py: predictions for annotated faces
* crop_boxes.py: the boxes that faces are cropped by
* predictions.py: the file of predictions
* metrics.py: NME, failure rate, AUC, bootstrap intervals
* report.py: the numbers of every subset, and the comparison of two predictions
* report_folder.py: an evaluation as report.md with its pictures
* plots.py: error curves, errors on a mean face, the course of training
* fitting.py: the calibration of covariances
"""
