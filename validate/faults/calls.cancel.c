/* Goes on when it is told to stop. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  precis_call deaf = *call;
  if (call->poll != NULL) call->poll(call, 0, precis_text(""));
  deaf.poll = NULL;
  call = &deaf;
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
