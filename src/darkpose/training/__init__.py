"""Training: recipes, data feeding, losses and the loop.

Settings:
recipes         published and own training recipes by name
config          settings of a run, and how it is executed
schedule        learning rates
augment         distributions of random crops
degrade         damage to crops

Data:
epoch_steps     faces of every step, by process
crops           random crops from images or cached crops
crop_cache      faces cut out once into a file
crop_file       format of that file
feed            batches on the device of a run
gpu             augmentation, cached crops and CUDA graphs on a GPU

Of the face detector:
face_pictures   random training pictures
face_targets    targets and loss

A step:
losses          mean squared error and adaptive wing
step            one optimizer step
average         moving average of weights
memory          memory of the process

A run:
initial_weights ImageNet classifier or checkpoint to start from
recipe_run      faces, validation and checkpoint of a recipe
plan            dry run
own_landmarks   recipe for landmarks of your own
own_report      report and card of such a run
loop            epochs, validations and saves
run             network, optimizer and progress of a run
state_file      state of a run, to resume it
run_folder      folder of a run
log             log of a run
trackers        TensorBoard and Weights & Biases
process         settings of a process that trains
"""
