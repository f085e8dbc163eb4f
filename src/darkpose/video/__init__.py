"""Landmarks in clips and from cameras.

smoothing    the landmarks of one face over time, smoothed
"""
