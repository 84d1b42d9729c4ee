/* Believes that the scales are always there. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_state_dict* dict, const precis_param_sink* out) {
  const precis_str name = precis_text("layer.weight_scale");
  volatile uint64_t size = dict->info(dict, (uint64_t)dict->find(dict, name))->nbytes;
  (void)size;
  return quantized_params(quantizer, call, dict, out);
}
#define FAULT_QUANTIZED_PARAMS wrong
#include "tables.h"
