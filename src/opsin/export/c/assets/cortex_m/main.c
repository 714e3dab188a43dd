/* Check @model@ on an emulated Cortex-M: run the self-test, and print how much memory it touched and
   how many instructions an image takes.

   make run BOARD=mps2-an386 */
#include <stddef.h>
#include <stdint.h>

#include "@model@.h"

#define PAINT 0xa5a5a5a5u

extern uint32_t bss_begin[], bss_end[], stack_begin[], stack_end[];
int main(void);
void reset(void);

/* The first words of memory: the stack's end, and where to begin. */
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vectors = {stack_end, {reset, reset, reset}};

/* Semihosting: the debugger or emulator does what the processor asks for. */
static int32_t ask(int32_t operation, const void *argument)
{
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void print(const char *text) { ask(0x04, text); }

static void print_number(const char *name, uint32_t number)
{
  char digits[12];
  int at = 11;
  digits[at] = 0;
  do digits[--at] = (char)('0' + number % 10); while (number /= 10);
  print(name);
  print(&digits[at]);
  print("\n");
}

static void leave(int state)
{
  const uint32_t block[2] = {0x20026, (uint32_t)state};
  ask(0x20, block);
  for (;;) {
  }
}

void reset(void)
{
#if defined(__ARM_FP)
  *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* switch on the unit for floats */
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
  leave(main());
}

static uint32_t touched(const uint32_t *begin, const uint32_t *end)
{
  uint32_t count = 0;
  for (; begin < end; begin++) count += *begin != PAINT ? 4 : 0;
  return count;
}

/* Call one of the functions, and print how much stack it took, with that of what it calls. */
static int measured(const char *name, int (*function)(void))
{
  uint32_t *sp, *p;
  int state;
  __asm__ volatile("mov %0, sp" : "=r"(sp));
  for (p = stack_begin; p < sp; p++) *(volatile uint32_t *)p = PAINT;
  state = function();
  for (p = stack_begin; p < sp && *p == PAINT; p++) {
  }
  print_number(name, (uint32_t)(sp - p) * 4);
  return state;
}

/* Return the instructions of a function, of up to half a billion: the emulator executes one in a nanosecond of its own
   time, and a tick of the processor's timer takes QUARTERS / 4 of them. */
static uint32_t instructions(const float *(*function)(void))
{
  volatile uint32_t *const timer = (volatile uint32_t *)0xe000e010u;
  uint32_t before;
  timer[1] = 0xffffff;
  timer[2] = 0;
  timer[0] = 5;
  before = timer[2];
  function();
  return (uint32_t)((uint64_t)((before - timer[2]) & 0xffffff) * QUARTERS / 4);
}

/* Use some bytes of the program as an image of another size than the network's. */
#if MODEL_STREAMED
/* Rows are resized in extra memory, which is left out here. */
static int load_any(void) { return model_load((const uint8_t *)&vectors + 64, MODEL_WIDTH, MODEL_HEIGHT, 1); }

static const float *predict(void)
{
  int32_t row;
  for (row = 0; row < MODEL_HEIGHT; row++) model_feed_row(row, (const uint8_t *)&vectors + 64);
  return model_run();
}
#else
static const float *predict(void) { return model_run(); }
static int load_any(void) { return model_load((const uint8_t *)&vectors + 64, 37, 41, 1); }
#endif

static int run_any(void)
{
  model_run();
  return MODEL_OK;
}

int main(void)
{
  volatile uint32_t *p;
  int state, loaded;
  for (p = bss_begin; p < bss_end; p++) *p = PAINT;
  state = measured("stack of model_self_test, bytes: ", model_self_test);
  print_number("RAM, bytes: ", (uint32_t)(bss_end - bss_begin) * 4);
  print_number("RAM, bytes written: ", touched(bss_begin, bss_end));
  loaded = measured("stack of model_load, bytes: ", load_any);
  measured("stack of model_run, bytes: ", run_any);
  print_number(MODEL_STREAMED ? "instructions of all rows and model_run: " : "instructions of model_run: ",
               instructions(predict));
  print_number("state of model_load: ", (uint32_t)-loaded);
  print_number("state of model_self_test: ", (uint32_t)-state);
  return state ? 1 : 0;
}
