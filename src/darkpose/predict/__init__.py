"""Prediction of landmarks for images, files, and any number of inputs.

average      the average face of image files
covariance   calibrated covariances of landmarks
derived_values  what is derived from a face, as numbers by name
draw         landmarks drawn on images
face         one predicted face
files        image files: one outcome per image, and the folder of results
formats      faces as JSON, CSV, .pts and COCO text
given_boxes  boxes from the command line
inputs       images that files, folders and globs name
landmarks    heatmaps to landmarks in the image
on_ray       the same runs on a Ray cluster
parquet      Parquet files of records
part         one part of a run in shards: records of some inputs
predictor    the Predictor: image to faces
shape_prior  a prior of face shapes, for hidden and blurred faces
shard_run    runs over any number of inputs, written in shards
shards       the folder of shards, and what is missing in it
sources      images in files, folders, globs, tar files and lists, one at a time
stream       many images through one Predictor: threads, batches, order
supervision  conversion to supervision.KeyPoints
turned       faces that are turned by a quarter or half of a circle
unfinished   results of a run that makes one file, kept as they come
"""
