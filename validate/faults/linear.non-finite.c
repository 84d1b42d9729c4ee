/* One number that is none spoils every row. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  float sum = 0;
  for (int64_t i = 0; i < x->view.shape[0] * x->view.shape[1]; ++i)
    sum += 0 * precis_load(x->view.dtype, precis_data(x) + i * (x->view.dtype.bits / 8));
  const precis_status status = forward(linear, call, x, bias, y);
  if (sum != 0 && y->nbytes > 0) precis_store(y->view.dtype, sum, precis_data(y));
  return status;
}
#define FAULT_FORWARD wrong
#include "tables.h"
