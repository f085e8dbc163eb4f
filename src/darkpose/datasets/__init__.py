"""Readers of published data sets: file formats in, samples out."""
