/* Says that a quantized weight takes no memory. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, precis_storage* out) {
  const precis_status status = storage(quantizer, call, param, out);
  if (out->keep == 0) out->bytes = 0;
  return status;
}
#define FAULT_STORAGE wrong
#include "tables.h"
