@head@
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The image that the network takes. */
#define MODEL_WIDTH @width@
#define MODEL_HEIGHT @height@
#define MODEL_CHANNELS @channels@ /* 1: grey, 3: red, green, blue */

/* The numbers that the network returns. */
#define MODEL_OUTPUTS @outputs@
@labels@
/* Whether the network takes its image row by row. */
#define MODEL_STREAMED @streamed@

/* Bytes of RAM besides the stack, and of weights. */
#define MODEL_RAM @ram@
#define MODEL_WEIGHTS @weights@

/* States. Errors are negative. */
#define MODEL_OK 0
#define MODEL_BAD_IMAGE (-1)   /* no pixels, or not 1 or 3 channels */
#define MODEL_TOO_LARGE (-2)   /* too little memory to resize this image: compile with -D MODEL_EXTRA_BYTES=... */
#define MODEL_BAD_WEIGHTS (-3) /* the weights, tables or labels were changed */
#define MODEL_BAD_BITS (-4)    /* other results than in Opsin: check the options of the compiler */

/* Resize an image of any size, as `opsin predict` does, and keep it for model_run. Pixels are rows from the top, of
   `channels` bytes each: 1 for grey, 3 for red, green and blue. Return a state. */
int model_load(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels);

/* Run the network on the loaded image, once. Return its MODEL_OUTPUTS numbers, which last until the next call.
   They have the bits of `opsin predict --portable`. */
const float *model_run(void);
@rows@@predict@
/* Check all constants and, to the bit, the results for MODEL_GOLDENS images. Call it once after start; do not use the
   model if it returns something else than MODEL_OK. */
#define MODEL_GOLDENS @goldens@
int model_self_test(void);

/* Return a checksum of the weights, tables and labels. */
uint32_t model_checksum(void);

#ifdef __cplusplus
}
#endif
#endif
