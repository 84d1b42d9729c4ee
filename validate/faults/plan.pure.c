/* Every other plan asks for more workspace. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  static uint64_t calls;
  const precis_status status = plan(quantizer, call, device, param, out);
  if (status == PRECIS_OK) out->workspace_size = calls++ % 2 * 64;
  return status;
}
#define FAULT_PLAN wrong
#include "tables.h"
