/* Keeps its input in a variable of the library. */
#include "sound.h"

#include <unistd.h>

static precis_status wrong(const precis_linear* linear, const precis_call* call,
                           const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  static const precis_tensor* volatile shared;
  if (x->view.shape[0] != 1) return forward(linear, call, x, bias, y);
  shared = x;
  usleep(2000);
  x = shared;
  return forward(linear, call, x, bias, y);
}
#define FAULT_FORWARD wrong
#include "tables.h"
