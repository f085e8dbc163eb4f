"""Data sets: annotated faces and their readers.

aflw              AFLW, 19 landmarks
annotated_clip    one annotated clip
annotations       annotated landmarks of any kind, in any of the formats of annotation tools
catalogue         published data sets by name
check             checks of a data set
coco              JSON files in the format of COCO
coco_labels       COCO files of annotation tools
cofw              COFW, 29 landmarks
contact_sheet     sheets of faces with their landmarks
convert           annotations in the formats of other tools
crop              faces cut out without augmentation
csv_labels        CSV tables with an object per row
disagreement      likely wrong labels, by predictions
drawn_clip        drawn clips with exact landmarks
drawn_data_sets   drawn faces in the files of WFLW and AFLW
drawn_face        drawn faces with exact landmarks
face_boxes        boxes and rolls of faces, for the detector
face_plan         landmarks and polygons of a drawn face
head_model        random heads in three dimensions
image_folder      the images that a file of annotations names
imglab            XML files of dlib's imglab
infer_schema      schemas inferred from names and places of landmarks
joined            several data sets in one joined schema
labels            what a file of annotations holds
mat5              MATLAB 5 files: numbers and cells of text
mat73             MATLAB 7.3 files (HDF5)
openmmlab         JSON files of OpenMMLab
openmmlab_tree    folders and splits of OpenMMLab
predicted         predictions as annotations
predictions_file  files of predictions
points            COCO and CSV files with any landmarks
posed_faces       CFP, MERL-RAV and YouTube Faces: faces in large poses
pts_folder        folders of .pts files
reading           functions shared by the readers
sample            one annotated face
schema_file       schemas as TOML files
w300              300-W, 68 landmarks
w300vw            300-VW, clips with 68 landmarks
wflw              WFLW, 98 landmarks
wflw_v            WFLW-V, clips with 98 landmarks
yolo_pose         YOLO-pose, a YAML file with text files of labels
"""
