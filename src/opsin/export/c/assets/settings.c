#define MODEL_INPUT_AT @input_at@
#ifndef MODEL_FRAMES
#define MODEL_FRAMES 1 /* images that the network compares */
#endif
#define MODEL_INPUT_BYTES @input_bytes@ /* of a number of the input: 4 are a float, 1 is an integer */
#define MODEL_OUTPUT_AT @output_at@
#define MODEL_FRAMING @framing@
#define MODEL_SHORTER @shorter@
#define MODEL_BICUBIC @bicubic@
#define MODEL_DARK_BACKGROUND @dark_background@
#define MODEL_MIRRORED @mirrored@
#define MODEL_MIRRORED_BACK(i) (@mirrored_back@) /* the place of the mirror image's number */
#define MODEL_GOLDEN_VALUES @values@
#define MODEL_GOLDEN_AT(i) (@golden_at@)

#ifndef MODEL_EXTRA_BYTES
#define MODEL_EXTRA_BYTES 0 /* more memory, to resize larger images */
#endif
#define ARENA_WORDS (@words@ + (MODEL_EXTRA_BYTES + 3) / 4)
