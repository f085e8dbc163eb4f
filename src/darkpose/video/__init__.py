"""Video: frames of clips, and annotated clips.

annotated  H.264 files of annotated frames, with the sound of the clip
clip       the frames of a clip, with their numbers and times
decode     video files and streams through PyAV: packets, pictures in order, pixels
"""
