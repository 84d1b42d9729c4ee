/* Works for 300 ms on a large weight before it polls. */
#include "sound.h"

#include <time.h>

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const clock_t start = clock();
  while (param->shape[0] > 500 && clock() - start < CLOCKS_PER_SEC * 3 / 10) {
  }
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
