"""Readers of data sets, published ones and your own: files in, `list[Sample]` out. A reader per file format."""
