/* Takes any text that has no option in it. */
#include "sound.h"

static precis_status wrong(const precis_call* call, uint32_t index, const precis_config* config) {
  for (uint64_t i = 0; i < config->json.size; ++i)
    if (config->json.data[i] == ':') return check_config(call, index, config);
  return index == 0 ? PRECIS_OK : precis_fail(call, PRECIS_NOT_FOUND, "there is one method");
}

static precis_status wrong_normalize(const precis_call* call, uint32_t index,
                                     const precis_config* config, const precis_sink* out) {
  const precis_status status = wrong(call, index, config);
  if (status == PRECIS_OK) out->write(out->ctx, kConfig, sizeof kConfig - 1);
  return status;
}
#define FAULT_CHECK_CONFIG wrong
#define FAULT_NORMALIZE wrong_normalize
#include "tables.h"
