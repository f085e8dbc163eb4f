"""COFW, 29 landmarks: HRNetV2-W18, 256x256, DARK.

data          1,345 training faces; 507 test faces
crop          the landmarks' tight box, grown to whole pixels; its longer side times 1.25 onto 256 x 256 px
pixels        RGB, mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225
augmentation  mirror 0.5; scale 1 + 0.25 N(0, 1) within 0.75 .. 1.25; rotation 30 N(0, 1) within 60 degrees, with
              probability 0.6; no shift
start         HRNetV2-W18 trained on ImageNet (hrnetv2_w18-00eb2006.pth); the head N(0, 0.001)
target        64 x 64 heatmaps, sigma 2, centred on the landmark (unbiased)
loss          mean squared error over all heatmap values, invisible landmarks weighted 0
optimizer     Adam, 0.002, no weight decay; linear warm-up over 500 iterations from a thousandth; a tenth from epoch 40
              and again from epoch 55 of 60
batch         512 a step: 8 times 64; with fewer than 8 processes, gradients of batches of 64 are accumulated, and batch
              norm sees 64 crops
test          mean with the mirrored crop, moved by one heatmap px; DARK, blur kernel 11
published     none for this decoder

The values are `darkpose.training.recipes.COFW_DARK`; a test holds this page to them.
"""

from darkpose.training.recipes import COFW_DARK, Recipe

recipe: Recipe = COFW_DARK
