/* Works on a thread of its own. */
#include <pthread.h>

#include "sound.h"

static void* idle(void* nothing) {
  return nothing;
}
static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  pthread_t thread;
  pthread_create(&thread, NULL, idle, NULL);
  pthread_join(thread, NULL);
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
