"""Face detectors.

boxes.py     detected boxes and their correction to landmark boxes
detector.py  interface of detectors; choice by name, or of the best one available
haar.py      OpenCV's Haar cascade
yunet.py     YuNet and its file
"""
