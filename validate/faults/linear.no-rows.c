/* Refuses an x without rows. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  if (x->view.shape[0] == 0) return precis_fail(call, PRECIS_INVALID_ARGUMENT, "x has no rows");
  return forward(linear, call, x, bias, y);
}
#define FAULT_FORWARD wrong
#include "tables.h"
