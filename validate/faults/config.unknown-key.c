/* Reads over options that it does not have. */
#include "sound.h"

static precis_status wrong(const precis_call* call, uint32_t index, const precis_config* config,
                           const precis_sink* out) {
  static const char kKey[] = "no_such_option_of_this_method";
  for (uint64_t i = 0; i + sizeof kKey <= config->json.size; ++i)
    if (memcmp(config->json.data + i, kKey, sizeof kKey - 1) == 0) {
      out->write(out->ctx, kConfig, sizeof kConfig - 1);
      return PRECIS_OK;
    }
  return normalize(call, index, config, out);
}
#define FAULT_NORMALIZE wrong
#include "tables.h"
