"""Video: clips and cameras in, followed and smoothed faces out. PyAV is imported when a clip is opened.

analysis   the frames of a clip to the rows of its table, kept in a journal
annotated  annotated clips: H.264 in MP4, with the sound of the clip
clip       the frames of a clip, with their numbers and times
clip_files clips in, tables and annotated clips out
clip_table the table of a clip: CSV, JSON lines and Parquet
decode     FFmpeg's decoding of a file, frame by frame, whatever is broken in it
derived_rows derived numbers in the rows of a clip, and closed eyes in them
drawing    the rows of a clip drawn on its frames
live       the newest frame of a camera or stream, and its faces
smoothed   the rows of a clip with smoothed landmarks
smoothing  the landmarks of one face over time, smoothed
track      one face that is followed
tracker    all faces, from image to image
"""
