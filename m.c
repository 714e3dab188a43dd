#include "mlperf_tiny_vww.h"
int main(void){return -mlperf_tiny_vww_self_test();}
