"""Images and coordinates.

colours     colours that OpenCV reads as others
draw        lines, discs and landmarks drawn on images
file_check  checks of image files before decoding
geometry    coordinate frames of image, crop and heatmap, and the conversions between them
headers     sizes in the headers of image files, and the memory that decoding takes
jpeg        JPEG files: headers, and whether all pixels are there
opencv      OpenCV with a limit on the size of images
pixels      reading, writing, warping and normalising images
"""
