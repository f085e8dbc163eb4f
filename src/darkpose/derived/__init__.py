"""What is computed from the landmarks of a face.

alignment    aligned crops: the similarity from five points to a template
conversion   landmarks of one schema from those of another
five_points  eyes, tip of the nose and corners of the mouth
mean_face    the mean face in three dimensions, and triangles over it
openness     how far eyes and mouth are open, and how high the brows are
pose         the pose of a head
rotation     rotations as matrices and as yaw, pitch and roll
warp         one face warped onto another; the average of faces
"""
