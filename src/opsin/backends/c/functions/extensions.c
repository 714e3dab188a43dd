#if defined(__GNUC__) && defined(__thumb__) && defined(__OPTIMIZE__) && !defined(__PIC__)
#if !defined(__clang__) && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define WINDOWS_MVE 1 /* and the instructions of DSP */
#elif defined(__ARM_FEATURE_DSP)
#define WINDOWS_DSP 1
#ifndef __clang__ /* which keeps two registers for itself */
#define WINDOWS_DSP_TILES 1
#endif
#endif
#endif
