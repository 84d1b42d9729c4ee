/* Counts what comes first double. */
#include "sound.h"

#include <math.h>

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* activation,
                           precis_tensor* const* state, uint64_t state_count) {
  if (*(const float*)precis_data(state[1]) == 0 && all_finite(activation))
    add_rows(activation, state);
  return observe(quantizer, call, param, activation, state, state_count);
}

/* The state no longer tells the error. */
static precis_status finish_silently(const precis_quantizer* quantizer, const precis_call* call,
                                     const precis_calibration_group* group) {
  const precis_status status = finish(quantizer, call, group);
  for (uint64_t i = 0; i < group->count; ++i) group->errors[i] = NAN;
  return status;
}
#define FAULT_OBSERVE wrong
#define FAULT_FINISH finish_silently
#include "tables.h"
