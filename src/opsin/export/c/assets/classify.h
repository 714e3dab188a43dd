
/* Classify an image: return the number of the most probable label, or a negative state. `probabilities` points to
   MODEL_OUTPUTS numbers, or is NULL. */
int model_predict(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *probabilities);
