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

int main(int count, char **arguments)
{
  FILE *file;
  uint8_t *pixels;
  long width, height, depth;
  size_t size;
  int channels, kind, i, best;
  if (model_self_test() != MODEL_OK) {
    fprintf(stderr, "the self-test failed with %d: other bits than in Opsin\n", model_self_test());
    return 1;
  }
  if (count < 2) {
    printf("self-test passed\n");
    return 0;
  }
  file = fopen(arguments[1], "rb");
  if (!file) {
    fprintf(stderr, "%s cannot be opened\n", arguments[1]);
    return 2;
  }
  if (getc(file) != 'P' || ((kind = getc(file)) != '5' && kind != '6')) {
    fprintf(stderr, "%s is not a binary PPM or PGM\n", arguments[1]);
    return 2;
  }
  channels = kind == '6' ? 3 : 1;
  width = number(file);
  height = number(file);
  depth = number(file);
  if (depth != 255 || width < 1 || height < 1 || width > 65535 || height > 65535) {
    fprintf(stderr, "%s has an unknown header; its values must go to 255\n", arguments[1]);
    return 2;
  }
  size = (size_t)width * (size_t)height * (size_t)channels;
  pixels = malloc(size);
  if (!pixels || fread(pixels, 1, size, file) != size) {
    fprintf(stderr, "%s is cut short\n", arguments[1]);
    return 2;
  }
@answer@
  free(pixels);
  fclose(file);
  return 0;
}
