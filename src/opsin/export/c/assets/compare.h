
/* Compute the vector of an image, MODEL_OUTPUTS numbers of length 1, and return a state.
   @bits@ */
int model_embed(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *vector);

/* Return the cosine of two vectors, -1 to 1: how alike two images are. */
float model_similarity(const float *first, const float *second);
