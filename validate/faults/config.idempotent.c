/* normalize adds a key that was not there in the result of another call. */
#include "sound.h"

static int seen;

static precis_status wrong(const precis_call* call, uint32_t index, const precis_config* config,
                           const precis_sink* out) {
  static const char kTwice[] = "{\"quant_method\":\"my_method\",\"again\":true}";
  const int again = config->json.size == sizeof kConfig - 1 &&
                    memcmp(config->json.data, kConfig, config->json.size) == 0 && seen++ > 0;
  const precis_status status = check_config(call, index, config);
  if (status == PRECIS_OK)
    out->write(out->ctx, again ? kTwice : kConfig, again ? sizeof kTwice - 1 : sizeof kConfig - 1);
  return status;
}
#define FAULT_NORMALIZE wrong
#include "tables.h"
