/* Finds the parts in the wrong order. */
#include "sound.h"

static const precis_param_sink* asked;
static void swapped(void* ctx, const precis_param* param, const uint64_t* parts, uint64_t n) {
  const uint64_t wrong_order[2] = {parts[1], parts[0]};
  asked->emit(ctx, param, wrong_order, n);
}
static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_state_dict* dict, const precis_param_sink* out) {
  const precis_param_sink sink = {out->ctx, swapped};
  asked = out;
  return quantized_params(quantizer, call, dict, &sink);
}
#define FAULT_QUANTIZED_PARAMS wrong
#include "tables.h"
