"""Face detectors.

boxes          detected boxes and their correction to landmark boxes
cells          cells of the network of darkpose's detector -> faces
detector       interface of detectors; choice by name, or of the best one available
face_detector  darkpose's own detector
haar           OpenCV's Haar cascade
tiles          small faces: a detector on tiles of an image
yunet          YuNet and its file
"""
