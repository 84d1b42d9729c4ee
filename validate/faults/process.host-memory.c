/* Gives a buffer of the host not back. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, uint64_t part_count) {
  const precis_host_memory_v1* memory =
      (const precis_host_memory_v1*)host->get_extension(host, PRECIS_HOST_MEMORY_1);
  const precis_device cpu = {PRECIS_DEVICE_CPU, 0};
  static precis_buffer buffer;
  if (memory != NULL && buffer.ptr == NULL) memory->alloc(host, cpu, 64, 0, NULL, &buffer);
  return quantize(quantizer, call, param, weight, parts, part_count);
}
#define FAULT_QUANTIZE wrong
#include "tables.h"
