
/* Two images show the same if their vectors are at least so similar. */
#define MODEL_THRESHOLD @threshold@

/* Return the probability that two images of this similarity show the same, if half of all pairs do. */
float model_probability(float similarity);
