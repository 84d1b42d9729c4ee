/* Adds no bias. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  (void)bias;
  return forward(linear, call, x, NULL, y);
}
#define FAULT_FORWARD wrong
#include "tables.h"
