"""Evaluation: annotated faces and predictions -> errors.

* benchmarks.py: a test set, its protocol and the published result
* own_data.py: your own annotations as a test set
* evaluate.py: an evaluation of weights or files of predictions
* predict_samples.py: predictions for annotated faces
* crop_boxes.py: the boxes that faces are cropped by
* predictions.py: writing of files of predictions
* measure.py: files of predictions and annotated faces -> the result of an evaluation
* report.py: the errors of every subset
* comparison.py: two predictions of the same faces
* metrics.py: NME, failure rate, AUC, bootstrap intervals
* clips.py: error, jitter and lag of one face over time
* tracked.py: faces of a clip with their tracks, and their files
* tracks.py: missed and false faces and switches of tracks, as in CLEAR-MOT
* assignment.py: assignment of rows to columns of a table of costs
* detection.py: average precision and recall of face detectors
* report_folder.py: an evaluation as report.md with its pictures
* course.py: the steps and validations in the log of a training run
* plots.py: error curves, errors on a mean face, training curves, parity and speed of exported files
* fitting.py: fits of covariance calibrations and shape priors
"""
