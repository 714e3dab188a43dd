// Check that the model computes on this board what it computes in Opsin, bit by bit.
#include <@model@.h>

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  unsigned long start = micros();
  int state = model_self_test();
  unsigned long time = micros() - start;
  if (state == MODEL_OK) {
    Serial.print("self-test passed; microseconds for an image: ");
    Serial.println(time / MODEL_GOLDENS);
  } else {
    Serial.print("self-test failed, state ");
    Serial.println(state);
  }
}

void loop() {}
