/* Name what is on an image: ./predict IMAGE.ppm (or .pgm)@more@. */
#include <stdio.h>
#include <stdlib.h>

#include "@model@.h"

/* Read a number of the header of a PPM, past spaces and comments. */
static long number(FILE *file)
{
  int c = getc(file);
  long value = 0;
  while (c == '#' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = getc(file);
    c = getc(file);
  }
  for (; c >= '0' && c <= '9' && value < 100000; c = getc(file)) value = 10 * value + c - '0';
  return value;
}

/* Read the pixels of an open PPM or PGM; if they cannot be used, say why and return NULL. */
static uint8_t *read_pixels(FILE *file, const char *path, long *width, long *height, int *channels)
{
  uint8_t *pixels;
  long depth;
  size_t size;
  int kind;
  if (getc(file) != 'P' || ((kind = getc(file)) != '5' && kind != '6')) {
    fprintf(stderr, "%s is not a binary PPM or PGM\n", path);
    return NULL;
  }
  *channels = kind == '6' ? 3 : 1;
  *width = number(file);
  *height = number(file);
  depth = number(file);
  if (depth != 255 || *width < 1 || *height < 1 || *width > 65535 || *height > 65535) {
    fprintf(stderr, "%s has an unknown header; its values must go to 255\n", path);
    return NULL;
  }
  size = (size_t)*width * (size_t)*height * (size_t)*channels;
  pixels = malloc(size);
  if (!pixels || fread(pixels, 1, size, file) != size) {
    fprintf(stderr, "%s is cut short\n", path);
    free(pixels);
    return NULL;
  }
  return pixels;
}

static uint8_t *read_image(const char *path, long *width, long *height, int *channels)
{
  FILE *const file = fopen(path, "rb");
  uint8_t *pixels;
  if (!file) {
    fprintf(stderr, "%s cannot be opened\n", path);
    return NULL;
  }
  pixels = read_pixels(file, path, width, height, channels);
  fclose(file);
  return pixels;
}

int main(int count, char **arguments)
{
  uint8_t *pixels;
  long width, height;
  int channels, i, best;
  if (model_self_test() != MODEL_OK) {
    fprintf(stderr, "the self-test failed with %d: other bits than in Opsin\n", model_self_test());
    return 1;
  }
  if (count < 2) {
    printf("self-test passed\n");
    return 0;
  }
  pixels = read_image(arguments[1], &width, &height, &channels);
  if (!pixels) return 2;
@answer@
  free(pixels);
  return 0;
}
