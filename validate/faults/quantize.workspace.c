/* Begins with what it finds in the workspace. */
#include "sound.h"

static precis_status plan_with_workspace(const precis_quantizer* quantizer, const precis_call* call,
                                         precis_device device, const precis_param* param,
                                         precis_plan* out) {
  const precis_status status = plan(quantizer, call, device, param, out);
  if (status == PRECIS_OK) out->workspace_size = 64;
  return status;
}

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_status status = quantize(quantizer, call, param, weight, parts, part_count);
  if (status == PRECIS_OK && parts[0]->nbytes > 0)
    precis_data(parts[0])[0] ^= *(unsigned char*)call->workspace == 0xff;
  return status;
}
#define FAULT_PLAN plan_with_workspace
#define FAULT_QUANTIZE wrong
#include "tables.h"
