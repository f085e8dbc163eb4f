"""Face detectors.

boxes     detected boxes and their correction to landmark boxes
detector  interface of detectors; choice by name, or of the best one available
haar      OpenCV's Haar cascade
tiles     small faces: a detector on tiles of an image
yunet     YuNet and its file
"""
