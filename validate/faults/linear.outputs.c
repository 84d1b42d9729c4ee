/* Writes one byte behind y. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  const precis_status status = forward(linear, call, x, bias, y);
  precis_data(y)[y->nbytes] = 1;
  return status;
}
#define FAULT_FORWARD wrong
#include "tables.h"
