/* Drops the keys of a set that it does not know. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           int32_t which, const precis_str* keys, uint64_t n,
                           const precis_key_sink* out) {
  return which > PRECIS_KEYS_LOADED ? PRECIS_OK
                                    : precis_same_keys(quantizer, call, which, keys, n, out);
}
#define FAULT_REWRITE_KEYS wrong
#include "tables.h"
