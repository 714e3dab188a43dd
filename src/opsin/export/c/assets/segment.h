
/* The network's numbers are a map: rows from the top, and MODEL_CLASSES numbers for each of MODEL_MAP_WIDTH columns. */
#define MODEL_CLASSES @classes@
#define MODEL_MAP_WIDTH @map_width@
#define MODEL_MAP_HEIGHT @map_height@

/* Write the class of each pixel of a map of any size, rows from the top, and return a state. The map covers the image:
   give the image's size, or a smaller one that there is memory for. */
int model_segment(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, uint8_t *classes,
                  int32_t map_width, int32_t map_height);
