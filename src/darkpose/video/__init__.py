"""Video: faces followed through clips and cameras.

track    one face that is followed
tracker  all faces, from image to image
"""
