"""Which of a tile's random numbers is for what."""

HFLIP, VFLIP, TRANSPOSE = 0, 1, 2
ANGLE, SHIFT_X, SHIFT_Y = 3, 4, 5
AREA, RATIO, LEFT, TOP = 6, 7, 8, 9  # of the crop
BRIGHTNESS, CONTRAST, SATURATION, HUE = 10, 11, 12, 13
ERASED, BOX_AREA, BOX_RATIO, BOX_LEFT, BOX_TOP = 14, 15, 16, 17, 18
SEED_HIGH, SEED_LOW = 19, 20  # of RandAugment
VIEW = 21  # which of the chosen views
DRAWS = 24  # the rest are for augmentations to come: another number would change what every tile gets
