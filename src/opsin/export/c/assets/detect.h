
/* An object: its box in pixels of the image, its score from 0 to 1, and the number of its label. */
typedef struct {
  float left, top, right, bottom, score;
  int32_t label;
} model_box;

/* Objects have a score above this one; there are at most MODEL_MAX_BOXES of them. */
#define MODEL_SCORE @score@
#define MODEL_MAX_BOXES @max_boxes@

/* Find objects: write at most `most` boxes, the best first and without overlapping ones of the same label, and return
   how many there are, or a negative state. */
int model_detect(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, model_box *boxes, int32_t most);

/* Return the offsets of the boxes, 4 numbers for each position, after model_run, which returns the class logits. */
const float *model_offsets(void);
