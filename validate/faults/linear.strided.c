/* Reads rows of x as if there were no gaps. */
#include "sound.h"

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  int64_t strides[2] = {x->view.shape[1], 1};
  precis_tensor dense = *x;
  dense.view.strides = strides;
  x = &dense;
  return forward(linear, call, x, bias, y);
}
#define FAULT_FORWARD wrong
#include "tables.h"
