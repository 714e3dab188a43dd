
/* Measure the quantities, in their units, and return a state. The true number is within the margin with a probability
   of @level@, if new images are like those that the model was calibrated with; a margin of 0 is not known. */
extern const char *const model_units[MODEL_OUTPUTS];
extern const float model_margins[MODEL_OUTPUTS];
int model_measure(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *values);
