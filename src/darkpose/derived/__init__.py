"""What is computed from the landmarks of a face.

conversion  landmarks of one schema from those of another
mean_face   the mean face in three dimensions, and triangles over it
pose        the pose of a head
rotation    rotations as matrices and as yaw, pitch and roll
"""
