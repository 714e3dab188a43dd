
/* Compute the probability of each label, and return a state. Those that reach their threshold are given. */
extern const float model_thresholds[MODEL_OUTPUTS];
int model_probabilities(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *probabilities);
